// SPDX-License-Identifier: Apache-2.0

/// Which hosts a request may be for.
///
/// A page in a browser can be made to ask this machine under a name of the page's own (DNS rebinding), never under an
/// address. So addresses in numbers and `localhost` are taken, and of other names those that were allowed.
struct HostRule {
    let names: Set<String>

    /// Whether a request is for a host that may be asked.
    ///
    /// - Parameter host: The host with its port, as the request has it; nothing when it has none.
    func admits(_ host: String?) -> Bool {
        guard let host, host.utf8.count <= 255 else { return false }
        let name = host.hasPrefix("[") ? Self.bracketed(host) : Self.plain(host)
        guard let name else { return false }
        return Self.isAddress(name) || name == "localhost" || names.contains(name)
    }

    private static func bracketed(_ host: String) -> String? {
        guard let end = host.firstIndex(of: "]"), isPort(host[host.index(after: end)...]) else { return nil }
        let address = host[host.index(after: host.startIndex)..<end]
        let digits = address.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
            case UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."): true
            default: false
            }
        }
        return digits && address.contains(":") ? String(address) : nil
    }

    private static func plain(_ host: String) -> String? {
        let colon = host.firstIndex(of: ":") ?? host.endIndex
        guard isPort(host[colon...]) else { return nil }
        let name = host[..<colon].lowercased()
        return name.contains(":") || name.isEmpty ? nil : name
    }

    /// Whether a text is nothing, or a colon and a port.
    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty
            || text.first == ":" && (1...5).contains(text.utf8.count - 1)
                && text.dropFirst().utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isAddress(_ name: String) -> Bool {
        if name.contains(":") { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8($0) != nil }
    }
}
