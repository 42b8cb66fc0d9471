// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
public import SystemSupport

/// Why there are no session credentials.
public struct RolesAnywhereError: ExplainedError, Equatable {
    /// The kind of failure.
    public enum Code: Sendable {
        /// An ARN, a region, a duration, an endpoint or a name is not what it should be. Nothing was sent.
        case invalidArgument
        /// Certificate, chain and key do not make an identity that the service accepts. Nothing was sent.
        case unusableIdentity
        /// A file could not be read. Nothing was sent.
        case unreadableFile
        /// A private key lies in a file that others may read, or somebody else wrote. Nothing was sent.
        case unprotectedFile
        /// libcurl is not installed.
        case missingLibrary
        /// The network, a name server or a proxy is in the way, or something took too long.
        case unreachable
        /// The server could not prove who it is.
        case untrustedServer
        /// The service answered that it cannot answer: throttled, overloaded or broken.
        case unavailable
        /// The service, or something in its place, answered what cannot be understood, or with a session that was not asked
        /// for.
        case malformedAnswer
        /// The service refused the request.
        case denied
    }

    /// The kind of failure.
    public let code: Code

    /// What is wrong. Never holds a secret.
    public let message: String

    /// How to fix it, if there is one way to name.
    public let hint: String?

    /// What the service answered; `nil` if the failure is not the service's.
    public let service: ServiceError?

    /// Whether the same request may succeed a little later.
    public let isTransient: Bool

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What is wrong, in lower case and without a full stop.
    ///   - hint: How to fix it.
    ///   - service: What the service said.
    ///   - isTransient: Whether the same request may succeed a little later.
    public init(
        _ code: Code, _ message: String, hint: String? = nil, service: ServiceError? = nil, isTransient: Bool = false
    ) {
        self.code = code
        self.message = message
        self.hint = hint
        self.service = service
        self.isTransient = isTransient
    }
}

/// What the service said when it refused or failed.
public struct ServiceError: Hashable, Sendable {
    /// The HTTP status.
    public let status: Int

    /// The error's code, such as `AccessDeniedException`; `nil` if the answer named none.
    public let code: String?

    /// The service's own words; where the answer was not the service's, the beginning of what it said.
    public let text: String?

    /// The number by which AWS support finds the request.
    public let requestID: String?

    /// Reads an answer that is not a success.
    ///
    /// The code is in the header `X-Amzn-ErrorType`, else in the member `code` or `__type` of the content, with a
    /// namespace before a `#` or a URL behind a `:`; the text is the member `message` or `Message`. The query services,
    /// STS among them, answer in XML: an `ErrorResponse` with an `Error` that has `Code` and `Message`.
    ///
    /// - Parameter response: The answer.
    public init(_ response: HTTPResponse) {
        status = response.status
        let body = response.body
        let header = Self.bareCode(response.headers["X-Amzn-ErrorType"])
        let requestID = response.headers["X-Amzn-RequestId"]
        if let answer = XMLElement(body), answer.name == "ErrorResponse", let error = answer.child("Error") {
            code = header ?? Self.bareCode(error.child("Code")?.text)
            text = error.child("Message")?.text
            self.requestID = requestID ?? answer.child("RequestId")?.text
            return
        }
        self.requestID = requestID
        if let members = try? JSONDecoder().decode(Members.self, from: Data(body.prefix(65_536))) {
            code = header ?? Self.bareCode(members.code) ?? Self.bareCode(members.type)
            text = members.message ?? members.capitalMessage
        } else {
            code = header
            text = Self.shortened(body)
        }
    }

    /// Whether the service asked for a slower pace.
    var isThrottling: Bool { status == 429 || code == "ThrottlingException" || code == "Throttling" }

    /// Whether the same request may succeed a little later.
    var isTransient: Bool { isThrottling || status >= 500 }

    /// The members of an error's content, by their names on the wire.
    private struct Members: Decodable {
        var code: String?
        var type: String?
        var message: String?
        var capitalMessage: String?

        enum CodingKeys: String, CodingKey {
            case code
            case type = "__type"
            case message
            case capitalMessage = "Message"
        }
    }

    private static func bareCode(_ text: String?) -> String? {
        guard let text, let code = text.split(separator: ":").first?.split(separator: "#").last else { return nil }
        let bare = code.filter { !$0.isWhitespace }
        return bare.isEmpty ? nil : bare
    }

    /// The beginning of an answer that is not JSON, such as a proxy's page, on one line.
    private static func shortened(_ body: [UInt8]) -> String? {
        let text = String(decoding: body.prefix(4096), as: UTF8.self)
        let words = text.split { $0.isWhitespace || $0.isNewline }.joined(separator: " ")
        // A session that came with a status of failure.
        if ["secretaccesskey", "sessiontoken"].contains(where: words.lowercased().contains) { return nil }
        return words.isEmpty ? nil : printable(words, limit: 200)
    }
}

