// SPDX-License-Identifier: Apache-2.0

/// Whose credentials are: what the Security Token Service answers to GetCallerIdentity.
public struct CallerIdentity: Hashable, Sendable {
    /// The account, twelve digits.
    public let account: String

    /// The ARN of the caller; for a session the role's name and the session's.
    public let arn: String

    /// The unique identifier; for a session the role's and, behind a `:`, the session's name.
    public let userID: String

    /// Creates an identity, as tests need it.
    ///
    /// - Parameters:
    ///   - account: The account.
    ///   - arn: The ARN of the caller.
    ///   - userID: The unique identifier.
    public init(account: String, arn: String, userID: String) {
        self.account = account
        self.arn = arn
        self.userID = userID
    }
}

extension CallerIdentity {
    /// Reads a successful answer.
    init(answer body: [UInt8]) throws(RolesAnywhereError) {
        guard let answer = XMLElement(body), answer.name == "GetCallerIdentityResponse",
            let result = answer.child("GetCallerIdentityResult")
        else { throw Self.malformed("is not the answer to GetCallerIdentity that it should be") }
        account = try Self.text("Account", in: result) { $0.utf8.count == 12 && $0.utf8.allSatisfy(Self.isDigit) }
        arn = try Self.text("Arn", in: result) { $0.hasPrefix("arn:") }
        userID = try Self.text("UserId", in: result) { !$0.isEmpty }
    }

    private static func isDigit(_ octet: UInt8) -> Bool { (0x30...0x39).contains(octet) }

    /// The text of a part, printable ASCII as all three are, so that it can go to a terminal as it is.
    private static func text(
        _ name: String, in result: XMLElement, accepts: (String) -> Bool
    ) throws(RolesAnywhereError) -> String {
        guard let text = result.child(name)?.text, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), accepts(text)
        else { throw malformed("has no usable \(name)") }
        return text
    }

    private static func malformed(_ what: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .malformedAnswer, "the service's answer \(what)",
            hint: "check that the endpoint is that of STS and that no proxy answers in its place")
    }
}

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

    /// Creates a client without sending anything.
    ///
    /// - Parameters:
    ///   - endpoint: Where the service listens: `Endpoint(region:variant:service:)` with
    ///     ``Endpoint/Service/securityTokenService``, or a custom one.
    ///   - region: The region that signatures name.
    ///   - transport: What carries the requests.
    ///   - retryPolicy: How often to ask again.
    ///   - dependencies: The clock, sleep function and random source.
    ///   - observer: Receives each step, on the calling thread.
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
            with: .securityTokenService, transport: transport, retryPolicy: retryPolicy, dependencies: dependencies,
            observer: observer)
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

    /// The signed request, to inspect it or to send it in another way.
    ///
    /// - Parameter credentials: Whose key signs.
    /// - Returns: The request, which holds the session token, and the texts that led to its signature, which do not.
    /// - Throws: Nothing of its own; signing shares its path with keys that can fail.
    public func signedRequest(with credentials: SessionCredentials) throws -> SignedRequest {
        let unsigned = HTTPRequest(
            method: "POST", url: endpoint.url,
            headers: ["Content-Type": "application/x-www-form-urlencoded; charset=utf-8"],
            body: Array("Action=GetCallerIdentity&Version=2011-06-15".utf8))
        return try CredentialsSigner(region: region, service: .securityTokenService)
            .sign(unsigned, with: credentials, at: exchange.correctedNow)
    }
}

/// An element of a small XML document (XML 1.0), as the query services of AWS answer: elements with text or elements in them.
///
/// What such answers do not have is refused, not skipped: document types, and with them custom entities, comments,
/// CDATA, processing instructions, and text beside elements.
struct XMLElement: Hashable {
    /// The name, with its prefix if it has one.
    let name: String

    /// The elements in it, in order.
    private(set) var children: [XMLElement] = []

    /// The text in it, decoded; empty when it has elements.
    private(set) var text = ""

    /// The largest document that is read, in bytes.
    private static let sizeLimit = 65_536

    /// Reads the outermost element of a document; `nil` if the document is not such a one.
    init?(_ document: [UInt8]) {
        guard document.count <= Self.sizeLimit, String(validating: document, as: UTF8.self) != nil else { return nil }
        var reader = Reader(rest: document[...])
        reader.skipDeclaration()
        reader.skipBlanks()
        guard let element = reader.element(depth: 0) else { return nil }
        reader.skipBlanks()
        guard reader.rest.isEmpty else { return nil }
        self = element
    }

