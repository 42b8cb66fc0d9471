// SPDX-License-Identifier: Apache-2.0

/// The outcome of a request in three digits (RFC 9110 §15).
package struct HTTPStatus: Hashable, Sendable, CustomStringConvertible {
    /// Three digits, 100 to 599.
    package let code: Int

    /// The words behind the digits, for people. Empty when there are none.
    package let reason: String

    /// Makes a status.
    ///
    /// - Parameters:
    ///   - code: Three digits; anything outside 100 to 599 becomes 500.
    ///   - reason: The words for people, in printable ASCII.
    package init(_ code: Int, _ reason: String = "") {
        self.code = (100...599).contains(code) ? code : 500
        self.reason = reason.utf8.allSatisfy { (0x20...0x7e).contains($0) } ? reason : ""
    }

    /// Two statuses are the same when their digits are.
    package static func == (left: HTTPStatus, right: HTTPStatus) -> Bool { left.code == right.code }

    /// Hashes the digits.
    package func hash(into hasher: inout Hasher) { hasher.combine(code) }

    /// 200.
    package static let ok = HTTPStatus(200, "OK")
    /// 201.
    package static let created = HTTPStatus(201, "Created")
    /// 204: there is no body.
    package static let noContent = HTTPStatus(204, "No Content")
    /// 400.
    package static let badRequest = HTTPStatus(400, "Bad Request")
    /// 401.
    package static let unauthorized = HTTPStatus(401, "Unauthorized")
    /// 403.
    package static let forbidden = HTTPStatus(403, "Forbidden")
    /// 404.
    package static let notFound = HTTPStatus(404, "Not Found")
    /// 405.
    package static let methodNotAllowed = HTTPStatus(405, "Method Not Allowed")
    /// 408: the request did not arrive in time.
    package static let requestTimeout = HTTPStatus(408, "Request Timeout")
    /// 409.
    package static let conflict = HTTPStatus(409, "Conflict")
    /// 413: the body is longer than the server takes.
    package static let contentTooLarge = HTTPStatus(413, "Content Too Large")
    /// 414: the request line is longer than the server takes.
    package static let uriTooLong = HTTPStatus(414, "URI Too Long")
    /// 417: `Expect` asks for something other than `100-continue`.
    package static let expectationFailed = HTTPStatus(417, "Expectation Failed")
    /// 429.
    package static let tooManyRequests = HTTPStatus(429, "Too Many Requests")
    /// 431: the headers are longer or more than the server takes (RFC 6585 §5).
    package static let headerFieldsTooLarge = HTTPStatus(431, "Request Header Fields Too Large")
    /// 500.
    package static let internalServerError = HTTPStatus(500, "Internal Server Error")
    /// 501: the method or the transfer coding is not known here.
    package static let notImplemented = HTTPStatus(501, "Not Implemented")
    /// 503.
    package static let serviceUnavailable = HTTPStatus(503, "Service Unavailable")
    /// 505: neither HTTP/1.0 nor HTTP/1.1.
    package static let versionNotSupported = HTTPStatus(505, "HTTP Version Not Supported")

    /// The digits and the words.
    package var description: String { reason.isEmpty ? "\(code)" : "\(code) \(reason)" }
}
