// SPDX-License-Identifier: Apache-2.0

import CCurl
package import Certificates
import Dispatch
import FoundationEssentials
package import SystemSupport

/// Carries requests with libcurl, one connection each.
///
/// It never follows a redirect, never asks a terminal, never writes to one, and takes nothing below TLS 1.2. HTTP in clear
/// is for loopback addresses only, unless a caller within the package allows it. HTTP/1.1 is spoken, because one request over one connection has nothing to gain from
/// HTTP/2. libcurl is opened by the first request, or before it by ``openLibrary()``.
public struct CurlTransport: HTTPTransport {
    /// The proxy to use.
    public enum Proxy: Hashable, Sendable {
        /// `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`, `no_proxy` and `NO_PROXY` of this process's environment,
        /// as libcurl reads them; exceptions as Go reads them too: `*.example.com`, `example.com:443`. Loopback addresses are
        /// always reached directly, as the reference helper does.
        case environment
        /// None, whatever the environment says.
        case none
        /// This one, for every address.
        case server(String)
    }

    /// Whom to believe that a server is the one it says it is.
    public var trust: ServerTrust

    /// Connection timeout, including name lookup and TLS handshake. Default 5 s.
    public var connectTimeout: Duration

    /// How long one attempt may take from beginning to end. Default 20 s.
    public var timeout: Duration

    /// The most bytes that the content of an answer may have. Default 1 MiB.
    public var bodyLimit: Int

    /// The proxy to use.
    public var proxy: Proxy

    /// What the `User-Agent` header says.
    public var userAgent: String

    /// Whether HTTP in clear may be spoken to other addresses than loopback.
    package var allowsCleartext = false

    /// The certificate by which a server knows who asks, with its chain in PEM, and its key in PEM, not encrypted. Roles
    /// Anywhere does not ask for one.
    package var identity: (certificates: String, key: SecretBytes)?

    /// Creates a transport.
    ///
    /// - Parameters:
    ///   - trust: Whom to believe.
    ///   - connectTimeout: Connection timeout; at least 1 ms.
    ///   - timeout: How long one attempt may take; at least 1 ms.
    ///   - bodyLimit: The most bytes that an answer may have.
    ///   - proxy: The proxy to use.
    ///   - userAgent: What the `User-Agent` header says.
    public init(
        trust: ServerTrust = .system, connectTimeout: Duration = .seconds(5), timeout: Duration = .seconds(20),
        bodyLimit: Int = 1 << 20, proxy: Proxy = .environment, userAgent: String = "pki"
    ) {
        self.trust = trust
        self.connectTimeout = connectTimeout
        self.timeout = timeout
        self.bodyLimit = bodyLimit
        self.proxy = proxy
        self.userAgent = userAgent
    }

    /// Begins to open libcurl, in another thread, so that it is ready when an identity has been read. A failure is reported
    /// by the first request.
    public static func openLibrary() {
        DispatchQueue.global(qos: .userInitiated).async { _ = try? CurlLibrary.loaded() }
    }

    /// Sends one request, once, and waits for the whole answer.
    ///
    /// - Parameter request: What to send.
    /// - Returns: The answer, whatever its status.
    /// - Throws: ``RolesAnywhereError`` naming the host and what went wrong.
    public func send(_ request: HTTPRequest) throws -> HTTPResponse {
        guard request.url.scheme == .https || request.url.isLoopback || allowsCleartext else {
            throw RolesAnywhereError(
                .invalidArgument,
                "\(request.url.authority) is not a loopback address, so nothing is sent to it in clear",
                hint: "use https://")
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
        if let identity {
            try handle.set(CURLOPT_SSLCERTTYPE, "PEM")
            try handle.set(CURLOPT_SSLCERT_BLOB, contents: SecretBytes(identity.certificates.utf8))
            try handle.set(CURLOPT_SSLKEYTYPE, "PEM")
            try handle.set(CURLOPT_SSLKEY_BLOB, contents: identity.key)
        }
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
        case .certificates(let text):
            try handle.set(CURLOPT_CAINFO, nil)
            try handle.set(CURLOPT_CAPATH, nil)
            try handle.set(CURLOPT_CAINFO_BLOB, contents: SecretBytes(text.utf8))
        case .unverified:
            try handle.set(CURLOPT_SSL_VERIFYPEER, 0)
            try handle.set(CURLOPT_SSL_VERIFYHOST, 0)
        }
    }