    private init(name: String) { self.name = name }

    /// The one element of a name in this one.
    func child(_ name: String) -> XMLElement? {
        let found = children.filter { $0.name == name }
        return found.count == 1 ? found.first : nil
    }

    /// What is left of a document.
    private struct Reader {
        var rest: ArraySlice<UInt8>

        private static let depthLimit = 16

        mutating func skipBlanks() { rest = rest.drop(while: Self.isBlank) }

        /// Skips a declaration such as `<?xml version="1.0"?>`, which may be at the very beginning.
        mutating func skipDeclaration() {
            guard rest.starts(with: "<?xml ".utf8), let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return }
            rest = rest[(end + 1)...]
        }

        mutating func element(depth: Int) -> XMLElement? {
            guard depth < Self.depthLimit, take("<"), let name = name() else { return nil }
            var element = XMLElement(name: name)
            guard let isEmpty = attributes() else { return nil }
            if isEmpty { return element }
            while !rest.starts(with: "</".utf8) {
                if rest.first == UInt8(ascii: "<") {
                    guard let child = self.element(depth: depth + 1) else { return nil }
                    element.children.append(child)
                } else {
                    guard let text = text() else { return nil }
                    element.text += text
                }
            }
            guard take("</"), self.name() == name else { return nil }
            skipBlanks()
            guard take(">") else { return nil }
            if !element.children.isEmpty {
                // Between elements there are only blanks.
                guard element.text.utf8.allSatisfy(Self.isBlank) else { return nil }
                element.text = ""
            }
            return element
        }

        /// Skips the attributes of a tag and its end.
        private mutating func attributes() -> Bool? {
            while true {
                let hasBlank = rest.first.map(Self.isBlank) ?? false
                skipBlanks()
                if take(">") { return false }
                if take("/>") { return true }
                guard hasBlank, name() != nil, take("=") else { return nil }
                guard let quote = rest.popFirst(), quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
                    let end = rest.firstIndex(of: quote), !rest[..<end].contains(UInt8(ascii: "<"))
                else { return nil }
                rest = rest[(end + 1)...]
            }
        }

        private mutating func name() -> String? {
            let name = rest.prefix {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ":"): true
                default: false
                }
            }
            guard let first = name.first, !"0123456789-.".utf8.contains(first) else { return nil }
            rest = rest[name.endIndex...]
            return String(decoding: name, as: UTF8.self)
        }

        /// Text up to the next tag; `nil` if there is none.
        private mutating func text() -> String? {
            guard let end = rest.firstIndex(of: UInt8(ascii: "<")) else { return nil }
            var raw = rest[..<end]
            rest = rest[end...]
            var octets: [UInt8] = []
            while let octet = raw.popFirst() {
                guard octet == UInt8(ascii: "&") else {
                    octets.append(octet)
                    continue
                }
                guard let semicolon = raw.prefix(10).firstIndex(of: UInt8(ascii: ";")),
                    let character = Self.character(String(decoding: raw[..<semicolon], as: UTF8.self))
                else { return nil }
                octets += Array(String(character).utf8)
                raw = raw[(semicolon + 1)...]
            }
            return String(decoding: octets, as: UTF8.self)
        }

        /// The character that a reference such as `amp` or `#x41` means.
        private static func character(_ reference: String) -> Unicode.Scalar? {
            switch reference {
            case "amp": return "&"
            case "lt": return "<"
            case "gt": return ">"
            case "quot": return "\""
            case "apos": return "'"
            default: break
            }
            guard reference.hasPrefix("#") else { return nil }
            let isHexadecimal = reference.hasPrefix("#x")
            let digits = reference.dropFirst(isHexadecimal ? 2 : 1)
            guard digits.allSatisfy(\.isHexDigit), let number = UInt32(digits, radix: isHexadecimal ? 16 : 10),
                number != 0
            else { return nil }
            return Unicode.Scalar(number)
        }

        private mutating func take(_ text: StaticString) -> Bool {
            let wanted = "\(text)".utf8
            guard rest.starts(with: wanted) else { return false }
            rest = rest.dropFirst(wanted.count)
            return true
        }

        private static func isBlank(_ octet: UInt8) -> Bool {
            octet == 0x20 || octet == 0x09 || octet == 0x0a || octet == 0x0d
        }
    }
}
