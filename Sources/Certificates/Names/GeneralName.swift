// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// A subject alternative name (RFC 5280 §4.2.1.6).
public enum GeneralName: Hashable, Sendable {
    /// A host name, with a `*` as its whole first label at the most.
    case dns(String)
    /// An address: 4 octets (IPv4) or 16 (IPv6).
    case ip([UInt8])
    /// An absolute URI with a scheme.
    case uri(String)
    /// A mailbox, `local@host`.
    case email(String)
    /// A distinguished name.
    case directory(DistinguishedName)
    /// A kind that this module does not make, by its name.
    case other(String)
}

extension GeneralName {
    /// Returns a DNS name in the preferred syntax (RFC 1034 §3.5): at most 253 octets, labels of 1 to 63. Throws
    /// ``CertificateError`` naming the rule that the text breaks.
    public static func dnsName(_ text: String) throws(CertificateError) -> GeneralName {
        func refuse(_ why: String) -> CertificateError {
            CertificateError(.invalidName, "\"\(printable(text, limit: 300))\" is not a DNS name: \(why)")
        }
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw CertificateError(
                .invalidName, "\"\(printable(text, limit: 300))\" is not a DNS name: it is not ASCII",
                hint: "write an internationalised name in its ASCII form, \"xn--…\"")
        }
        guard (1...253).contains(text.utf8.count) else {
            throw refuse("it has \(text.utf8.count) octets, not 1 to 253")
        }
        // By octets: a fleet has thousands of names, and characters are ten times as slow.
        var labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if let first = labels.first, first.elementsEqual("*".utf8) { labels.removeFirst() }
        guard !labels.isEmpty else { throw refuse("it is a bare \"*\"") }
        let hyphen = UInt8(ascii: "-")
        for label in labels {
            guard (1...63).contains(label.count) else {
                throw refuse("a label has \(label.count) octets, not 1 to 63")
            }
            guard label.allSatisfy({ isLetter($0) || isDigit($0) || $0 == hyphen }) else {
                throw refuse(
                    "the label \"\(printable(String(Substring(label))))\" has characters other than letters, digits and \"-\""
                )
            }
            guard label.first != hyphen, label.last != hyphen else {
                throw refuse("the label \"\(printable(String(Substring(label))))\" begins or ends with \"-\"")
            }
        }
        if let last = labels.last, last.allSatisfy(isDigit) {
            throw refuse("its last label is a number, as in an IP address")
        }
        return .dns(text)
    }

    private static func isLetter(_ octet: UInt8) -> Bool { (0x61...0x7a).contains(octet | 0x20) }

    private static func isDigit(_ octet: UInt8) -> Bool { (0x30...0x39).contains(octet) }

    /// Returns an IP address from dotted IPv4, or IPv6 as in RFC 4291 §2.2.
    public static func ipAddress(_ text: String) throws(CertificateError) -> GeneralName {
        guard let octets = IPAddress.octets(text) else {
            throw CertificateError(.invalidName, "\"\(printable(text, limit: 300))\" is not an IPv4 or IPv6 address")
        }
        return .ip(octets)
    }

    /// Returns an absolute URI in ASCII (RFC 3986). Throws ``CertificateError`` naming the rule that the text breaks.
    public static func uniformResourceIdentifier(_ text: String) throws(CertificateError) -> GeneralName {
        func refuse(_ why: String) -> CertificateError {
            CertificateError(
                .invalidName, "\"\(printable(text, limit: 300))\" is not an absolute URI: \(why)",
                hint: "write it with its scheme, for example \"spiffe://example.org/web\"")
        }
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && !#"<>"{}|\^`"#.utf8.contains($0) }) else {
            throw refuse("it holds a character that must be percent-encoded")
        }
        guard let colon = text.firstIndex(of: ":"), let first = text.first, first.isLetter else {
            throw refuse("it has no scheme")
        }
        guard text[..<colon].allSatisfy({ $0.isLetter || $0.isNumber || "+-.".contains($0) }) else {
            throw refuse("its scheme is malformed")
        }
        let rest = text[text.index(after: colon)...]
        guard !rest.isEmpty, rest != "//" else { throw refuse("it ends after its scheme") }
        // RFC 5280 §4.2.1.6: a URI with an authority names a host in it.
        if rest.hasPrefix("//") {
            let authority = rest.dropFirst(2).prefix { !"/?#".contains($0) }
            guard !authority.isEmpty else { throw refuse("it names no host after \"//\"") }
        }
        return .uri(text)
    }

    /// Returns an email address, `local@host` in ASCII without angle brackets or comments (RFC 5321 §4.1.2). Throws
    /// ``CertificateError`` naming the rule that the text breaks.
    public static func mailbox(_ text: String) throws(CertificateError) -> GeneralName {
        func refuse(_ why: String) -> CertificateError {
            CertificateError(.invalidName, "\"\(printable(text, limit: 300))\" is not an email address: \(why)")
        }
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && !"<>()[],;:\\\"".utf8.contains($0) }) else {
            throw refuse("it holds a blank or a character that is not allowed")
        }
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, let local = parts.first, let host = parts.last else {
            throw refuse("it needs exactly one \"@\"")
        }
        guard (1...64).contains(local.count), !local.hasPrefix("."), !local.hasSuffix("."), !local.contains("..") else {
            throw refuse("the part before \"@\" is malformed")
        }
        guard (try? dnsName(String(host))) != nil, !host.hasPrefix("*") else {
            throw refuse("\"\(printable(String(host), limit: 300))\" is not a host name")
        }
        return .email(text)
    }

    /// The DER encoding of the GeneralName; `nil` for a kind that this module does not issue.
    var derEncoded: [UInt8]? {
        switch self {
        case .email(let text): DER.encode(DER.implicit(1), Array(text.utf8))
        case .dns(let text): DER.encode(DER.implicit(2), Array(text.utf8))
        case .directory(let name): DER.encode(DER.constructed(4), name.derEncoded)
        case .uri(let text): DER.encode(DER.implicit(6), Array(text.utf8))
        case .ip(let octets): DER.encode(DER.implicit(7), octets)
        case .other: nil
        }
    }
}

extension GeneralName: CustomStringConvertible {
    /// The kind and the value, in the notation of OpenSSL's configuration files: `DNS:web-1.example.com`.
    public var description: String {
        switch self {
        case .dns(let text): "DNS:\(text)"
        case .ip(let octets): "IP:\(IPAddress.text(octets))"
        case .uri(let text): "URI:\(text)"
        case .email(let text): "email:\(text)"
        case .directory(let name): "dirName:\(name)"
        case .other(let kind): kind
        }
    }
}