extension ServiceError: CustomStringConvertible {
    /// The code, the text and the status.
    public var description: String {
        var parts: [String] = []
        if let code { parts.append(printable(code)) }
        if let text { parts.append(printable(text)) }
        let said = parts.isEmpty ? "nothing" : parts.joined(separator: ": ")
        let request = requestID.map { ", request \(printable($0))" } ?? ""
        return "\(said) (HTTP \(status)\(request))"
    }
}

extension RolesAnywhereError {
    /// An error that repeats what the service said and puts the likely cause under it.
    init(
        _ service: ServiceError, of origin: Endpoint.Service = .rolesAnywhere, attempts: Int, clockDifference: Double?
    ) {
        let isDenied = (400..<500).contains(service.status) && !service.isThrottling
        let code: Code = isDenied ? .denied : service.isTransient ? .unavailable : .malformedAnswer
        let times = attempts > 1 ? ", \(attempts) times" : ""
        let verb = isDenied ? "the service refused" : "the service cannot answer"
        self.init(
            code, "\(verb)\(times): \(service)",
            hint: Self.likelyCause(of: service, from: origin, clockDifference: clockDifference), service: service,
            isTransient: service.isTransient
        )
    }

    private static func likelyCause(
        of service: ServiceError, from origin: Endpoint.Service, clockDifference: Double?
    ) -> String? {
        let isSession = origin == .rolesAnywhere
        if (300..<400).contains(service.status) {
            return "redirects are not followed; check \(isSession ? "--endpoint" : "the endpoint")"
        }
        if service.isThrottling {
            return isSession
                ? "the quota is 10 requests a second for each account and region: cache credentials or ask less often"
                : "ask less often"
        }
        if service.status >= 500 { return "the fault is on the service's side; try again later" }
        guard let code = service.code else {
            return "the answer does not look like AWS's: a proxy may have given it, or "
                + "\(isSession ? "--endpoint" : "the endpoint") leads elsewhere"
        }
        guard isSession else { return callerCause(code, clockDifference: clockDifference) }
        switch code {
        case "AccessDeniedException": return deniedCause(service.text ?? "", clockDifference: clockDifference)
        case "ResourceNotFoundException":
            return "the trust anchor, the profile or the role does not exist in this region, or is disabled"
        case "ValidationException": return "an ARN, the duration or the certificate chain is malformed"
        default: return nil
        }
    }

    /// What the service says of a certificate that has no path to the trust anchor.
    private static let untrusted = "Untrusted signing certificate"

    /// Whether the service found no valid path from the certificate to the trust anchor.
    var isUntrusted: Bool { code == .denied && service?.text?.contains(Self.untrusted) == true }

    private static func deniedCause(_ text: String, clockDifference: Double?) -> String? {
        if text.contains(untrusted) {
            if text.contains("revoked") {
                return "the certificate is revoked; if its host may still have one, issue another"
            }
            return "the certificate is not under this trust anchor, is revoked or expired, "
                + "or breaks a rule for end-entity certificates"
        }
        if text.contains("Invalid signature") {
            return clockCause(clockDifference)
                ?? "the key is not the certificate's, this machine's clock is wrong, or something on the way changed "
                + "the request"
        }
        if text.contains("roleSessionName") {
            return "the profile does not accept a session name: enable acceptRoleSessionName, or leave out "
                + "--role-session-name"
        }
        if text.contains("Unable to assume role") {
            return
                "the role is not in the profile, its trust policy does not let rolesanywhere.amazonaws.com assume it for "
                + "this certificate, or the duration is above its maximum"
        }
        return nil
    }

    /// Why the Security Token Service refuses to say whose credentials are.
    private static func callerCause(_ code: String, clockDifference: Double?) -> String? {
        switch code {
        case "ExpiredToken", "ExpiredTokenException": "the credentials have ended: get new ones"
        case "InvalidClientTokenId":
            "this endpoint does not know the credentials: they are of another partition, or of a stand-in for AWS"
        case "SignatureDoesNotMatch":
            clockCause(clockDifference)
                ?? "the parts of the credentials do not belong together, this machine's clock is wrong, or something on "
                + "the way changed the request"
        case "RegionDisabledException": "STS is not active in this region: activate it in IAM, or name another region"
        default: nil
        }
    }

    /// Names the clock when it is too far off for a signature.
    private static func clockCause(_ difference: Double?) -> String? {
        guard let difference, abs(difference) > SignedExchange.toleratedClockDifference else { return nil }
        return "this machine's clock differs from the server's by \(Int(difference.rounded())) s: set it"
    }
}
