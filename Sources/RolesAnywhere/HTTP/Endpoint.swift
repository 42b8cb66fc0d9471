// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import SystemSupport

/// Where a service listens.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A kind of endpoint that AWS offers.
    public enum Variant: Hashable, Sendable {
        /// IPv4, in every region.
        case standard
        /// IPv4 and IPv6.
        case dualStack
        /// FIPS 140 validated TLS, in the regions of the United States.
        case fips
        /// FIPS 140 validated TLS, IPv4 and IPv6, in the regions of the United States.
        case fipsDualStack
    }

    /// A service of AWS that is asked here. New ones may be added.
    public struct Service: Hashable, Sendable {
        /// What signatures, and as a rule host names, call it.
        package let name: String

        /// IAM Roles Anywhere, which gives credentials for certificates.
        public static let rolesAnywhere = Service(name: "rolesanywhere")
        /// The Security Token Service, which says whose credentials are.
        public static let securityTokenService = Service(name: "sts")
    }

    /// The address that the path of each operation is put behind.
    public let url: HTTPURL

    /// The endpoint of a region.
    ///
    /// - Parameters:
    ///   - region: The name of a region. One that is not known is taken for a new one of the partition that its name
    ///     suggests.
    ///   - variant: The kind of endpoint.
    ///   - service: Whose endpoint.
    /// - Throws: ``RolesAnywhereError`` when the region's name is malformed or has no endpoint of that kind.
    public init(
        region: String, variant: Variant = .standard, service: Service = .rolesAnywhere
    ) throws(RolesAnywhereError) {
        guard Partition.isRegionName(region) else {
            throw RolesAnywhereError(
                .invalidArgument, "\"\(printable(region))\" is not the name of a region",
                hint: "it looks like us-east-1")
        }
        let partition = Partition(of: region)
        let host: String
        switch variant {
        case .standard: host = partition.host(of: service.name, in: region)
        case .dualStack:
            guard let name = partition.dualStackHost(of: service.name, in: region) else {
                throw RolesAnywhereError(.invalidArgument, "the partition \(partition) has no dual-stack endpoints")
            }
            host = name
        case .fips, .fipsDualStack:
            let isDualStack = variant == .fipsDualStack
            guard let name = partition.fipsHost(of: service.name, in: region, isDualStack: isDualStack) else {
                throw RolesAnywhereError(
                    .invalidArgument, "the region \(region) has no FIPS endpoint",
                    hint: "those that have one: \(Partition.fipsRegions.joined(separator: ", "))")
            }
            host = name
        }
        url = try HTTPURL("https://\(host)")
    }

    /// A custom endpoint: a private one, a proxy that rewrites addresses, or a stand-in for the service.
    ///
    /// - Parameter text: A URL with scheme, host, optional port and optional path. The path is put in front of that of
    ///   each operation and is signed with it. `http` is accepted for loopback addresses only.
    /// - Throws: ``RolesAnywhereError`` naming the part that is wrong.
    public init(_ text: String) throws(RolesAnywhereError) {
        let url = try HTTPURL(text)
        guard url.scheme == .https || url.isLoopback else {
            throw RolesAnywhereError(
                .invalidArgument, "the endpoint \(url) is not encrypted",
                hint: "write https://; http:// is for loopback addresses only")
        }
        self.url = url
    }

    /// The address as text.
    public var description: String { url.description }

    /// The address of an operation.
    func url(for path: String, query: [HTTPURL.Parameter]) -> HTTPURL {
        url.appending(path: path, query: query)
    }
}

/// The address of a request, kept in the parts that are signed.
///
/// Paths hold only unreserved characters and slashes, so that there is one way to write, send and sign them.
public struct HTTPURL: Hashable, Sendable, CustomStringConvertible {
    /// How the connection is made.
    public enum Scheme: String, Sendable {
        /// In clear, for loopback only.
        case http
        /// Over TLS.
        case https
    }

    /// One parameter of a query, not encoded.
    public struct Parameter: Hashable, Sendable {
        /// The name.
        public let name: String
        /// The value.
        public let value: String

        /// Creates a parameter.
        ///
        /// - Parameters:
        ///   - name: The name, not encoded.
        ///   - value: The value, not encoded.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// How the connection is made.
    public let scheme: Scheme

    /// The host's name in lower case, or its address; an IPv6 address has no brackets here.
    public let host: String

    /// The port; `nil` if it is the scheme's own, 443 or 80.
    public let port: Int?

    /// The path: empty, or beginning with a slash and not ending in one.
    public let path: String

    /// The parameters, not encoded, in the order they were given.
    public let query: [Parameter]

