// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// What carries a request to a server and brings back the answer.
///
/// The call blocks its thread until the answer is whole or the attempt has failed, so it does not belong on the threads
/// of Swift concurrency. ``CurlTransport`` is the one for real networks; a test brings its own.
public protocol HTTPTransport: Sendable {
    /// Sends one request, once.
    func send(_ request: HTTPRequest) throws -> HTTPResponse
}

/// One HTTP request.
public struct HTTPRequest: Hashable, Sendable {
    /// The method, in capitals.
    public var method: String

    /// The address.
    public var url: HTTPURL

    /// The header fields, `Host` among them.
    public var headers: HTTPHeaders

    /// The content; empty for none.
    public var body: [UInt8]

    /// Creates a request.
    ///
    /// - Parameters:
    ///   - method: The method, in capitals.
    ///   - url: The address.
    ///   - headers: The header fields.
    ///   - body: The content.
    public init(method: String, url: HTTPURL, headers: HTTPHeaders = [:], body: [UInt8] = []) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

/// The answer to an HTTP request.
public struct HTTPResponse: Hashable, Sendable {
    /// The status code, 100 to 599.
    public var status: Int

    /// The header fields.
    public var headers: HTTPHeaders

    /// The content. It may hold secrets, so no description shows it.
    public var body: [UInt8]

    /// How long the parts of the exchange took; `nil` if the transport did not measure.
    public var timings: HTTPTimings?

    /// Creates an answer.
    ///
    /// - Parameters:
    ///   - status: The status code.
    ///   - headers: The header fields.
    ///   - body: The content.
    ///   - timings: How long the parts took.
    public init(status: Int, headers: HTTPHeaders = [:], body: [UInt8] = [], timings: HTTPTimings? = nil) {
        self.status = status
        self.headers = headers
        self.body = body
        self.timings = timings
    }
}

extension HTTPResponse: CustomStringConvertible, CustomReflectable {
    /// Status and size, nothing of the content.
    public var description: String { "HTTPResponse(status: \(status), body: <\(body.count) bytes>)" }

    /// Everything but the content.
    public var customMirror: Mirror {
        Mirror(self, children: ["status": status, "headers": headers, "body": "<\(body.count) bytes>"])
    }
}

/// How long it took from the start of a request to each of its stations.
public struct HTTPTimings: Hashable, Sendable {
    /// Until the host's address was known.
    public var resolved: Duration
    /// Until the connection stood.
    public var connected: Duration
    /// Until the server had proved who it is; zero without TLS.
    public var secured: Duration
    /// Until the first byte of the answer.
    public var firstByte: Duration
    /// Until the end.
    public var total: Duration

    /// Creates a record.
    ///
    /// - Parameters:
    ///   - resolved: Until the host's address was known.
    ///   - connected: Until the connection stood.
    ///   - secured: Until the server had proved who it is.
    ///   - firstByte: Until the first byte of the answer.
    ///   - total: Until the end.
    public init(resolved: Duration, connected: Duration, secured: Duration, firstByte: Duration, total: Duration) {
        self.resolved = resolved
        self.connected = connected
        self.secured = secured
        self.firstByte = firstByte
        self.total = total
    }
}

/// The header fields of a request or an answer, in order. Names are equal whatever their case (RFC 9110 §5.1).
public struct HTTPHeaders: Hashable, Sendable {
    /// One field.
    public struct Field: Hashable, Sendable {
        /// The name as it was given.
        public let name: String
        /// The value, without blanks at its ends.
        public let value: String
    }

    /// The fields in their order.
    public private(set) var fields: [Field] = []

    /// Creates a list without fields.
    public init() {}

    /// Adds a field behind those that are there.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - value: The value; blanks at its ends are dropped.
    public mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: trimmed(value)))
    }

    /// The value of the first field of a name.
    ///
    /// - Parameter name: The name, in any case.
    public subscript(name: String) -> String? {
        let wanted = name.lowercased()
        return fields.first { $0.name.lowercased() == wanted }?.value
    }

    private func trimmed(_ value: String) -> String {
        var rest = value.utf8[...]
        while rest.first == 0x20 || rest.first == 0x09 { rest.removeFirst() }
        while rest.last == 0x20 || rest.last == 0x09 { rest.removeLast() }
        return String(Substring(rest))
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    /// Creates a list from names and values.
    ///
    /// - Parameter elements: Names and values in order.
    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }
}

extension HTTPHeaders: CustomStringConvertible, CustomReflectable {
    /// Fields whose values open doors.
    private static let secretNames: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "set-cookie", "x-amz-security-token",
    ]

    /// One field a line, with `<redacted>` for the values that open doors.
    public var description: String {
        fields.map { field in
            let isSecret = Self.secretNames.contains(field.name.lowercased())
            return "\(field.name): \(isSecret ? "<redacted>" : printable(field.value))"
        }.joined(separator: "\n")
    }

    /// The description, as one child.
    public var customMirror: Mirror { Mirror(self, children: ["fields": description]) }
}
