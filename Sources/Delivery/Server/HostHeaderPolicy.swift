// SPDX-License-Identifier: Apache-2.0

/// Which hosts a request may be for.
///
/// A page in a browser can be made to ask this machine under a name of the page's own (DNS rebinding), never under an
/// address. So addresses in numbers and `localhost` are taken, and of other names those that were allowed.
struct HostHeaderPolicy {
    let names: Set<String>

    /// Whether a request is for a host that may be asked.
    ///
    /// - Parameter host: The host with its port, as the request has it; nothing when it has none.
    /// - Returns: Whether it may.
    func admits(_ host: String?) -> Bool {
        guard let bytes = host?.utf8, (1...255).contains(bytes.count) else { return false }
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")), Self.isPort(bytes[bytes.index(after: end)...])
            else {
                return false
            }
            return Self.isAddressOfSix(bytes[bytes.index(after: bytes.startIndex)..<end])
        }
        let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
        guard Self.isPort(bytes[colon...]) else { return false }
        let name = bytes[..<colon]
        if Self.isAddressOfFour(name) { return true }
        let text = String(decoding: name, as: UTF8.self).lowercased()
        return text == "localhost" || names.contains(text)
    }

    /// Whether a text is nothing, or a colon and a port.
    private static func isPort(_ text: Substring.UTF8View) -> Bool {
        text.isEmpty
            || text.first == UInt8(ascii: ":") && (2...6).contains(text.count)
                && text.dropFirst().allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isAddressOfFour(_ name: Substring.UTF8View) -> Bool {
        var (parts, digits, value) = (1, 0, 0)
        for byte in name {
            if byte == UInt8(ascii: ".") {
                guard digits > 0 else { return false }
                (parts, digits, value) = (parts + 1, 0, 0)
            } else {
                guard (0x30...0x39).contains(byte), digits < 3 else { return false }
                (digits, value) = (digits + 1, value * 10 + Int(byte - 0x30))
                guard value <= 255 else { return false }
            }
        }
        return parts == 4 && digits > 0
    }

    private static func isAddressOfSix(_ name: Substring.UTF8View) -> Bool {
        var colons = 0
        for byte in name {
            switch byte {
            case UInt8(ascii: ":"): colons += 1
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."):
                break
            default: return false
            }
        }
        return colons >= 2
    }
}