    /// Reads an address without query.
    ///
    /// - Parameter text: `http://` or `https://`, a host, optionally a port and a path.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/invalidArgument`` naming the part that is wrong.
    public init(_ text: String) throws(RolesAnywhereError) {
        guard let separator = text.firstRange(of: "://"),
            let scheme = Scheme(rawValue: text[..<separator.lowerBound].lowercased())
        else { throw Self.malformed(text, "it does not begin with https://") }
        let rest = text[separator.upperBound...]
        if rest.contains("@") {
            // The text is not repeated: the part before the @ may be a password.
            throw RolesAnywhereError(.invalidArgument, "a URL with a user name or password is not accepted here")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest[authority.endIndex...]
        guard !path.contains("?"), !path.contains("#") else {
            throw Self.malformed(text, "it has a query or a fragment")
        }
        let (host, port) = try Self.hostAndPort(authority, of: text)
        self.scheme = scheme
        self.host = host
        self.port = port == (scheme == .https ? 443 : 80) ? nil : port
        self.path = try Self.checked(path: path, of: text)
        query = []
    }

    private init(scheme: Scheme, host: String, port: Int?, path: String, query: [Parameter]) {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
        self.query = query
    }

    /// The same host with more path and a query.
    ///
    /// - Parameters:
    ///   - suffix: Begins with a slash and holds unreserved characters and slashes only.
    ///   - query: The parameters.
    /// - Returns: The longer address.
    public func appending(path suffix: String, query: [Parameter]) -> HTTPURL {
        HTTPURL(scheme: scheme, host: host, port: port, path: path + suffix, query: query)
    }

    /// The host with its port unless that is the scheme's own: the value of the `Host` header.
    public var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port.map { "\(name):\($0)" } ?? name
    }

    /// The query, encoded and sorted as a signature wants it, without question mark; empty when there is none.
    public var encodedQuery: String {
        query.map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
            .sorted { $0.0 == $1.0 ? utf8Precedes($0.1, $1.1) : utf8Precedes($0.0, $1.0) }
            .map { "\($0.0)=\($0.1)" }
            .joined(separator: "&")
    }

    /// Whether the host is this machine: `localhost`, 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// The whole address, as it is sent.
    public var description: String {
        let query = encodedQuery
        return "\(scheme.rawValue)://\(authority)\(path)\(query.isEmpty ? "" : "?\(query)")"
    }

    private static func hostAndPort(
        _ authority: Substring, of text: String
    ) throws(RolesAnywhereError) -> (host: String, port: Int?) {
        let host: Substring
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { throw malformed(text, "its \"[\" is not closed") }
            host = authority[..<bracket].dropFirst()
            let isAddress = host.utf8.allSatisfy {
                Character(Unicode.Scalar($0)).isHexDigit || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
            }
            guard host.contains(":"), isAddress else { throw malformed(text, "\"[\(host)]\" is not an IPv6 address") }
            let rest = authority[authority.index(after: bracket)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw malformed(text, "there is text after its \"]\"") }
            if !rest.isEmpty { port = rest.dropFirst() }
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = parts.first ?? ""
            port = parts.count == 2 ? parts[1] : nil
            let isName = host.utf8.allSatisfy { PercentEncoding.isUnreserved($0) && $0 != UInt8(ascii: "~") }
            guard !host.isEmpty, host.utf8.count <= 253, isName else {
                throw malformed(text, "\"\(host)\" is not a host")
            }
        }
        guard let port else { return (host.lowercased(), nil) }
        let isNumber = port.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isNumber, let number = Int(port), (1...65_535).contains(number) else {
            throw malformed(text, "\"\(port)\" is not a port")
        }
        return (host.lowercased(), number)
    }

    private static func checked(path: Substring, of text: String) throws(RolesAnywhereError) -> String {
        let trimmed = path.hasSuffix("/") ? path.dropLast() : path
        let segments = trimmed.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for segment in segments {
            guard !segment.isEmpty, segment != ".", segment != "..",
                segment.utf8.allSatisfy(PercentEncoding.isUnreserved)
            else {
                throw malformed(text, "its path may hold letters, digits and - . _ ~ between single slashes")
            }
        }
        return String(trimmed)
    }

    private static func malformed(_ text: String, _ why: String) -> RolesAnywhereError {
        RolesAnywhereError(
            .invalidArgument, "\"\(printable(text))\" is not a URL that can be used: \(printable(why))",
            hint: "it looks like https://host.example:8443/path")
    }
}

/// Whether one text precedes another in the order of their octets, which is the one that signatures sort by.
func utf8Precedes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}
