// SPDX-License-Identifier: Apache-2.0

/// The methods that reach a handler; the server answers any other with 501.
package enum HTTPMethod: String, CustomStringConvertible, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
    case options = "OPTIONS"

    package var description: String { rawValue }
}

/// The status of a response (RFC 9110 §15).
package struct HTTPStatus: Hashable, Sendable, CustomStringConvertible {
    package let code: Int

    /// The standard text for the code; empty if there is none.
    package let reason: String

    /// A code outside of 100 to 599 becomes 500.
    package init(_ code: Int, _ reason: String = "") {
        self.code = (100...599).contains(code) ? code : 500
        self.reason = reason
    }

    package static func == (left: HTTPStatus, right: HTTPStatus) -> Bool { left.code == right.code }
    package func hash(into hasher: inout Hasher) { hasher.combine(code) }

    package static let ok = HTTPStatus(200, "OK")
    package static let created = HTTPStatus(201, "Created")
    package static let accepted = HTTPStatus(202, "Accepted")
    package static let noContent = HTTPStatus(204, "No Content")
    package static let notModified = HTTPStatus(304, "Not Modified")
    package static let badRequest = HTTPStatus(400, "Bad Request")
    package static let unauthorized = HTTPStatus(401, "Unauthorized")
    package static let forbidden = HTTPStatus(403, "Forbidden")
    package static let notFound = HTTPStatus(404, "Not Found")
    package static let methodNotAllowed = HTTPStatus(405, "Method Not Allowed")
    package static let requestTimeout = HTTPStatus(408, "Request Timeout")
    package static let conflict = HTTPStatus(409, "Conflict")
    package static let contentTooLarge = HTTPStatus(413, "Content Too Large")
    package static let uriTooLong = HTTPStatus(414, "URI Too Long")
    package static let expectationFailed = HTTPStatus(417, "Expectation Failed")
    package static let tooManyRequests = HTTPStatus(429, "Too Many Requests")
    package static let headerFieldsTooLarge = HTTPStatus(431, "Request Header Fields Too Large")
    package static let internalServerError = HTTPStatus(500, "Internal Server Error")
    package static let notImplemented = HTTPStatus(501, "Not Implemented")
    package static let serviceUnavailable = HTTPStatus(503, "Service Unavailable")
    package static let versionNotSupported = HTTPStatus(505, "HTTP Version Not Supported")

    package var description: String { reason.isEmpty ? "\(code)" : "\(code) \(reason)" }
}

/// The header fields of a message with their order, case and duplicates.
///
/// They are the bytes as received, which is what a client signed. A name or a value becomes a string when it is asked for.
package struct HTTPHeaders: Sendable {
    /// Where a field is in the bytes.
    struct Position: Sendable {
        var name: Range<Int>
        var value: Range<Int>
    }

    /// The fields, and of a request also what is around them.
    private var bytes: [UInt8] = []
    private(set) var positions: [Position] = []

    package init() {}

    init(bytes: [UInt8], positions: [Position]) {
        self.bytes = bytes
        self.positions = positions
    }

    /// Adds a field after the others.
    ///
    /// Control characters become spaces, so that no text from outside can end its line and add a header to a response.
    package mutating func append(_ name: String, _ value: String) {
        let nameRange = append(name)
        bytes += ": ".utf8
        let valueRange = append(value)
        bytes += "\r\n".utf8
        positions.append(Position(name: nameRange, value: valueRange))
    }

    private mutating func append(_ text: String) -> Range<Int> {
        let start = bytes.count
        for byte in text.utf8 { bytes.append(Self.isControl(byte) ? 0x20 : byte) }
        return start..<bytes.count
    }

    /// The value of the first field of a name, in any case.
    package subscript(name: String) -> String? {
        guard let position = positions.first(where: { isNamed(name, $0) }) else { return nil }
        return text(position.value)
    }

    /// The values of every field of a name, in order. Lists within a value are not split.
    package func values(_ name: String) -> [String] {
        positions.compactMap { isNamed(name, $0) ? text($0.value) : nil }
    }

    package func valueBytes(_ name: String) -> [[UInt8]] {
        positions.compactMap { isNamed(name, $0) ? Array(bytes[$0.value]) : nil }
    }

    package func count(_ name: String) -> Int { positions.count { isNamed(name, $0) } }

    package func contains(_ name: String) -> Bool { positions.contains { isNamed(name, $0) } }

    /// Whether a list separated by commas, such as that of `Connection`, has a word, in any case.
    func contains(token: String, in name: String) -> Bool {
        guard contains(name) else { return false }
        return values(name).contains { value in
            value.split(separator: ",").contains { part in
                equalIgnoringCase(
                    part.utf8.drop { $0 == 0x20 || $0 == 0x09 }.prefix { $0 != 0x20 && $0 != 0x09 },
                    token.utf8
                )
            }
        }
    }

    /// The lines of a response's headers, which were all made by ``append(_:_:)``.
    var wireBytes: [UInt8] { bytes }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    private func isNamed(_ name: String, _ position: Position) -> Bool {
        position.name.count == name.utf8.count && equalIgnoringCase(bytes[position.name], name.utf8)
    }

    private static func isControl(_ byte: UInt8) -> Bool { (byte < 0x20 && byte != 0x09) || byte == 0x7f }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, String)...) {
        self.init()
        for (name, value) in elements { append(name, value) }
    }
}

func equalIgnoringCase(_ left: some Sequence<UInt8>, _ right: some Sequence<UInt8>) -> Bool {
    let lowercase = { (byte: UInt8) in (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }
    return left.elementsEqual(right) { lowercase($0) == lowercase($1) }
}
