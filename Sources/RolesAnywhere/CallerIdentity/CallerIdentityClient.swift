// SPDX-License-Identifier: Apache-2.0

/// Asks the Security Token Service whose session credentials are: GetCallerIdentity, with retries and a corrected clock.
///
/// It is the one question that any credentials may ask, so that it tells whether credentials work at all. Calls block
/// until there is an answer or an error. A client can be shared.
public final class CallerIdentityClient: Sendable {
    /// Where the service listens.
    public let endpoint: Endpoint

    /// The region that signatures name.
    public let region: String

    private let exchange: SignedExchange

    /// Makes a client. Nothing is sent.
    ///
    /// - Parameters:
    ///   - endpoint: Where the service listens: `Endpoint(region:variant:service:)` with
    ///     ``Endpoint/Service/securityTokenService``, or one of one's own.
    ///   - region: The region that signatures name.
    ///   - transport: What carries the requests.
    ///   - retryPolicy: How often to ask again.
    ///   - dependencies: Clock, sleep and chance.
    ///   - observer: Told each step, on the calling thread.
    public init(
        endpoint: Endpoint,
        region: String,
        transport: any HTTPTransport,
        retryPolicy: RetryPolicy = RetryPolicy(),
        dependencies: SessionClient.Dependencies,
        observer: @escaping @Sendable (SessionEvent) -> Void = { _ in }
    ) {
        self.endpoint = endpoint
        self.region = region
        exchange = SignedExchange(
            with: .securityTokenService,
            transport: transport,
            retryPolicy: retryPolicy,
            dependencies: dependencies,
            observer: observer
        )
    }

    /// By how many seconds the server's clock was last found to be ahead of this machine's, when they were too far apart;
    /// zero otherwise. Every later signature is dated by the server's clock.
    public var clockCorrection: Double { exchange.clockCorrection }

    /// Asks whose credentials are.
    ///
    /// - Parameter credentials: The credentials.
    /// - Returns: The caller.
    /// - Throws: ``RolesAnywhereError``, or what the dependencies' sleep throws.
    public func callerIdentity(of credentials: SessionCredentials) throws -> CallerIdentity {
        try exchange.send(while: { $0 <= credentials.expiration }) {
            try signedRequest(with: credentials)
        } reading: { response in
            try CallerIdentity(answer: response.body)
        }
    }

    /// The request as it would be sent now, for whoever wants to look at it or send it in another way.
    ///
    /// - Parameter credentials: Whose key signs.
    /// - Returns: The request, which holds the session token, and the texts that led to its signature, which do not.
    /// - Throws: Nothing of its own; signing shares its path with keys that can fail.
    public func signedRequest(with credentials: SessionCredentials) throws -> SignedRequest {
        let unsigned = HTTPRequest(
            method: "POST",
            url: endpoint.url,
            headers: ["Content-Type": "application/x-www-form-urlencoded; charset=utf-8"],
            body: Array("Action=GetCallerIdentity&Version=2011-06-15".utf8)
        )
        return try CredentialsSigner(region: region, service: .securityTokenService)
            .sign(unsigned, with: credentials, at: exchange.correctedNow)
    }
}
