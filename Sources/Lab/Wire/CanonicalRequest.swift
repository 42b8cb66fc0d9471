// SPDX-License-Identifier: Apache-2.0

import Certificates
import HTTPService

/// The one text that client and service make of a request, rebuilt here from nothing but what was received.
///
/// Source: IAM Roles Anywhere User Guide, "Authentication signing process".
struct CanonicalRequest {
    /// The text, as bytes: a header may hold some that are not UTF-8.
    let bytes: [UInt8]

    /// The text for people.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Rebuilds the text.
    ///
    /// - Parameters:
    ///   - request: The request as received.
    ///   - query: The parameters of its query, decoded.
    ///   - signedHeaders: The lower-case names of the headers that were signed, sorted.
    init(_ request: HTTPRequest, query: [QueryParameter], signedHeaders: [String]) {
        var bytes = Array("\(request.method)\n\(request.path)\n\(Self.canonical(query))\n".utf8)
        for name in signedHeaders {
            bytes += name.utf8
            bytes.append(0x3a)
            for (index, field) in request.headers.valueBytes(name).enumerated() {
                if index > 0 { bytes.append(0x2c) }
                Self.collapse(field, into: &bytes)
            }
            bytes.append(0x0a)
        }
        bytes.append(0x0a)
        bytes += signedHeaders.joined(separator: ";").utf8
        bytes.append(0x0a)
        bytes += hexadecimal(Digest.sha256.hash(request.body)).utf8
        self.bytes = bytes
    }

    /// What is signed.
    ///
    /// - Parameters:
    ///   - authorization: The algorithm and the scope.
    ///   - date: `X-Amz-Date` as received.
    /// - Returns: The bytes that the client's key signed.
    func stringToSign(_ authorization: AuthorizationHeader, date: String) -> [UInt8] {
        let scope = "\(authorization.date)/\(authorization.region)/\(authorization.service)/\(authorization.terminator)"
        let hash = hexadecimal(Digest.sha256.hash(bytes))
        return Array("\(authorization.algorithm)\n\(date)\n\(scope)\n\(hash)".utf8)
    }

    private static func canonical(_ query: [QueryParameter]) -> String {
        query.map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
            .sorted { $0 < $1 }
            .map { "\($0)=\($1)" }
            .joined(separator: "&")
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

/// A parameter of a query, decoded.
struct QueryParameter: Equatable {
    var name: String
    var value: String

    /// Reads a query as it was received.
    ///
    /// - Parameter query: What stands behind the `?`.
    /// - Returns: The parameters in their order.
    /// - Throws: ``ServiceRefusal`` when the encoding is malformed or a parameter has no name.
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
