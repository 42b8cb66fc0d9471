// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The hosts that `no_proxy` exempts from a proxy, by the rules of Go's `httpproxy`, which the reference helper follows, and of
/// curl: names with their subdomains, `*.` with a domain for its subdomains alone, addresses and networks, each with or without a
/// port, and `*`.
package struct ProxyExemptions: Sendable {
    private let entries: [String]

    /// What the environment says; `no_proxy` goes before `NO_PROXY`, as in curl.
    package init(environment: [String: String]) {
        let text = environment["no_proxy"] ?? environment["NO_PROXY"] ?? ""
        entries = text.lowercased().split { $0 == "," || $0.isWhitespace }.map(String.init)
    }

    package func contains(_ url: HTTPURL) -> Bool {
        let host = url.host.lowercased()
        let port = url.port ?? (url.scheme == .https ? 443 : 80)
        return entries.contains { Self.matches($0, host: host, port: port) }
    }

    private static func matches(_ entry: String, host: String, port: Int) -> Bool {
        if entry == "*" { return true }
        if let slash = entry.firstIndex(of: "/") {
            return isInside(host, network: entry[..<slash], length: entry[entry.index(after: slash)...])
        }
        var name = entry[...]
        // An IPv6 address without brackets has colons, and no port.
        if let colon = name.lastIndex(of: ":"),
            name.hasPrefix("[") ? name[..<colon].hasSuffix("]") : name.firstIndex(of: ":") == colon
        {
            guard Int(name[name.index(after: colon)...]) == port else { return false }
            name = name[..<colon]
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        if let address = IPAddress.octets(String(name)) { return IPAddress.octets(host) == address }
        if name.hasPrefix("*.") { return host.hasSuffix(name.dropFirst()) }
        let domain = name.drop { $0 == "." }
        return !domain.isEmpty && (host == domain || host.hasSuffix(".\(domain)"))
    }

    private static func isInside(_ host: String, network: Substring, length: Substring) -> Bool {
        guard let address = IPAddress.octets(host), let network = IPAddress.octets(String(network)),
            let length = Int(length), address.count == network.count, (0...network.count * 8).contains(length)
        else { return false }
        return (0..<length).allSatisfy { (address[$0 / 8] ^ network[$0 / 8]) & (0x80 >> UInt8($0 % 8)) == 0 }
    }
}
