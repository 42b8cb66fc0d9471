// SPDX-License-Identifier: Apache-2.0

import Certificates
import HTTPServer
import SystemSupport

/// The text that client and service make of a request, rebuilt here from what was received alone.
///
/// Source: IAM Roles Anywhere User Guide, "Authentication signing process"; IAM User Guide, "Create a signed AWS API
/// request".
struct CanonicalRequest {
    /// How the text is made. The service's way is ``standard``; the others are what clients are known to do wrong, so that
    /// the lab can find out what a client signed.
    struct Form: Hashable, Sendable {
        enum Path: Hashable { case asReceived, encodedAgain, root }
        enum Query: Hashable { case canonical, asReceived, absent, blanksAsPlus }
        enum Host: Hashable { case asReceived, withoutPort }
        enum Body: Hashable { case received, empty, unsigned }

        var path = Path.asReceived
        var query = Query.canonical
        var host = Host.asReceived
        var body = Body.received
        var collapsesBlanks = true
        var endsHeadersWithBlankLine = true

        /// As IAM Roles Anywhere reads CreateSession.
        static let standard = Form()
        /// As every service but S3 reads a request: the path is encoded once more.
        static let encodedAgain = Form(path: .encodedAgain)
    }

    /// The text, as bytes: a header may hold some that are not UTF-8.
    let bytes: [UInt8]

    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Rebuilds the text, with the lower-case and sorted names of the headers that were signed.
    init(_ request: HTTPRequest, query: [QueryParameter], signedHeaders: [String], form: Form = .standard) {
        var bytes = Array(
            "\(request.method)\n\(Self.path(request, form.path))\n\(Self.query(request, query, form.query))\n".utf8)
        for name in signedHeaders {
            bytes += name.utf8
            bytes.append(0x3a)
            for (index, field) in request.headers.valueBytes(name).enumerated() {
                if index > 0 { bytes.append(0x2c) }
                let value = name == "host" ? Self.host(field, form.host) : field
                if form.collapsesBlanks { Self.collapse(value, into: &bytes) } else { bytes += value }
            }
            bytes.append(0x0a)
        }
        if form.endsHeadersWithBlankLine { bytes.append(0x0a) }
        bytes += signedHeaders.joined(separator: ";").utf8
        bytes.append(0x0a)
        switch form.body {
        case .received: bytes += hexadecimal(Digest.sha256.hash(request.body)).utf8
        case .empty: bytes += hexadecimal(Digest.sha256.hash([])).utf8
        case .unsigned: bytes += "UNSIGNED-PAYLOAD".utf8
        }
        self.bytes = bytes
    }

    /// What is signed, with `X-Amz-Date` as received.
    func stringToSign(_ authorization: AuthorizationHeader, date: String) -> [UInt8] {
        let scope = "\(authorization.date)/\(authorization.region)/\(authorization.service)/\(authorization.terminator)"
        let hash = hexadecimal(Digest.sha256.hash(bytes))
        return Array("\(authorization.algorithm)\n\(date)\n\(scope)\n\(hash)".utf8)
    }

    private static func path(_ request: HTTPRequest, _ form: Form.Path) -> String {
        switch form {
        case .asReceived: return String(request.path)
        case .root: return "/"
        case .encodedAgain:
            // The bytes that encoding leaves alone make the common case short.
            if request.path.utf8.allSatisfy({ $0 != 0x25 && $0 != 0x3a }) { return String(request.path) }
            return request.path.split(separator: "/", omittingEmptySubsequences: false)
                .map { PercentEncoding.encode(String($0)) }.joined(separator: "/")
        }
    }

    private static func query(_ request: HTTPRequest, _ query: [QueryParameter], _ form: Form.Query) -> String {
        switch form {
        case .absent: return ""
        case .asReceived: return String(request.query ?? "")
        case .canonical: return canonical(query)
        case .blanksAsPlus: return canonical(query).replacing("%20", with: "+")
        }
    }

    private static func canonical(_ query: [QueryParameter]) -> String {
        query.map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
            .sorted { $0 < $1 }
            .map { "\($0)=\($1)" }
            .joined(separator: "&")
    }

