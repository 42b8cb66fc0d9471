// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
package import HTTPServer
internal import Synchronization
import SystemSupport

/// Answers the SDKs on this machine: as the container credentials endpoint, and, when that is wanted, as the instance
/// metadata service, version 2.
///
/// | path | |
/// |---|---|
/// | `PUT /latest/api/token` | a token for the metadata service |
/// | `GET /latest/meta-data/iam/security-credentials/` | the name of the first role |
/// | `GET /latest/meta-data/iam/security-credentials/ROLE` | its credentials |
/// | `GET /latest/meta-data/placement/region` | the region, if it is known |
/// | `GET /latest/dynamic/instance-identity/document` | a document with the region, if it is known |
/// | `GET /credentials/NAME` | the credentials of any of the roles, by the name they are kept under |
/// | `GET /healthz` | 200 when there are valid credentials for each role, else 503 |
/// | `GET /metrics` | figures in Prometheus's text format |
///
/// Everything is answered from memory. A web page that a browser on this machine shows cannot ask: a name in `Host` that is
/// not this machine's is refused (DNS rebinding), and so is what came through a proxy (`X-Forwarded-For`). The metadata
/// service, which knows no secret, is for this machine only; the container endpoint wants its token from everyone.
package final class CredentialServer: HTTPHandler {
    /// What a server is made of besides its keepers.
    package struct Options: Sendable {
        /// Host names beside addresses and `localhost` that requests may be for.
        package var hosts: Set<String> = []
        /// Whether the metadata service is offered. It knows no secret: every user of this machine can have the first
        /// role's credentials from it.
        package var servesMetadata = false
        /// The region that the metadata service names; `nil` if it is not known.
        package var region: String?
        /// The longest that a request waits for credentials that are being obtained, in seconds.
        package var patience = 10.0

        /// The defaults.
        package init() {}
    }

    let keepers: [CredentialRefresher]
    private let names: [String: CredentialRefresher]
    private let options: Options
    private let authorization: @Sendable () -> String?
    private let now: @Sendable () -> Date
    private let tokens: MetadataToken
    private let requests = Atomic(0)

    private static let credentialsPath = "/latest/meta-data/iam/security-credentials"
    private static let regionPath = "/latest/meta-data/placement/region"
    private static let documentPath = "/latest/dynamic/instance-identity/document"

    /// Makes a server.
    ///
    /// - Parameters:
    ///   - keepers: Keep the credentials; at least one. The metadata service knows the first.
    ///   - options: Hosts and patience.
    ///   - authorization: The value that `Authorization` must have at the container endpoint; `nil` if it is not
    ///     known; then nothing is served there. It is asked at each request and must not block.
    ///   - now: The time.
    ///   - randomBytes: Draws so many random bytes.
    package init(
        keepers: [CredentialRefresher], options: Options = Options(), authorization: @escaping @Sendable () -> String?,
        now: @escaping @Sendable () -> Date, randomBytes: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.keepers = keepers
        names = Dictionary(keepers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.options = options
        self.authorization = authorization
        self.now = now
        tokens = MetadataToken(randomBytes: randomBytes)
    }

    /// Lets requests go that have waited too long, to be called about once a second.
    package func releaseWaiters() {
        for keeper in keepers { keeper.releaseWaiters(after: options.patience) }
    }

    /// Answers a request.
    ///
    /// - Parameter request: The request.
    /// - Returns: The answer.
    package func answer(_ request: HTTPRequest) -> HTTPAnswer {
        requests.wrappingAdd(1, ordering: .relaxed)
        guard admits(request.host) else {
            return refuse(
                .forbidden, "the Host header names another host: use an IP address or localhost")
        }
        guard !request.headers.contains("X-Forwarded-For") else {
            return refuse(.forbidden, "a request that came through a proxy is not answered")
        }
        let path = Self.plain(request.path)
        if path == "/latest" || path.utf8.starts(with: "/latest/".utf8) { return metadata(request, path) }
        guard request.method == .get || request.method == .head else {
            return refuse(.methodNotAllowed, "this path takes GET", allow: "GET, HEAD")
        }
        if path.utf8.starts(with: "/credentials/".utf8) {
            return container(request, Substring(path.utf8.dropFirst("/credentials/".utf8.count)))
        }
        switch path {
        case "/healthz": return .now(health)
        case "/metrics": return request.isLocal || isAuthorized(request) ? .now(metrics) : unauthorized
        default: return refuse(.notFound, "there is nothing at this path")
        }
    }

    /// The path with one slash at the start and none at the end: clients join it in several ways to an endpoint with or
    /// without a slash.
    private static func plain(_ path: Substring) -> Substring {
        var bytes = path.utf8.drop { $0 == UInt8(ascii: "/") }
        if bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        return "/" + Substring(bytes)
    }

    /// Whether a request may be for this host.
    ///
    /// A page in a browser can ask this machine under a name of the page's own (DNS rebinding), never under an address. So
    /// addresses and `localhost` are admitted, and other names only if they were allowed.
    private func admits(_ host: String?) -> Bool {
        guard let authority = host.flatMap({ HTTPAuthority($0) }) else { return false }
        return authority.isAddress || authority.host == "localhost" || options.hosts.contains(authority.host)
    }

    // MARK: The metadata service

    private func metadata(_ request: HTTPRequest, _ path: Substring) -> HTTPAnswer {
        guard options.servesMetadata else {
            return refuse(
                .notFound,
                "the metadata service, which every user of this machine could ask, is not offered here; "
                    + "pki serve --imds offers it")
        }
        guard request.isLocal else {
            return refuse(.forbidden, "the metadata service is for programs on this machine")
        }
        if path == "/latest/api/token" { return token(request) }
        guard request.method == .get || request.method == .head else {
            return refuse(.methodNotAllowed, "this path takes GET", allow: "GET, HEAD")
        }
        guard request.headers.count(Self.tokenHeader) == 1, let token = request.headers[Self.tokenHeader],
            let left = tokens.secondsLeft(token, at: now())
        else { return refuse(.unauthorized, "a token from PUT /latest/api/token is required in \(Self.tokenHeader)") }
        let headers: HTTPHeaders = [Self.answeredTimeHeader: String(left)]
        if let region = options.region {
            let document: JSONValue = ["region": .string(region)]
            switch path {
            case Self.regionPath: return .now(Self.found(region, "text/plain", headers))
            case Self.documentPath: return .now(Self.found(document.text, "application/json", headers))
            default: break
            }
        }
        guard path.utf8.starts(with: Self.credentialsPath.utf8) else {
            return refuse(.notFound, "only \(Self.credentialsPath)/ is served here", headers)
        }
        switch Substring(path.utf8.dropFirst(Self.credentialsPath.utf8.count)) {
        case "": return roleName(headers)
        case let role where role.utf8.first == UInt8(ascii: "/"):
            return roleCredentials(String(role.utf8.dropFirst()) ?? "", headers)
        default: return refuse(.notFound, "only \(Self.credentialsPath)/ is served here", headers)
        }
    }

    private func token(_ request: HTTPRequest) -> HTTPAnswer {
        guard request.method == .put else { return refuse(.methodNotAllowed, "this path takes PUT", allow: "PUT") }
        let values = request.headers.values(Self.wantedTimeHeader)
        guard values.count == 1, let text = values.first, (1...5).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = Int(text),
            (1...MetadataToken.longestTime).contains(seconds)
        else {
            return refuse(
                .badRequest,
                "\(Self.wantedTimeHeader) has to be given, once, with 1 to \(MetadataToken.longestTime) seconds")
        }
        return .now(
            HTTPResponse(
                status: .ok, headers: ["Content-Type": "text/plain", Self.answeredTimeHeader: text],
                body: Array(tokens.make(seconds: seconds, at: now()).utf8)))
    }

    /// The name of the role is known with its credentials only.
    private func roleName(_ headers: HTTPHeaders) -> HTTPAnswer {
        guard let keeper = keepers.first else { return refuse(.notFound, "no role is served", headers) }
        return whenThere(keeper, headers) { Self.found($0.roleName, "text/plain", headers) }
    }

    private func roleCredentials(_ role: String, _ headers: HTTPHeaders) -> HTTPAnswer {
        guard let keeper = keepers.first else { return refuse(.notFound, "no role is served", headers) }
        return whenThere(keeper, headers) { document in
            guard document.roleName == role else {
                return Self.message(.notFound, "the role here is another", headers)
            }
            var headers = headers
            headers.append("Content-Type", "application/json")
            return HTTPResponse(status: .ok, headers: headers, body: document.metadata)
        }
    }

    // MARK: The container endpoint

    private func container(_ request: HTTPRequest, _ path: Substring) -> HTTPAnswer {
        guard isAuthorized(request) else { return unauthorized }
        guard let name = PercentEncoding.decode(path), let keeper = names[name] else {
            return refuse(.notFound, "no credentials of this name are served")
        }
        return whenThere(keeper, [:]) { document in
            HTTPResponse(status: .ok, headers: ["Content-Type": "application/json"], body: document.container)
        }
    }

    private func isAuthorized(_ request: HTTPRequest) -> Bool {
        let values = request.headers.valueBytes("Authorization")
        guard values.count == 1, let value = values.first, let expected = authorization(), !expected.isEmpty else {
            return false
        }
        return areEqual(value, Array(expected.utf8))
    }

    private var unauthorized: HTTPAnswer {
        refuse(.unauthorized, "the Authorization header must be exactly the contents of the token file")
    }

    // MARK: Answers

    private static func found(_ text: String, _ type: String, _ headers: HTTPHeaders) -> HTTPResponse {
        var headers = headers
        headers.append("Content-Type", type)
        return HTTPResponse(status: .ok, headers: headers, body: Array(text.utf8))
    }

    /// Answers with credentials: at once, when there are any; else when the attempt that is under way is over.
    private func whenThere(
        _ keeper: CredentialRefresher, _ headers: HTTPHeaders,
        _ answer: @escaping @Sendable (CredentialDocument) -> HTTPResponse
    ) -> HTTPAnswer {
        if let document = keeper.document { return .now(answer(document)) }
        return .later { responder in
            keeper.whenSettled {
                if let document = keeper.document { return responder.answer(answer(document)) }
                let status = keeper.status
                let reason =
                    status.failure ?? (status.isPending ? "still waiting for the service" : "they have expired")
                responder.answer(
                    Self.message(.serviceUnavailable, "there are no credentials for \(keeper.name): \(reason)", headers)
                )
            }
        }
    }

    private func refuse(
        _ status: HTTPStatus, _ text: String, _ headers: HTTPHeaders = [:], allow: String? = nil
    ) -> HTTPAnswer {
        var headers = headers
        if let allow { headers.append("Allow", allow) }
        return .now(Self.message(status, text, headers))
    }

    /// What the SDKs show when there are no credentials: the container provider's form, `code` and `message`.
    private static func message(_ status: HTTPStatus, _ text: String, _ headers: HTTPHeaders) -> HTTPResponse {
        var headers = headers
        headers.append("Content-Type", "application/json")
        let code = status.reason.filter { $0 != " " }
        let body: JSONValue = ["code": .string(code), "message": .string(text)]
        return HTTPResponse(status: status, headers: headers, body: body.bytes)
    }

    // MARK: Health

    private var health: HTTPResponse {
        let missing = keepers.map { ($0.name, $0.status) }.filter { $0.1.credentials == nil }
        if missing.isEmpty { return HTTPResponse(status: .ok, text: "ok\n") }
        let lines = missing.map { name, status in
            "\(name): no valid credentials: \(status.failure ?? "none yet")\n"
        }
        return HTTPResponse(status: .serviceUnavailable, text: lines.joined())
    }

    private var metrics: HTTPResponse {
        let text = MetricsText(
            keepers.map { ($0.name, $0.status) },
            requests: requests.load(ordering: .relaxed),
            at: now()
        )
        return HTTPResponse(
            status: .ok, headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"],
            body: Array(text.text.utf8))
    }

    private static let tokenHeader = "X-aws-ec2-metadata-token"
    private static let wantedTimeHeader = "X-aws-ec2-metadata-token-ttl-seconds"
    private static let answeredTimeHeader = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
}
