// SPDX-License-Identifier: Apache-2.0

package import Authority
import Certificates
import Dispatch
package import FoundationEssentials
import Synchronization
import SystemSupport

/// Takes requests from any thread, decides and signs, and issues what was granted in groups: the disk is waited for once a
/// group, while the next one is decided about and signed.
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

    private struct Signed: Sendable {
        var waiting: Waiting
        var enrolment: SignedEnrolment
    }

    private struct State {
        var waiting: [Waiting] = []
        /// How many threads decide and sign.
        var signers = 0
        var signed: [Signed] = []
        var signedSince = ContinuousClock.now
        var isIssuing = false
        /// Whether ``issue()`` will be called when the longest wait is over.
        var isTimed = false

        /// Takes a group, if none is being issued and it is not better to wait for those that are being signed.
        mutating func takeGroup() -> [Signed] {
            guard !signed.isEmpty else { return [] }
            guard
                signers == 0 || signed.count >= groupSize
                    || ContinuousClock.now - signedSince >= .milliseconds(longestWait)
            else { return [] }
            let group = Array(signed.prefix(groupSize))
            signed.removeFirst(group.count)
            signedSince = .now
            return group
        }
    }

    /// The most requests of one group: other processes change the directory in between.
    private static let groupSize = 128
    /// How long what is signed waits for others, at most, in milliseconds.
    private static let longestWait = 20

    package let authority: CertificateAuthority
    /// What decides, by the rules of the time at which it begins.
    package var rules: EnrolmentRules {
        get { currentRules.withLock(\.self) }
        set { currentRules.withLock { $0 = newValue } }
    }
    private let currentRules: Mutex<EnrolmentRules>
    private let jobs: Int
    private let now: @Sendable () -> Date
    private let paths = VerifiedPaths()
    private let state = Mutex(State())
    private let signing = DispatchQueue(label: "signing", attributes: .concurrent)
    private let issuing = DispatchQueue(label: "issuing")

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
    package var waitingCount: Int { state.withLock { $0.waiting.count + $0.signed.count } }

    /// Decides about a request, and issues the certificate if it is granted. `reply` is called once, from another thread.
    package func submit(_ request: EnrolmentRequest, _ reply: @escaping Reply) {
        let begins = state.withLock { state in
            state.waiting.append(Waiting(request: request, reply: reply))
            guard state.signers < jobs else { return false }
            state.signers += 1
            return true
        }
        if begins { signing.async { self.sign() } }
    }

    /// Decides about what waits, and signs what is granted.
    private func sign() {
        var done: Signed?
        while true {
            let next = state.withLock { state in
                if let done {
                    if state.signed.isEmpty { state.signedSince = .now }
                    state.signed.append(done)
                }
                let next = state.waiting.isEmpty ? nil : state.waiting.removeFirst()
                if next == nil { state.signers -= 1 }
                return next
            }
            issue()
            guard let next else { return }
            done = signed(next)
        }
    }

    private func signed(_ waiting: Waiting) -> Signed? {
        let now = now()
        do {
            switch try rules.decide(waiting.request, now: now) {
            case .issue(let grant):
                var generator = SystemRandomNumberGenerator()
                return Signed(waiting: waiting, enrolment: authority.sign(grant, paths, now: now, using: &generator))
            case .wait: waiting.reply(.success(.waiting))
            case .repeated(let certificate):
                waiting.reply(
                    .success(
                        .issued(
                            EnrolledCertificate(certificate: certificate, chain: authority.chain, isRepeated: true))))
            }
        } catch {
            refuse(waiting, error, now)
        }
        return nil
    }

    /// Has a group issued, unless one is being issued: then the next follows it.
    private func issue() {
        let (group, waits) = state.withLock { state -> ([Signed], Bool) in
            guard !state.isIssuing else { return ([], false) }
            let group = state.takeGroup()
            state.isIssuing = !group.isEmpty
            guard group.isEmpty, !state.signed.isEmpty, !state.isTimed else { return (group, false) }
            state.isTimed = true
            return ([], true)
        }
        if waits {
            // A key may take long to sign the next.
            issuing.asyncAfter(deadline: .now() + .milliseconds(Self.longestWait)) {
                self.state.withLock { $0.isTimed = false }
                self.issue()
            }
        }
        guard !group.isEmpty else { return }
        issuing.async {
            self.issue(group)
            self.state.withLock { $0.isIssuing = false }
            self.issue()
        }
    }

    private func issue(_ group: [Signed]) {
        let now = now()
        let results = authority.enrol(group.map(\.enrolment), now: now)
        for (signed, result) in zip(group, results) {
            switch result {
            case .success(let certificate): signed.waiting.reply(.success(.issued(certificate)))
            case .failure(let error): refuse(signed.waiting, error, now)
            }
        }
    }

    private func refuse(_ waiting: Waiting, _ error: any Error, _ now: Date) {
        if case .replaced = error as? EnrolmentRefusal, case .certificate(let former) = waiting.request.proof {
            // Two machines have the key of a certificate, or one was restored from a copy: no one renews until a person
            // has looked.
            do {
                if let entry = try authority.inventory.entry(of: former) {
                    _ = try authority.inventory.lock(entry, of: waiting.request.peer, now: now)
                }
            } catch {
                return waiting.reply(.failure(error))
            }
        }
        waiting.reply(.failure(error))
    }
}
