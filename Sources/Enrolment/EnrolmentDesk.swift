// SPDX-License-Identifier: Apache-2.0

package import Authority
import Certificates
import Dispatch
package import FoundationEssentials
import Synchronization
import SystemSupport

/// Takes requests from any thread, decides, and issues what was granted in groups: the disk is waited for once a group.
package final class EnrolmentDesk: Sendable {
    /// What became of a request.
    package enum Outcome: Sendable {
        case issued(EnrolledCertificate)
        /// A person decides; ask again later.
        case waiting
    }

    package typealias Reply = @Sendable (Result<Outcome, any Error>) -> Void

    private struct Waiting: Sendable {
        var request: EnrolmentRequest
        var reply: Reply
    }

    private struct State {
        var waiting: [Waiting] = []
        var isAtWork = false
    }

    /// The most requests of one group: other processes change the directory in between.
    private static let groupSize = 128

    package let authority: CertificateAuthority
    /// What decides. A group of requests is decided about by the rules of its beginning.
    package var rules: EnrolmentRules {
        get { currentRules.withLock(\.self) }
        set { currentRules.withLock { $0 = newValue } }
    }
    private let currentRules: Mutex<EnrolmentRules>
    private let jobs: Int
    private let now: @Sendable () -> Date
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "enrolment")

    /// - Parameters:
    ///   - authority: The CA that issues.
    ///   - rules: What decides.
    ///   - jobs: The number of threads that sign.
    ///   - now: The clock.
    package init(
        _ authority: CertificateAuthority, rules: EnrolmentRules, jobs: Int, now: @escaping @Sendable () -> Date
    ) {
        self.authority = authority
        currentRules = Mutex(rules)
        self.jobs = jobs
        self.now = now
    }

    /// How many requests wait for their turn.
    package var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// Decides about a request, and issues the certificate if it is granted. `reply` is called once, from another thread.
    package func submit(_ request: EnrolmentRequest, _ reply: @escaping Reply) {
        let begins = state.withLock { state in
            state.waiting.append(Waiting(request: request, reply: reply))
            defer { state.isAtWork = true }
            return !state.isAtWork
        }
        if begins { queue.async { self.work() } }
    }

    private func work() {
        while true {
            let group = state.withLock { state in
                let group = Array(state.waiting.prefix(Self.groupSize))
                state.waiting.removeFirst(group.count)
                if group.isEmpty { state.isAtWork = false }
                return group
            }
            if group.isEmpty { return }
            process(group)
        }
    }

    private func process(_ group: [Waiting]) {
        let (now, rules) = (now(), rules)
        var granted: [(waiting: Waiting, grant: EnrolmentGrant)] = []
        for waiting in group {
            do {
                switch try rules.decide(waiting.request, now: now) {
                case .issue(let grant): granted.append((waiting, grant))
                case .wait: waiting.reply(.success(.waiting))
                case .repeated(let certificate):
                    waiting.reply(
                        .success(
                            .issued(
                                EnrolledCertificate(
                                    certificate: certificate, chain: authority.chain, isRepeated: true))))
                }
            } catch {
                refuse(waiting, error, now)
            }
        }
        guard !granted.isEmpty else { return }
        var generator = SystemRandomNumberGenerator()
        let results = authority.enrol(granted.map(\.grant), jobs: jobs, now: now, using: &generator)
        for ((waiting, _), result) in zip(granted, results) {
            switch result {
            case .success(let certificate): waiting.reply(.success(.issued(certificate)))
            case .failure(let error): refuse(waiting, error, now)
            }
        }
    }

    private func refuse(_ waiting: Waiting, _ error: any Error, _ now: Date) {
        if case .replaced = error as? EnrolmentRefusal, case .certificate(let former) = waiting.request.proof {
            // Two machines have the key of a certificate, or one was restored from a copy: no one renews until a person
            // has looked.
            do {
                if let entry = try authority.inventory.entry(of: former) {
                    try authority.inventory.lock(entry, of: waiting.request.peer, now: now)
                }
            } catch {
                return waiting.reply(.failure(error))
            }
        }
        waiting.reply(.failure(error))
    }
}
