// SPDX-License-Identifier: Apache-2.0

import Certificates
import CCurl
import SystemSupport

/// Carries requests with libcurl, one connection each.
///
/// It never follows a redirect, never asks a terminal, never writes to one, and takes nothing below TLS 1.2. HTTP in clear
/// is for loopback addresses only. HTTP/1.1 is spoken, because one request over one connection has nothing to gain from
/// HTTP/2. libcurl is opened by the first request.
public struct CurlTransport: HTTPTransport {
    /// Which proxy stands between here and the server.
    public enum Proxy: Hashable, Sendable {
        /// `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`, `no_proxy` and `NO_PROXY` of this process's environment,
        /// as libcurl reads them. Loopback addresses are always reached directly, as the reference helper does.
        case environment
        /// None, whatever the environment says.
        case none
        /// This one, for every address.
        case server(String)
    }

    /// Whom to believe that a server is the one it says it is.
    public var trust: ServerTrust

    /// How long a connection may take to stand, with its name lookup and TLS handshake. Default 5 s.
    public var connectTimeout: Duration

    /// How long one attempt may take from beginning to end. Default 20 s.
    public var timeout: Duration

    /// The most bytes that the content of an answer may have. Default 1 MiB.
    public var bodyLimit: Int

    /// Which proxy stands between.
    public var proxy: Proxy

    /// What the `User-Agent` header says.
    public var userAgent: String

    /// Makes a transport.
    ///
    /// - Parameters:
    ///   - trust: Whom to believe.
    ///   - connectTimeout: How long a connection may take to stand; at least 1 ms.
    ///   - timeout: How long one attempt may take; at least 1 ms.
    ///   - bodyLimit: The most bytes that an answer may have.
    ///   - proxy: Which proxy stands between.
    ///   - userAgent: What the `User-Agent` header says.
    public init(
        trust: ServerTrust = .system,
        connectTimeout: Duration = .seconds(5),
        timeout: Duration = .seconds(20),
        bodyLimit: Int = 1 << 20,
        proxy: Proxy = .environment,
        userAgent: String = "pki"
    ) {
        self.trust = trust
        self.connectTimeout = connectTimeout
        self.timeout = timeout
        self.bodyLimit = bodyLimit
        self.proxy = proxy
        self.userAgent = userAgent
    }

    /// Sends one request, once, and waits for the whole answer.
    ///
    /// - Parameter request: What to send.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``RolesAnywhereError`` naming the host and what went wrong.
    public func send(_ request: HTTPRequest) throws -> HTTPResponse {
        guard request.url.scheme == .https || request.url.isLoopback else {
            throw RolesAnywhereError(
                .invalidArgument,
                "\(request.url.authority) is not a loopback address, so nothing is sent to it in clear",
                hint: "use https://"
            )
        }
        for field in request.headers.fields {
            guard (field.name + field.value).utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
                throw RolesAnywhereError(.invalidArgument, "the header field \(printable(field.name)) is not one line")
            }
        }
        var handle = try CurlHandle(CurlLibrary.loaded(), bodyLimit: bodyLimit)
        try handle.prepare()
        try handle.set(CURLOPT_URL, request.url.description)
        try handle.set(CURLOPT_PROTOCOLS_STR, request.url.scheme.rawValue)
        try handle.set(CURLOPT_FOLLOWLOCATION, 0)
        try handle.set(CURLOPT_PATH_AS_IS, 1)
        try handle.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        try handle.set(CURLOPT_CONNECTTIMEOUT_MS, connectTimeout.wholeMilliseconds)
        try handle.set(CURLOPT_TIMEOUT_MS, timeout.wholeMilliseconds)
        try handle.set(CURLOPT_USERAGENT, userAgent)
        try setTrust(on: handle)
        try setProxy(on: handle, for: request.url)
        if request.method == "POST" || !request.body.isEmpty { try handle.setBody(request.body) }
        if request.method != "GET" && request.method != "POST" || request.method == "GET" && !request.body.isEmpty {
            try handle.set(CURLOPT_CUSTOMREQUEST, request.method)
        }
        // Without the empty field libcurl would wait for a "100 Continue" before a large content.
        try handle.setHeaders(request.headers.fields.map { "\($0.name): \($0.value)" } + ["Expect:"])
        return try handle.perform { explain($0, host: request.url.authority) }
    }

    private func setTrust(on handle: borrowing CurlHandle) throws(RolesAnywhereError) {
        try handle.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        switch trust.source {
        case .library: break
        case .paths(let file, let directory):
            try handle.set(CURLOPT_CAINFO, file)
            try handle.set(CURLOPT_CAPATH, directory)
        case .unverified:
            try handle.set(CURLOPT_SSL_VERIFYPEER, 0)
            try handle.set(CURLOPT_SSL_VERIFYHOST, 0)
        }
    }

    private func setProxy(on handle: borrowing CurlHandle, for url: HTTPURL) throws(RolesAnywhereError) {
        switch proxy {
        case .environment: if url.isLoopback { try handle.set(CURLOPT_PROXY, "") }
        case .none: try handle.set(CURLOPT_PROXY, "")
        case .server(let address):
            try handle.set(CURLOPT_PROXY, address)
            try handle.set(CURLOPT_NOPROXY, "")
        }
    }
}

extension Duration {
    /// At least one, because libcurl takes zero for no limit at all.
    fileprivate var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return max(1, Int(clamping: seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
    }
}
