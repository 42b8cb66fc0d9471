// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Dispatch
import Enrolment
import FoundationEssentials
import HTTPServer
import SystemSupport

/// Automatic Certificate Management Environment (RFC 8555, 8738, 9773) at `/acme/directory`.
///
/// An account needs a join token (external account binding), and has the names that the token allows: their
/// authorisations are valid from the beginning, unless the token asks for challenges.
struct ACMEService: Sendable {
    let desk: EnrolmentDesk
    let tokens: TokenVerifier
    let limits: ServiceLimits
    let metrics: ServiceMetrics
    let options: CurrentOptions
    let isNamed: @Sendable (String) -> Bool
    let now: @Sendable () -> Date
    let log: ServiceLog
    let nonces: any NonceSource
    let prover: HTTPChallengeProver
    private let queue = DispatchQueue(label: "acme", attributes: .concurrent)

    var inventory: Inventory { desk.authority.inventory }

    init(
        desk: EnrolmentDesk, tokens: TokenVerifier, limits: ServiceLimits, metrics: ServiceMetrics,
        options: CurrentOptions, isNamed: @escaping @Sendable (String) -> Bool,
        fetch: @escaping HTTPChallengeProver.Fetch,
        now: @escaping @Sendable () -> Date, log: ServiceLog
    ) throws {
        self.desk = desk
        self.tokens = tokens
        self.limits = limits
        self.metrics = metrics
        self.options = options
        self.isNamed = isNamed
        self.now = now
        self.log = log
        nonces = try SharedNonces(desk.authority.inventory, now: now) ?? ACMENonces(key: Self.randomOctets(32))
        prover = HTTPChallengeProver(options: options, fetch: fetch)
    }

