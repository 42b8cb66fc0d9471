// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Dispatch
import FoundationEssentials
import Synchronization
import SystemSupport

/// Makes the CA's CRL on a schedule and soon after a revocation, which may be another process's, and forgets the OCSP
/// answers that a revocation has made wrong.
///
/// It looks at the audit every second. A CRL that another process made counts as its own.
package final class RevocationPublisher: Sendable {
    private struct State {
        var lastRow: Int64 = 0
        var last: (number: Int64, thisUpdate: Date, nextUpdate: Date)?
        /// Since when the CRL ought to have been made.
        var dueSince: ContinuousClock.Instant?
        /// When it was last tried to make it.
        var tried: ContinuousClock.Instant?
        var failure: String?
        /// Whether the file was older than the inventory's last CRL at the last look.
        var isFileBehind = false
    }

    /// How far another machine's clock may be ahead, in seconds.
    private static let skew = 60.0
    /// How long a CRL may be due before the server says that it is not well.
    private static let patience: Duration = .seconds(10)
    /// The shortest time between two attempts: many revocations make one CRL.
    private static let pause: Duration = .seconds(2)

    private let authority: CertificateAuthority
    private let options: CurrentOptions
    private let cache: OCSPCache
    private let metrics: ServiceMetrics
    private let now: @Sendable () -> Date
    private let note: @Sendable (String) -> Void
    private let report: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "revocation")
    private let canSign: Bool

    init(
        _ authority: CertificateAuthority, options: CurrentOptions, cache: OCSPCache,
        metrics: ServiceMetrics, now: @escaping @Sendable () -> Date,
        note: @escaping @Sendable (String) -> Void, report: @escaping @Sendable (String) -> Void
    ) {
        self.authority = authority
        self.options = options
        self.cache = cache
        self.metrics = metrics
        self.now = now
        self.note = note
        self.report = report
        canSign = authority.certificate.keyUsage?.contains(.crlSign) ?? true
    }

    /// Whether a CRL that ought to be there could not be made.
    package var isOverdue: Bool {
        state.withLock { state in state.dueSince.map { .now - $0 > Self.patience } ?? false }
    }

    /// Makes the first CRL. That of an earlier process may lack a certificate that was released from hold meanwhile.
    package func start() {
        if !canSign { report("\(authority.name) makes no CRL: its certificate does not have the key usage cRLSign") }
        look(isFirst: true)
    }

    /// Keeps the CRL current until the task is cancelled.
    package func keepCurrent() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            await withCheckedContinuation { continuation in
                queue.async {
                    self.look()
                    continuation.resume()
                }
            }
        }
    }

    /// Looks once. Only one thread does at a time.
    func look(isFirst: Bool = false) {
        let now = now()
        let start = ContinuousClock.now
        do {
            let news = try authority.inventory.revocationNews(
                since: state.withLock(\.lastRow), of: authority.certificate, named: authority.name)
            if news.isOtherAudit { cache.forgetAll() } else { cache.forget(news.serialNumbers) }
            cache.isUpToDate(at: start)
            try noteDue(news, isFirst: isFirst, now: now)
            let isDue = state.withLock { state in
                guard canSign, state.dueSince != nil, state.tried.map({ start - $0 >= Self.pause }) ?? true else {
                    return false
                }
                state.tried = start
                return true
            }
            guard isDue else { return }
            try build(now: now)
        } catch {
            failed(error)
        }
    }

    private func noteDue(_ news: RevocationNews, isFirst: Bool, now: Date) throws {
        let knew = state.withLock { ($0.lastRow, $0.last) }
        let last =
            isFirst || news.lastRow != knew.0
            ? try authority.inventory.lastRevocationList(of: authority.certificate) : knew.1
        // Who was killed between the commit and the renaming left the old file.
        let isBehind = try isFileBehind(last?.number)
        let every = options.value.schedule.every
        state.withLock { state in
            state.lastRow = news.lastRow
            state.last = last
            // A clock that was wrong has made a CRL that clients do not use yet.
            let isCurrent =
                last.map { min($0.thisUpdate + every, $0.nextUpdate) > now && $0.thisUpdate < now + Self.skew }
                ?? false
            if isFirst || news.isListOutdated || isBehind && state.isFileBehind || !isCurrent {
                state.dueSince = state.dueSince ?? .now
            } else if last?.number != knew.1?.number {
                // Another process has made it.
                state.dueSince = nil
            }
            state.isFileBehind = isBehind
        }
    }

    private let listNumber = Mutex<(stamp: RevocationListStamp, number: Int64)?>(nil)

    private func isFileBehind(_ number: Int64?) throws -> Bool {
        guard canSign, let number else { return false }
        guard let stamp = try authority.inventory.revocationListStamp(of: authority.name) else { return true }
        if let known = listNumber.withLock(\.self), known.stamp == stamp { return known.number < number }
        let found = (try? authority.inventory.revocationList(of: authority.name))?.number?.integer ?? 0
        listNumber.withLock { $0 = (stamp, found) }
        return found < number
    }

    private func build(now: Date) throws {
        let last = state.withLock { $0.last?.number }
        let made = try authority.makeRevocationList(
            after: last, validFor: .until(now + options.value.schedule.nextUpdate), now: now)
        // Another server was faster; the next look tells whether its CRL has everything.
        guard let made else { return }
        let wasFailing = state.withLock { state in
            state.dueSince = nil
            defer { state.failure = nil }
            return state.failure != nil
        }
        metrics.count("pki_crl_builds_total", "outcome=\"made\"")
        made.notices.forEach(report)
        // A head that is kept elsewhere shows whether the audit was cut off later.
        note(
            "CRL \(made.list.number?.decimal ?? "") of \(authority.name) has \(made.count) revoked"
                + (made.auditHead.map { "; the audit's head is \($0)" } ?? ""))
        if wasFailing { report("CRL \(made.list.number?.decimal ?? "") of \(authority.name) was made again") }
    }

    private func failed(_ error: any Error) {
        metrics.count("pki_crl_builds_total", "outcome=\"failed\"")
        let reason = (error as? any ExplainedError)?.message ?? "\(error)"
        let isNew = state.withLock { state in
            defer { state.failure = reason }
            return state.failure != reason
        }
        if isNew { report("the CRL of \(authority.name) cannot be made: \(reason)") }
    }
}
