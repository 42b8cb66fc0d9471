// SPDX-License-Identifier: Apache-2.0

import Certificates
public import FoundationEssentials
import SystemSupport

/// Exchanges an identity for session credentials: CreateSession, with retries and a corrected clock.
///
/// Calls block until there are credentials or an error. A client can be shared: it keeps nothing but how far this
/// machine's clock is off.
public final class SessionClient: Sendable {
    /// What a client takes from the world around it. A test drives each.
    public struct Dependencies: Sendable {
        /// The time by this machine's clock.
        public var now: @Sendable () -> Date
        /// Waits; what it throws ends the call.
        public var sleep: @Sendable (Duration) throws -> Void
        /// Draws a number from 0 up to but not including 1.
        public var random: @Sendable () -> Double

        /// Makes dependencies.
        ///
        /// - Parameters:
        ///   - now: The time by this machine's clock.
        ///   - sleep: Waits; what it throws ends the call.
        ///   - random: Draws a number from 0 up to but not including 1.
        public init(
            now: @escaping @Sendable () -> Date, sleep: @escaping @Sendable (Duration) throws -> Void,
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

    private let exchange: SignedExchange

    /// Creates a client without sending anything.
    ///
    /// - Parameters:
    ///   - endpoint: Where the service listens.
    ///   - region: The region that signatures name: the trust anchor's.
    ///   - transport: What carries the requests.
    ///   - retryPolicy: How often to ask again.
    ///   - dependencies: The clock, sleep function and random source.
    ///   - observer: Receives each step, on the calling thread.
    public init(
        endpoint: Endpoint,
        region: String,
        transport: any HTTPTransport,
        retryPolicy: RetryPolicy = RetryPolicy(),
        dependencies: Dependencies,
        observer: @escaping @Sendable (SessionEvent) -> Void = { _ in }
    ) {
        self.endpoint = endpoint
        self.region = region
        exchange = SignedExchange(
            with: .rolesAnywhere, transport: transport, retryPolicy: retryPolicy, dependencies: dependencies,
            observer: observer)
    }

    /// By how many seconds the server's clock was last found to be ahead of this machine's, when they were too far apart;
    /// zero otherwise. Every later signature is dated by the server's clock.
    public var clockCorrection: Double { exchange.clockCorrection }

    /// Exchanges an identity for credentials.
    ///
    /// The identity is checked by the rules of the service first; see ``Identity/check(at:)``. Each attempt is signed
    /// afresh. A refusal (403) from a server whose clock is more than five minutes away is answered by one more request,
    /// dated by that clock, unless it is more than a day away or the certificate is not valid then. The session must be of
    /// the role that was asked for, and expire within 12 hours.
    ///
    /// - Parameters:
    ///   - request: What to ask for.
    ///   - identity: Who asks.
    /// - Returns: The credentials.
    /// - Throws: ``RolesAnywhereError``, what the key throws when it cannot sign, or what the dependencies' sleep throws.
    public func createSession(_ request: SessionRequest, as identity: Identity) throws -> SessionCredentials {
        guard region == request.region else {
            throw RolesAnywhereError(
                .invalidArgument, "the region \(printable(region)) is not that of the trust anchor, \(request.region)",
                hint: "leave out --region, or name the trust anchor of that region")
        }
        try identity.check(at: exchange.correctedNow)
        let certificate = identity.certificate
        do {
            return try exchange.send(while: { certificate.notBefore <= $0 && $0 <= certificate.notAfter }) {
                try signedRequest(for: request, as: identity)
            } reading: { response in
                try SessionCredentials(answer: response.body, to: request, at: exchange.correctedNow)
            }
        } catch let error as RolesAnywhereError where error.isUntrusted && identity.intermediates.isEmpty {
            let hint = [error.hint, identity.chainHint].compactMap(\.self).joined(separator: "; ")
            throw RolesAnywhereError(
                error.code, error.message, hint: hint, service: error.service, isTransient: error.isTransient)
        }
    }

    /// The signed request, to inspect it or to send it in another way.
    ///
    /// - Parameters:
    ///   - request: What to ask for.
    ///   - identity: Who asks.
    /// - Returns: The request and the texts that led to its signature.
    /// - Throws: What the key throws when it cannot sign.
    public func signedRequest(for request: SessionRequest, as identity: Identity) throws -> SignedRequest {
        let unsigned = HTTPRequest(
            method: "POST", url: endpoint.url(for: "/sessions", query: request.query),
            headers: ["Content-Type": "application/json"], body: request.body)
        return try RequestSigner(region: region).sign(unsigned, as: identity, at: exchange.correctedNow)
    }
}

/// How often to ask again, and how long to wait in between.
///
/// Only what may pass is tried again: throttling, faults of the service and of the network. Waits grow exponentially with
/// full jitter, a random part of the whole, so that many machines which failed together do not come back together.
public struct RetryPolicy: Hashable, Sendable {
    /// How often a request is sent at most, the first time included. At least 1.
    public var attempts: Int

    /// The longest that the wait after the first failure can be; it doubles with each further one.
    public var firstDelay: Duration

    /// The longest wait, also when the server asks for more.
    public var longestDelay: Duration

    /// Creates a policy.
    ///
    /// - Parameters:
    ///   - attempts: How often a request is sent at most; less than 1 counts as 1.
    ///   - firstDelay: The longest that the first wait can be.
    ///   - longestDelay: The longest wait.
    public init(attempts: Int = 4, firstDelay: Duration = .milliseconds(500), longestDelay: Duration = .seconds(20)) {
        self.attempts = max(1, attempts)
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
    }

    /// The wait after a failure.
    func delay(after failures: Int, requested: Duration?, random: Double) -> Duration {
        let ceiling = min(longestDelay, firstDelay * (1 << min(failures - 1, 20)))
        return min(longestDelay, max(ceiling * random, requested ?? .zero))
    }
}

/// A step of the exchange, for diagnosis. None contains a secret.
public enum SessionEvent: Sendable {
    /// A request is about to be sent. The signature in its headers, valid for a few minutes, is shown by no description.
    case sending(attempt: Int, SignedRequest)
    /// An answer came; its content is not handed out.
    case received(status: Int, headers: HTTPHeaders, timings: HTTPTimings?)
    /// The server's clock is ahead of this machine's by so many seconds, and the request is signed again by that clock.
    case clockCorrected(seconds: Double)
    /// An attempt failed and another follows after a wait.
    case waiting(Duration, after: RolesAnywhereError)
}