    static func randomOctets(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    // MARK: - Requests

    /// Which key must have signed a request.
    enum Signer {
        /// That of an account, by its URL.
        case account
        /// The key in the request.
        case key
        /// Either.
        case any
    }

    /// A request whose signature was verified.
    struct Request: Sendable {
        let http: HTTPRequest
        /// The beginning of all URLs: `https://ca.example.com:8443/acme`.
        let base: String
        let jws: JSONWebSignature
        /// The account whose key signed; `nil` if the key is in the request.
        let account: ACMEAccount?
        /// The parameters of the path.
        let parameters: HTTPRouter.Parameters

        var peer: String { "ACME from \(ProofReader.address(of: http))" }

        /// The account that signed; only for requests that an account must sign.
        func signer() throws -> ACMEAccount {
            guard let account else { throw ACMEProblem(.malformed, "an account must sign with its \"kid\"") }
            return account
        }

        /// The payload, an object.
        func object() throws -> JSONValue { try JSONWebSignature.object(jws.payload, "the payload") }

        /// Refuses a payload: the request only reads (RFC 8555 §6.3).
        func refusePayload() throws {
            guard jws.payload.isEmpty else { throw ACMEProblem(.malformed, "POST-as-GET has an empty payload") }
        }

        func url(_ path: String) -> String { "\(base)/\(path)" }
    }

    /// What follows from a request.
    enum Step {
        case respond(HTTPResponse)
        /// The desk decides about the certificate request of an order.
        case submit(ACMEOrder, ACMEAccount, CertificateRequest)
    }

    func addRoutes(to router: inout HTTPRouter) throws {
        try router.on(.get, "/acme/directory") { request, _ in .now(self.finished(directory(request), request)) }
        try router.on(.get, "/acme/new-nonce") { request, _ in
            let status: HTTPStatus = request.method == .head ? .ok : .noContent
            return .now(self.finished(HTTPResponse(status: status), request))
        }
        try router.on(.get, "/acme/renewal-info/{id}") { request, parameters in
            .work {
                self.finished(self.response { try self.renewalInformation(parameters["id"]) }, request)
            }
        }
        let (notFound, notAllowed) = (router.notFound, router.methodNotAllowed)
        router.notFound = { request in
            guard request.path.hasPrefix("/acme/") else { return notFound(request) }
            let problem = ACMEProblem(.malformed, "there is nothing at this path", status: .notFound)
            return .now(self.finished(problem.response, request))
        }
        router.methodNotAllowed = { request in
            guard request.path.hasPrefix("/acme/") else { return notAllowed(request) }
            let problem = ACMEProblem(.malformed, "this path does not take this method", status: .methodNotAllowed)
            return self.finished(problem.response, request)
        }
        let routes: [(path: String, signer: Signer, action: @Sendable (Request) throws -> Step)] = [
            (
                "directory", .any,
                {
                    try $0.refusePayload()
                    return .respond(self.directory($0.http))
                }
            ),
            (
                "new-nonce", .any,
                {
                    try $0.refusePayload()
                    return .respond(HTTPResponse(status: .noContent))
                }
            ),
            ("new-account", .key, { .respond(try self.newAccount($0)) }),
            ("account/{id}", .account, { .respond(try self.updateAccount($0)) }),
            ("account/{id}/orders", .account, { .respond(try self.orders($0)) }),
            ("key-change", .account, { .respond(try self.changeKey($0)) }),
            ("new-order", .account, { .respond(try self.newOrder($0)) }),
            ("order/{id}", .account, { try self.readOrder($0) }),
            ("order/{id}/finalize", .account, { try self.finalize($0) }),
            ("authorization/{id}/{index}", .account, { .respond(try self.authorization($0)) }),
            ("challenge/{id}/{index}", .account, { .respond(try self.challenge($0)) }),
            ("certificate/{id}", .account, { .respond(try self.certificate($0)) }),
            ("revoke-certificate", .any, { .respond(try self.revoke($0)) }),
        ]
        for (path, signer, action) in routes {
            let refusal: (@Sendable (HTTPRequest) -> HTTPResponse?)? =
                switch path {
                case "new-account", "account/{id}", "key-change", "order/{id}/finalize", "challenge/{id}/{index}":
                    limits.refusal(of:)
                case "new-order": limits.refusalOfOrder(of:)
                default: nil
                }
            try router.on(.post, "/acme/\(path)") { request, parameters in
                if let busy = refusal?(request) {
                    return .now(self.finished(Self.problem(busy), request))
                }
                return .later { responder in
                    // Signatures are verified and the disk is waited for, which an event loop must not do.
                    self.queue.async {
                        self.perform(request, parameters, signer, action) {
                            responder.answer(self.finished($0, request))
                        }
                    }
                }
            }
        }
    }

    private func perform(
        _ request: HTTPRequest, _ parameters: HTTPRouter.Parameters, _ signer: Signer,
        _ action: (Request) throws -> Step, _ reply: @escaping @Sendable (HTTPResponse) -> Void
    ) {
        let start = ContinuousClock.now
        do {
            let asked = try authenticated(request, parameters, signer)
            switch try action(asked) {
            case .respond(let response): reply(response)
            case .submit(let order, let account, let certificateRequest):
                desk.submit(
                    EnrolmentRequest(
                        request: certificateRequest, proof: .account(account, order: order.identifier),
                        peer: asked.peer)
                ) { result in
                    self.metrics.count(protocol: "acme", result, since: start)
                    reply(self.response { try self.conclude(order, certificateRequest, result, asked) })
                }
            }
        } catch {
            reply(response(to: error, of: request))
        }
    }

    /// Verifies the JWS of a request (RFC 8555 §6.2 to §6.5).
    private func authenticated(
        _ request: HTTPRequest, _ parameters: HTTPRouter.Parameters, _ signer: Signer
    ) throws -> Request {
        let base = try base(of: request)
        guard request.headers["Content-Type"]?.lowercased() == "application/jose+json" else {
            throw ACMEProblem(
                .malformed, "the content type is not application/jose+json",
                status: HTTPStatus(415, "Unsupported Media Type"))
        }
        let jws = try JSONWebSignature(request.body)
        guard jws.algorithm != .hs256 else {
            throw ACMEProblem(.badSignatureAlgorithm, "HS256 is only for the external account binding")
        }
        guard let nonce = jws.nonce else { throw ACMEProblem(.badNonce, "the protected header has no \"nonce\"") }
        guard let url = jws.url else { throw ACMEProblem(.malformed, "the protected header has no \"url\"") }
        guard url == base.dropLast("/acme".count) + request.target else {
            throw ACMEProblem(.unauthorized, "the protected \"url\" is not the URL of the request")
        }
        var account: ACMEAccount?
        let key: PublicKey
        switch jws.signer {
        case .key(let own) where signer != .account: key = own.publicKey
        case .identifier(let identifier) where signer != .key:
            let prefix = "\(base)/account/"
            guard identifier.hasPrefix(prefix), identifier.utf8.count <= prefix.utf8.count + 64 else {
                throw ACMEProblem(.malformed, "the \"kid\" is not the URL of an account here")
            }
            guard let known = try inventory.account(String(identifier.dropFirst(prefix.count))) else {
                throw ACMEProblem(.accountDoesNotExist, "there is no such account")
            }
            (account, key) = (known, known.key)
        case nil: throw ACMEProblem(.malformed, "the protected header has neither \"jwk\" nor \"kid\"")
        case .key: throw ACMEProblem(.malformed, "this request must name its account by \"kid\", not by \"jwk\"")
        case .identifier: throw ACMEProblem(.malformed, "this request must have its key as \"jwk\", not a \"kid\"")
        }
        try jws.verify(by: key)
        // Servers that share them must ask the database.
        guard try nonces.redeem(nonce) else {
            throw ACMEProblem(.badNonce, "the nonce was not given out, is too old, or was used before")
        }
        guard account?.deactivatedAt == nil else {
            throw ACMEProblem(.unauthorized, "the account was deactivated", status: .unauthorized)
        }
        return Request(http: request, base: base, jws: jws, account: account, parameters: parameters)
    }

    /// The beginning of all URLs, by the name that the client uses. It must be one of the server's: the protected `url` would
    /// otherwise prove nothing, and messages for a false server could be passed on. A proxy may listen on another port.
    private func base(of request: HTTPRequest) throws -> String {
        guard let authority = request.host.flatMap({ HTTPAuthority($0) }) else {
            throw ACMEProblem(.malformed, "the Host header is not a host")
        }
        guard isNamed(authority.host) else {
            throw ACMEProblem(
                .malformed, "\"\(authority.host)\" is not a name of this server, which its --host can add",
                status: HTTPStatus(421, "Misdirected Request"))
        }
        return "https://\(authority)/acme"
    }

    // MARK: - Responses

    private func directory(_ request: HTTPRequest) -> HTTPResponse {
        response {
            let base = try base(of: request)
            return Self.json([
                "newNonce": .string("\(base)/new-nonce"), "newAccount": .string("\(base)/new-account"),
                "newOrder": .string("\(base)/new-order"), "revokeCert": .string("\(base)/revoke-certificate"),
                "keyChange": .string("\(base)/key-change"), "renewalInfo": .string("\(base)/renewal-info"),
                "meta": ["externalAccountRequired": true],
            ])
        }
    }

    static func json(_ value: JSONValue, status: HTTPStatus = .ok, location: String? = nil) -> HTTPResponse {
        var response = HTTPResponse(status: status, headers: ["Content-Type": "application/json"], body: value.bytes)
        if let location { response.headers.append("Location", location) }
        return response
    }

    private func response(_ body: () throws -> HTTPResponse) -> HTTPResponse {
        do { return try body() } catch { return response(to: error, of: nil) }
    }

    private func response(to error: any Error, of request: HTTPRequest?) -> HTTPResponse {
        let problem = ACMEProblem(error)
        if problem.fault != nil || problem.isWrongProof || error is EnrolmentRefusal {
            log.report(
                error, fault: problem.fault, reason: problem.detail, protocol: "ACME",
                from: request.map(ProofReader.address) ?? "?")
        }
        if problem.isWrongProof, let request, let busy = limits.refusalOfFailure(of: request, protocol: "acme") {
            return Self.problem(busy)
        }
        return problem.response
    }

    /// A refusal of the limits as ACME tells it.
    private static func problem(_ busy: HTTPResponse) -> HTTPResponse {
        var problem = ACMEProblem(.rateLimited, "too many requests from this address")
        problem.headers = busy.headers["Retry-After"].map { [("Retry-After", $0)] } ?? []
        return problem.response
    }

    /// Adds what every response has, errors included: clients take their next nonce from it.
    private func finished(_ response: HTTPResponse, _ request: HTTPRequest) -> HTTPResponse {
        var response = response
        response.headers.append("Replay-Nonce", nonces.next())
        response.headers.append("Cache-Control", "no-store")
        if let base = try? base(of: request) {
            response.headers.append("Link", "<\(base)/directory>;rel=\"index\"")
        }
        return response
    }
}
