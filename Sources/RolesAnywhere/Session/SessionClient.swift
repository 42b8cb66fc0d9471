// SPDX-License-Identifier: Apache-2.0

import Certificates
public import FoundationEssentials
import Synchronization

/// Exchanges an identity for session credentials: CreateSession, with retries and a corrected clock.
///
/// Calls block until there are credentials or an error. A client can be shared: it keeps nothing but how far this
/// machine's clock is off.
public final class SessionClient: Sendable {
    /// What a client takes from the world around it. A test drives each.
    public struct Surroundings: Sendable {
        /// The time by this machine's clock.
        public var now: @Sendable () -> Date
        /// Waits; what it throws ends the call.
        public var sleep: @Sendable (Duration) throws -> Void
        /// Draws a number from 0 up to but not including 1.
        public var random: @Sendable () -> Double

        /// Makes surroundings.
        ///
        /// - Parameters:
        ///   - now: The time by this machine's clock.
        ///   - sleep: Waits; what it throws ends the call.
        ///   - random: Draws a number from 0 up to but not including 1.
        public init(
            now: @escaping @Sendable () -> Date,
            sleep: @escaping @Sendable (Duration) throws -> Void,
            random: @escaping @Sendable () -> Double
        ) {
            self.now = now
            self.sleep = sleep
            self.random = random
        }
    }

    /// Where the service listens.
    public let endpoint: Endpoint

    /// The region that signatures name.
    public let region: String

    private let transport: any HTTPTransport
    private let retryPolicy: RetryPolicy
    private let surroundings: Surroundings
    private let observer: @Sendable (SessionEvent) -> Void
    private let clockOffset = Mutex(0.0)

    /// How far two clocks may be apart before it is a fault, in seconds. AWS refuses signatures beyond it.
    static let toleratedClockDifference = 300.0

    /// Makes a client. Nothing is sent.
    ///
    /// - Parameters:
    ///   - endpoint: Where the service listens.
    ///   - region: The region that signatures name: the trust anchor's.
    ///   - transport: What carries the requests.
    ///   - retryPolicy: How often to ask again.
    ///   - surroundings: Clock, sleep and chance.
    ///   - observer: Told each step, on the calling thread.
    public init(
        endpoint: Endpoint,
        region: String,
        transport: any HTTPTransport,
        retryPolicy: RetryPolicy = RetryPolicy(),
        surroundings: Surroundings,
        observer: @escaping @Sendable (SessionEvent) -> Void = { _ in }
    ) {
        self.endpoint = endpoint
        self.region = region
        self.transport = transport
        self.retryPolicy = retryPolicy
        self.surroundings = surroundings
        self.observer = observer
    }

    /// By how many seconds the server's clock was last found to be ahead of this machine's, when they were too far apart;
    /// zero otherwise. Every later signature is dated by the server's clock.
    public var clockCorrection: Double { clockOffset.withLock { $0 } }

    /// Exchanges an identity for credentials.
    ///
    /// The identity is checked by the rules of the service first; see ``Identity/check(at:)``. Each attempt is signed
    /// afresh. A refusal (403) from a server whose clock is more than five minutes away is answered by one more request,
    /// dated by that clock.
    ///
    /// - Parameters:
    ///   - request: What to ask for.
    ///   - identity: Who asks.
    /// - Returns: The credentials.
    /// - Throws: ``RolesAnywhereError``, what the key throws when it cannot sign, or what the surroundings' sleep throws.
    public func createSession(_ request: SessionRequest, as identity: Identity) throws -> SessionCredentials {
        guard region == request.region else {
            throw RolesAnywhereError(
                .invalidArgument,
                "the region \(printable(region)) is not that of the trust anchor, \(request.region)",
                remedy: "leave out --region, or name the trust anchor of that region"
            )
        }
        try identity.check(at: correctedNow)
        var failures = 0
        var mayCorrectClock = true
        while true {
            let signed = try signedRequest(for: request, as: identity)
            observer(.sending(attempt: failures + 1, signed))
            let failure: RolesAnywhereError
            var requestedDelay: Duration?
            do {
                let response = try transport.send(signed.request)
                observer(.received(status: response.status, headers: response.headers, timings: response.timings))
                if (200..<300).contains(response.status) {
                    return try SessionCredentials(answer: response.body, to: request)
                }
                let serverTime = response.headers["Date"].flatMap(CivilTime.date(fromHTTP:))
                if response.status == 403, mayCorrectClock, let serverTime, correctClock(by: serverTime) {
                    mayCorrectClock = false
                    continue
                }
                failure = RolesAnywhereError(
                    ServiceError(response),
                    attempts: failures + 1,
                    clockDifference: serverTime?.timeIntervalSince(correctedNow)
                )
                requestedDelay = retryAfter(response.headers)
            } catch let error as RolesAnywhereError where error.isTransient {
                failure = error
            }
            failures += 1
            guard failure.isTransient, failures < retryPolicy.attempts else { throw failure }
            let delay = retryPolicy.delay(after: failures, requested: requestedDelay, random: surroundings.random())
            observer(.waiting(delay, after: failure))
            try surroundings.sleep(delay)
        }
    }

    /// The request as it would be sent now, for whoever wants to look at it or send it in another way.
    ///
    /// - Parameters:
    ///   - request: What to ask for.
    ///   - identity: Who asks.
    /// - Returns: The request and the texts that led to its signature.
    /// - Throws: What the key throws when it cannot sign.
    public func signedRequest(for request: SessionRequest, as identity: Identity) throws -> SignedRequest {
        let unsigned = HTTPRequest(
            method: "POST",
            url: endpoint.url(for: "/sessions", query: request.query),
            headers: ["Content-Type": "application/json"],
            body: request.body
        )
        return try RequestSigner(region: region).sign(unsigned, as: identity, at: correctedNow)
    }

    private var correctedNow: Date { surroundings.now().addingTimeInterval(clockCorrection) }

    /// Adopts the server's clock when it is too far away from the one that signed.
    ///
    /// - Returns: Whether it was.
    private func correctClock(by serverTime: Date) -> Bool {
        guard abs(serverTime.timeIntervalSince(correctedNow)) > Self.toleratedClockDifference else { return false }
        let offset = serverTime.timeIntervalSince(surroundings.now())
        clockOffset.withLock { $0 = offset }
        observer(.clockCorrected(seconds: offset))
        return true
    }

    /// What the server asked for: seconds, or a date by its own clock.
    private func retryAfter(_ headers: HTTPHeaders) -> Duration? {
        guard let value = headers["Retry-After"] else { return nil }
        if let seconds = Int(value) { return .seconds(min(max(0, seconds), 86_400)) }
        guard let date = CivilTime.date(fromHTTP: value) else { return nil }
        let reference = headers["Date"].flatMap(CivilTime.date(fromHTTP:)) ?? correctedNow
        return .seconds(min(max(0, date.timeIntervalSince(reference)), 86_400))
    }
}