    private static func host(_ value: [UInt8], _ form: Form.Host) -> [UInt8] {
        guard form == .withoutPort, let colon = value.lastIndex(of: 0x3a) else { return value }
        return Array(value[..<colon])
    }

    /// Blanks at the ends go, blanks in a row become one.
    private static func collapse(_ value: [UInt8], into bytes: inout [UInt8]) {
        var isPending = false
        var isFirst = true
        for byte in value {
            if byte == 0x20 || byte == 0x09 {
                isPending = !isFirst
                continue
            }
            if isPending { bytes.append(0x20) }
            bytes.append(byte)
            (isPending, isFirst) = (false, false)
        }
    }
}

/// The canonical request that the lab made, and the one that the client signed where it can be found.
///
/// A signature does not show what was signed. But the usual faults of clients are known: each is tried, and the client made
/// the one whose result the signature fits.
struct CanonicalComparison: Sendable, Hashable {
    /// What the lab made of what it received.
    let lab: String

    /// What the client signed; `nil` if none of the known faults explains the signature.
    let client: String?

    /// What the client did.
    let difference: String?

    private static let suspects: [(form: CanonicalRequest.Form, words: String)] = [
        (.init(path: .asReceived), "the client did not encode the path once more"),
        (.init(path: .encodedAgain), "the client encoded the path once more"),
        (.init(path: .root), "the client signed the path \"/\""),
        (.init(query: .asReceived), "the client signed the query as it is, neither sorted nor encoded"),
        (.init(query: .blanksAsPlus), "the client encoded blanks in the query as \"+\", not as \"%20\""),
        (.init(query: .absent), "the client left the query out"),
        (.init(host: .withoutPort), "the client signed the host without its port"),
        (.init(body: .empty), "the client signed the hash of an empty body"),
        (.init(body: .unsigned), "the client signed UNSIGNED-PAYLOAD in the place of the body's hash"),
        (.init(collapsesBlanks: false), "the client did not make blanks in a row into one"),
        (.init(endsHeadersWithBlankLine: false), "the client left out the empty line behind the headers"),
    ]

    init(
        _ request: HTTPRequest, query: [QueryParameter], signedHeaders: [String], form: CanonicalRequest.Form,
        isSigned: (CanonicalRequest) -> Bool
    ) {
        let own = CanonicalRequest(request, query: query, signedHeaders: signedHeaders, form: form)
        lab = Self.shown(own)
        for (suspect, words) in Self.suspects {
            var suspect = suspect
            if suspect.path == .asReceived, suspect != .standard { suspect.path = form.path }
            let candidate = CanonicalRequest(request, query: query, signedHeaders: signedHeaders, form: suspect)
            guard candidate.bytes != own.bytes, isSigned(candidate) else { continue }
            client = Self.shown(candidate)
            difference = words
            return
        }
        client = nil
        difference = nil
    }

    /// The text without the session token, which is a secret; its beginning shows whether it is the right one.
    private static func shown(_ canonical: CanonicalRequest) -> String {
        let name = "x-amz-security-token:"
        return canonical.text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.hasPrefix(name) ? "\($0.prefix(name.count + 16))…" : $0 }
            .joined(separator: "\n")
    }
}

/// A parameter of a query, decoded.
struct QueryParameter: Equatable {
    var name: String
    var value: String

    /// Reads what follows the `?` of a request's target.
    static func parameters(in query: Substring?) throws(ServiceRefusal) -> [QueryParameter] {
        guard let query, !query.isEmpty else { return [] }
        var parameters: [QueryParameter] = []
        for part in query.utf8.split(separator: 0x26, omittingEmptySubsequences: false).map(Substring.init) {
            let equals = part.utf8.firstIndex(of: 0x3d) ?? part.endIndex
            guard let name = PercentEncoding.decode(part[..<equals]), !name.isEmpty,
                let value = PercentEncoding.decode(part[equals...].dropFirst())
            else { throw .validation("the query is not well encoded at \"\(part.prefix(60))\"") }
            parameters.append(QueryParameter(name: name, value: value))
        }
        return parameters
    }
}
