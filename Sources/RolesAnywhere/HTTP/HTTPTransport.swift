// SPDX-License-Identifier: Apache-2.0

/// What carries a request to a server and brings back the answer.
///
/// The call blocks its thread until the answer is whole or the attempt has failed, so it does not belong on the threads
/// of Swift concurrency. ``CurlTransport`` is the one for real networks; a test brings its own.
public protocol HTTPTransport: Sendable {
    /// Sends one request, once.
    ///
    /// - Parameter request: What to send. All its header fields are sent as they are.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``RolesAnywhereError`` when there is no answer; ``RolesAnywhereError/isTransient`` says whether
    ///   another attempt makes sense.
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

    /// Makes a request.
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

    /// How long the parts of the exchange took; nothing when the transport did not measure.
    public var timings: HTTPTimings?

    /// Makes an answer.
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

    /// Makes a record.
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
