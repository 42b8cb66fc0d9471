// SPDX-License-Identifier: Apache-2.0

extension Certificate {
    /// Whether the certificate is for a server of some name or address (RFC 9525 §6). The common name is not looked at.
    ///
    /// - Parameter host: A DNS name in ASCII, in any case, with or without a dot at its end; or an IP address.
    /// - Returns: Whether one of the alternative names is the host's, or a wildcard for one label in front of two or more
    ///   stands for it.
    public func isFor(host: String) -> Bool {
        if let address = IPAddress.octets(host) {
            return subjectAlternativeNames.contains(.ip(address))
        }
        let wanted = Self.labels(host)
        guard !wanted.isEmpty, wanted.allSatisfy({ !$0.isEmpty }) else { return false }
        return subjectAlternativeNames.contains { name in
            guard case .dns(let text) = name, text.allSatisfy(\.isASCII) else { return false }
            let offered = Self.labels(text)
            if offered == wanted { return true }
            return offered.first == "*" && offered.count > 2 && offered.count == wanted.count
                && offered.dropFirst() == wanted.dropFirst()
        }
    }

    private static func labels(_ host: String) -> [String] {
        let bare = host.hasSuffix(".") ? String(host.dropLast()) : host
        return bare.lowercased().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    }
}
