// SPDX-License-Identifier: Apache-2.0

import Authority
package import Certificates
package import Enrolment
package import FoundationEssentials
package import HTTPServer
import Synchronization
import SystemSupport

/// The CA on the network: enrolment, its certificates, health and metrics. Administration is not here: the same commands
/// work on the same directory while it runs.
package struct CAService: HTTPHandler {
    /// What an operator chooses.
    package struct Options: Sendable {
        /// Addresses of proxies whose `Client-Cert` header is believed.
        package var proxies: Set<String> = []
        /// After how many seconds a client asks again for a request that waits for a person.
        package var retryAfter = 60
        /// When CRLs are made.
        package var schedule = RevocationService.Schedule()
        /// Where hosts are asked for proof of their names, as `ip` subtrees; none if it is empty.
        package var challengeNetworks: [NameConstraints.Subtree] = []
        /// The port on which they are asked.
        package var challengePort = 80

        package init() {}
    }

    /// What tells about revocations, for listeners of its own as well.
    package let revocation: RevocationService
    private let router: HTTPRouter
    private let current: CurrentOptions

    /// What the operator chose; it can change while the service runs.
    package var options: Options {
        get { current.value }
        nonmutating set { current.value = newValue }
    }

    /// - Parameters:
    ///   - desk: What issues.
    ///   - options: What the operator chose.
    ///   - isNamed: Whether a host, a name in lower case or an address, is the server.
    ///   - fetch: Sends a request to a host that must prove its name: follows no redirect, uses no proxy, and limits time
    ///     and size.
    ///   - now: The clock.
    ///   - note: Is told what was done and is worth keeping, for the log.
    ///   - report: Is told faults of the server and who was refused, each a sentence, for the log.
    package init(
        _ desk: EnrolmentDesk, options: Options, isNamed: @escaping @Sendable (String) -> Bool,
        fetch: @escaping @Sendable (HTTPChallengeRequest) throws -> (status: Int, body: [UInt8]),
        now: @escaping @Sendable () -> Date,
        note: @escaping @Sendable (String) -> Void,
        report: @escaping @Sendable (String) -> Void
    ) throws {
        let inventory = desk.authority.inventory
        let metrics = ServiceMetrics()
        let current = CurrentOptions(options)
        self.current = current
        let reader = ProofReader(tokens: TokenVerifier(inventory), options: current)
        let limits = ServiceLimits(metrics: metrics)
        let probe = KeyProbe(desk.authority)
        let log = ServiceLog(report)
        let report: @Sendable (String) -> Void = { log.report($0) }
        let revocation = try RevocationService(
            desk.authority, options: current, limits: limits, metrics: metrics, now: now, note: note,
            report: report)
        self.revocation = revocation
        var router = HTTPRouter()
        try revocation.addRoutes(to: &router)
        try ESTService(
            desk: desk, reader: reader, limits: limits, metrics: metrics, options: current, log: log
        ).addRoutes(to: &router)
        try ACMEService(
            desk: desk, tokens: reader.tokens, limits: limits, metrics: metrics, options: current, isNamed: isNamed,
            fetch: fetch, now: now, log: log
        ).addRoutes(to: &router)
        try router.on(.get, "/healthz") { _, _ in .now(HTTPResponse(status: .ok, text: "ok\n")) }
        try router.on(.get, "/readyz") { _, _ in
            .work {
                do {
                    try inventory.checkCanIssue(desk.authority, now: now())
                    try probe.check()
                    if revocation.publisher.isOverdue {
                        return HTTPResponse(
                            status: .serviceUnavailable, text: "the CRL of \(desk.authority.name) is overdue\n")
                    }
                    return HTTPResponse(status: .ok, text: "ok\n")
                } catch {
                    return HTTPResponse(status: .serviceUnavailable, text: ServiceError(error).reason + "\n")
                }
            }
        }
        try router.on(.get, "/metrics") { _, _ in
            .work {
                let known = try? inventory.enrolmentGauges(at: now(), of: desk.authority.certificate)
                let gauges = (known ?? []) + [("pki_inventory_up", known == nil ? 0 : 1)]
                return HTTPResponse(
                    status: .ok, headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"],
                    body: Array(metrics.text(gauges + [("pki_enrolments_waiting", Double(desk.waitingCount))]).utf8))
            }
        }
        self.router = router
    }

    package func answer(_ request: HTTPRequest) -> HTTPAnswer { router.answer(request) }
}

/// The current options, which a reload replaces.
final class CurrentOptions: Sendable {
    private let stored: Mutex<CAService.Options>

    init(_ options: CAService.Options) { stored = Mutex(options) }

    var value: CAService.Options {
        get { stored.withLock(\.self) }
        set { stored.withLock { $0 = newValue } }
    }
}

/// Finds out whether the CA's key signs: it may be in a device that is gone. What it finds holds for some seconds.
private final class KeyProbe: Sendable {
    private let authority: CertificateAuthority
    private let last = Mutex<(result: Result<Void, any Error>, at: ContinuousClock.Instant)?>(nil)

    init(_ authority: CertificateAuthority) { self.authority = authority }

    func check() throws {
        try last.withLock { last in
            if let last, last.at.duration(to: .now) < .seconds(5) { return try last.result.get() }
            let result = Result { try authority.checkKey() }
            last = (result, .now)
            try result.get()
        }
    }
}