    private func setProxy(on handle: borrowing CurlHandle, for url: HTTPURL) throws(RolesAnywhereError) {
        switch proxy {
        case .environment:
            let exemptions = ProxyExemptions(environment: ProcessInfo.processInfo.environment)
            // An empty text keeps libcurl from reading no_proxy by its own rules.
            let isDirect = url.isLoopback || exemptions.contains(url)
            try handle.set(isDirect ? CURLOPT_PROXY : CURLOPT_NOPROXY, "")
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

/// Whom to believe that a server is the one it says it is.
public struct ServerTrust: Hashable, Sendable {
    /// Where the trusted certificates are.
    enum Source: Hashable, Sendable {
        /// Wherever libcurl was built to look.
        case library
        /// A PEM file, a directory (or several, with colons between) of certificates under their hashed names, or both.
        case paths(file: String?, directory: String?)
        /// Here, in PEM.
        case certificates(String)
        /// Nowhere: everyone is believed.
        case unverified
    }

    let source: Source

    /// The certificates of the system.
    ///
    /// Where `/etc/ssl/certs` holds certificates under their hashed names, as Debian keeps them, they are looked up one
    /// by one: reading the whole bundle file costs some 20 milliseconds for each request.
    public static var system: ServerTrust { system(directory: "/etc/ssl/certs") }

    /// Server certificates are not verified: an attacker between here and the service can read the credentials.
    public static let unverified = ServerTrust(source: .unverified)

    /// These CA certificates and no others.
    ///
    /// - Parameter certificates: At least one.
    package static func only(_ certificates: [Certificate]) -> ServerTrust {
        ServerTrust(source: .certificates(certificates.map(\.pemEncoded).joined()))
    }

    /// Custom CA certificates, instead of the system's.
    ///
    /// - Parameter path: A PEM file, or a directory with certificates under their hashed names (`openssl rehash`).
    /// - Returns: Trust in those certificates alone.
    /// - Throws: ``RolesAnywhereError`` when nothing is there or it cannot be read.
    public static func certificates(at path: String) throws(RolesAnywhereError) -> ServerTrust {
        do throws(FileError) {
            guard let status = FileStatus(at: path), status.kind == .directory else {
                try FilePath.requireReadable(path)
                // libcurl would wait for the writer of a pipe, without a time limit.
                if let kind = FileStatus(at: path)?.kind, kind != .regular {
                    throw FileError(.kind, "\"\(printable(path))\" cannot be used: it is \(kind.noun), not a file")
                }
                return ServerTrust(source: .paths(file: path, directory: nil))
            }
            _ = try Directory(path, for: .output)
            return ServerTrust(source: .paths(file: nil, directory: path))
        } catch {
            throw RolesAnywhereError(.unreadableFile, "the CA certificates \(error.message)", hint: error.hint)
        }
    }

    /// What the environment asks for: `AWS_CA_BUNDLE` as the AWS CLI and the SDKs know it, else `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` as OpenSSL and the reference helper know them, else the system's certificates.
    ///
    /// - Parameter environment: The variables. One that is empty counts as absent.
    /// - Returns: Whom the environment trusts.
    /// - Throws: ``RolesAnywhereError`` when `AWS_CA_BUNDLE` or `SSL_CERT_FILE` names something that cannot be read.
    public static func environment(_ environment: [String: String]) throws(RolesAnywhereError) -> ServerTrust {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let bundle = value("AWS_CA_BUNDLE") { return try certificates(at: bundle) }
        let (file, directory) = (value("SSL_CERT_FILE"), value("SSL_CERT_DIR"))
        if let file { _ = try certificates(at: file) }
        return file == nil && directory == nil ? system : ServerTrust(source: .paths(file: file, directory: directory))
    }

    /// The system's certificates, from a directory when it holds any under a hashed name (`5ad8a5d6.0`).
    static func system(directory path: String) -> ServerTrust {
        let names = (try? Directory(path, for: .output).names()) ?? []
        let isHashed = names.contains { name in
            let name = Array(name.utf8)
            return name.count >= 10 && name[..<8].allSatisfy { UInt8(hexadecimalDigit: $0) != nil }
                && name[8] == UInt8(ascii: ".") && (0x30...0x39).contains(name[9])
        }
        return ServerTrust(source: isHashed ? .paths(file: nil, directory: path) : .library)
    }
}

extension CurlTransport {
    /// Says in words which host failed, and how.
    func explain(_ failure: CurlFailure, host: String) -> RolesAnywhereError {
        let detail = words(of: failure)
        if failure.isTooLong {
            return RolesAnywhereError(
                .malformedAnswer,
                "the answer of \(host) is longer than \(bodyLimit) bytes, which the service's never is")
        }
        if failure.proxyStatus >= 300 { return refused(byProxyWith: failure.proxyStatus, host: host) }
        if failure.text.hasPrefix("Unsupported proxy") { return unusableProxy(host: host) }
        switch failure.code {
        case CURLE_COULDNT_RESOLVE_HOST:
            return RolesAnywhereError(
                .unreachable, "the name of \(host) has no address",
                hint: "check the region or --endpoint, and that this machine's name server answers", isTransient: true)
        case CURLE_COULDNT_RESOLVE_PROXY: return unusableProxy(host: host)
        case CURLE_COULDNT_CONNECT:
            return RolesAnywhereError(
                .unreachable, "no connection to \(host): \(detail)",
                hint: (try? HTTPURL("http://\(host)"))?.isLoopback == true
                    ? "start the program that should listen there, such as pki lab or pki serve"
                    : "check --endpoint, firewalls, and HTTPS_PROXY where a proxy is required", isTransient: true)
        case CURLE_OPERATION_TIMEDOUT:
            return RolesAnywhereError(
                .unreachable, "\(host) took too long: \(detail)",
                hint: "the limits are \(connectTimeout) to connect and \(timeout) for the whole attempt",
                isTransient: true)
        case CURLE_PEER_FAILED_VERIFICATION: return untrusted(detail, host: host)
        case CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE:
            return RolesAnywhereError(
                .unreadableFile, "the CA certificates to check \(host) against cannot be used: \(detail)",
                hint: "--ca-bundle, AWS_CA_BUNDLE or SSL_CERT_FILE must name a PEM file with at least one certificate")
        case CURLE_SSL_CONNECT_ERROR:
            let isCut = detail.contains("SYSCALL") || detail.contains("reset")
            return RolesAnywhereError(
                .unreachable, "no TLS connection to \(host): \(detail)",
                hint: isCut ? nil : "TLS 1.2 or newer is needed; is it HTTPS that listens there?", isTransient: isCut)
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE:
            return RolesAnywhereError(.unreachable, "\(host) broke off: \(detail)", isTransient: true)
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL:
            return RolesAnywhereError(.malformedAnswer, "what \(host) answers is not HTTP: \(detail)")
        case CURLE_PROXY:
            return RolesAnywhereError(.unreachable, "the proxy on the way to \(host) refused", isTransient: false)
        default:
            return RolesAnywhereError(.unreachable, "the request to \(host) failed: \(detail)", isTransient: true)
        }
    }

    /// libcurl's own words, unless they repeat a URL: a proxy's may have a password in it.
    private func words(of failure: CurlFailure) -> String {
        let isUnsafe = failure.text.isEmpty || failure.text.contains("@") || failure.text.contains("://")
        return isUnsafe ? "libcurl error \(failure.code.rawValue)" : printable(failure.text)
    }

    private func unusableProxy(host: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .unreachable, "the proxy on the way to \(host) has no address, or its URL is malformed",
            hint: "check HTTPS_PROXY; NO_PROXY exempts hosts from it")
    }

    private func refused(byProxyWith status: Int, host: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .unreachable, "the proxy on the way to \(host) refused with status \(status)",
            hint: status == 407
                ? "it wants a user name and password: HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT"
                : "ask its administrator to allow this host, or exempt it with NO_PROXY", isTransient: status >= 500)
    }

    private func untrusted(_ detail: String, host: String) -> RolesAnywhereError {
        let isName = detail.contains("does not match") || detail.contains("no alternative certificate subject name")
        return RolesAnywhereError(
            .untrustedServer,
            isName
                ? "the certificate of \(host) is for another name: \(detail)"
                : "the certificate of \(host) is not trusted: \(detail)",
            hint: isName
                ? "use a name that is in the server's certificate"
                : "if its CA is your own, or a proxy inspects TLS here, name the CA's certificate with --ca-bundle")
    }
}
