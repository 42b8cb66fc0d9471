// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Which names a CA may certify (RFC 5280 §4.2.1.10).
public struct NameConstraints: Hashable, Sendable {
    /// One subtree of names.
    public struct Subtree: Hashable, Sendable {
        /// The DER encoding of the GeneralName that is the subtree's base.
        let base: [UInt8]

        /// Reads `dns:example.com`, `ip:10.0.0.0/8`, `uri:.example.com` or `email:example.com`: for `dns` a domain, which
        /// covers itself and all below it; for `uri` a host, or a domain with a leading dot; for `email` a mailbox, a
        /// host, or a domain with a leading dot; for `ip` an address with a prefix length. Throws ``CertificateError``
        /// naming the rule that the text breaks.
        public init(_ text: String) throws(CertificateError) {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, let kind = parts.first, let value = parts.last, !value.isEmpty else {
                throw CertificateError(
                    .invalidName, "\"\(text)\" is not a name constraint",
                    hint: "write dns:DOMAIN, ip:ADDRESS/LENGTH, uri:HOST or email:DOMAIN")
            }
            switch kind {
            case "dns":
                // RFC 5280 has no leading dot, which most software reads like the domain alone.
                let domain = value.hasPrefix(".") ? String(value.dropFirst()) : value
                try Self.checkHost(domain, in: text)
                base = DER.encode(DER.implicit(2), Array(domain.utf8))
            case "uri":
                try Self.checkHost(value, in: text)
                base = DER.encode(DER.implicit(6), Array(value.utf8))
            case "email":
                if value.contains("@") {
                    _ = try GeneralName.mailbox(value)
                } else {
                    try Self.checkHost(value, in: text)
                }
                base = DER.encode(DER.implicit(1), Array(value.utf8))
            case "ip":
                base = DER.encode(DER.implicit(7), try Self.network(value))
            default:
                throw CertificateError(
                    .invalidName, "\"\(text)\": unknown kind of name \"\(kind)\"",
                    hint: "the kinds are dns, ip, uri and email")
            }
        }

        /// Refuses what is neither a host nor a domain with a leading dot.
        private static func checkHost(_ value: String, in text: String) throws(CertificateError) {
            let host = value.hasPrefix(".") ? String(value.dropFirst()) : value
            guard !host.contains("*") else {
                throw CertificateError(
                    .invalidName, "\"\(text)\": a name constraint has no wildcard",
                    hint:
                        "dns:DOMAIN covers all below it; write uri:.DOMAIN or email:.DOMAIN for what is below a domain")
            }
            _ = try GeneralName.dnsName(host)
        }

        /// Creates a subtree without checks.
        init(_ tag: UInt8, _ contents: [UInt8]) { base = DER.encode(tag, contents) }

        fileprivate init(base: [UInt8]) { self.base = base }

        /// The octets of an address followed by those of its mask.
        private static func network(_ text: String) throws(CertificateError) -> [UInt8] {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard let first = parts.first, let address = IPAddress.octets(first), parts.count <= 2 else {
                throw CertificateError(
                    .invalidName, "\"\(text)\" is not an address with a prefix length, such as 10.0.0.0/8")
            }
            let bits = address.count * 8
            guard let length = parts.count == 2 ? Int(parts[1]) : bits, (0...bits).contains(length) else {
                throw CertificateError(.invalidName, "\"\(text)\": the prefix length is not 0 to \(bits)")
            }
            let mask = Self.mask(length: length, octets: address.count)
            guard zip(address, mask).allSatisfy({ $0 & ~$1 == 0 }) else {
                throw CertificateError(.invalidName, "\"\(text)\" has bits set after its prefix of \(length)")
            }
            return address + mask
        }

        private static func mask(length: Int, octets: Int) -> [UInt8] {
            (0..<octets).map { UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, length - $0 * 8))) }
        }

        /// The length of the prefix that a mask covers; `nil` if it has other bits.
        static func prefixLength(of mask: ArraySlice<UInt8>) -> Int? {
            let length = mask.reduce(0) { $0 + $1.nonzeroBitCount }
            return mask.elementsEqual(Self.mask(length: length, octets: mask.count)) ? length : nil
        }
    }

    /// Names of a kind in this list must be in one of these subtrees.
    public var permitted: [Subtree]

    /// Names must not be in any of these.
    public var excluded: [Subtree]

    /// Creates name constraints.
    public init(permitted: [Subtree] = [], excluded: [Subtree] = []) {
        self.permitted = permitted
        self.excluded = excluded
    }

    /// Whether there is no subtree.
    public var isEmpty: Bool { permitted.isEmpty && excluded.isEmpty }

    var derEncoded: [UInt8] {
        func subtrees(_ tag: UInt8, _ subtrees: [Subtree]) -> [UInt8] {
            subtrees.isEmpty ? [] : DER.encode(tag, subtrees.flatMap { DER.sequence([$0.base]) })
        }
        return DER.sequence([subtrees(DER.constructed(0), permitted), subtrees(DER.constructed(1), excluded)])
    }
}

extension NameConstraints {
    /// Reads the value of the extension; `nil` if it is malformed, or has the distances that RFC 5280 forbids.
    init?(derEncoded: [UInt8]) {
        guard let parts = DER.elements(inSequence: derEncoded) else { return nil }
        self.init()
        for part in parts {
            guard let subtrees = DER.elements(in: part.contents) else { return nil }
            for subtree in subtrees {
                guard subtree.tag == DER.sequence, let members = DER.elements(in: subtree.contents),
                    members.count == 1
                else { return nil }
                let read = Subtree(base: Array(subtree.contents))
                switch part.tag {
                case DER.constructed(0): permitted.append(read)
                case DER.constructed(1): excluded.append(read)
                default: return nil
                }
            }
        }
    }
}

extension NameConstraints.Subtree: CustomStringConvertible {
    /// The text that ``init(_:)`` reads, for the kinds that it knows.
    public var description: String {
        guard let element = DER.elements(in: base[...])?.first else { return hexadecimal(base) }
        let octets = Array(element.contents)
        switch element.tag {
        case DER.implicit(1): return "email:\(String(decoding: octets, as: UTF8.self))"
        case DER.implicit(2): return "dns:\(String(decoding: octets, as: UTF8.self))"
        case DER.constructed(4): return "dirName:\(DistinguishedName(derEncoded: octets))"
        case DER.implicit(6): return "uri:\(String(decoding: octets, as: UTF8.self))"
        case DER.implicit(7) where octets.count == 8 || octets.count == 32:
            let (address, mask) = (octets.prefix(octets.count / 2), octets.suffix(octets.count / 2))
            let length = Self.prefixLength(of: mask).map(String.init) ?? IPAddress.text(Array(mask))
            return "ip:\(IPAddress.text(Array(address)))/\(length)"
        default: return "kind \(element.tag & 0x1f):\(hexadecimal(octets))"
        }
    }
}

extension GeneralName {
    /// The kinds of names that a subtree can be of.
    package enum Kind: String, CaseIterable, Sendable {
        case dns = "DNS names"
        case ip = "IP addresses"
        case uri = "URIs"
        case email = "email addresses"
        case directory = "directory names"
    }

    package var kind: Kind? {
        switch self {
        case .dns: .dns
        case .ip: .ip
        case .uri: .uri
        case .email: .email
        case .directory: .directory
        case .other: nil
        }
    }
}

extension NameConstraints.Subtree {
    /// The kind of names that the subtree is about; `nil` for one that this module does not know.
    package var kind: GeneralName.Kind? { parts?.kind }

    private var parts: (kind: GeneralName.Kind, octets: [UInt8])? {
        guard let element = DER.elements(in: base[...])?.first else { return nil }
        let octets = Array(element.contents)
        switch element.tag {
        case DER.implicit(1): return (.email, octets)
        case DER.implicit(2): return (.dns, octets)
        case DER.constructed(4): return (.directory, octets)
        case DER.implicit(6): return (.uri, octets)
        case DER.implicit(7): return (.ip, octets)
        default: return nil
        }
    }

    /// Whether a name is in the subtree (RFC 5280 §4.2.1.10); a wildcard is if all names that it matches are.
    package func contains(_ name: GeneralName) -> Bool {
        guard let (kind, octets) = parts, name.kind == kind else { return false }
        let base = String(decoding: octets, as: UTF8.self).lowercased()
        switch name {
        case .dns(let text): return Self.isHost(text, in: base)
        case .ip(let address):
            guard octets.count == 2 * address.count else { return false }
            return address.indices.allSatisfy { address[$0] & octets[address.count + $0] == octets[$0] }
        case .email(let text):
            if base.utf8.contains(UInt8(ascii: "@")) { return text.lowercased() == base }
            return Self.isExactHost(text.split(separator: "@").last.map(String.init) ?? "", base)
        case .uri(let text): return Self.host(ofURI: text).map { Self.isExactHost($0, base) } ?? false
        case .directory(let subject):
            let wanted = DistinguishedName(derEncoded: octets).relativeNames
            return subject.relativeNames.prefix(wanted.count).elementsEqual(wanted)
        case .other: return false
        }
    }

    /// Whether a wildcard matches a name in the subtree, though it is not in it.
    package func isTouched(byWildcard name: GeneralName) -> Bool {
        guard case .dns(let text) = name, text.hasPrefix("*."), let (kind, octets) = parts, kind == .dns else {
            return false
        }
        let base = String(decoding: octets, as: UTF8.self).lowercased()
        return Self.isHost(base, in: text.dropFirst(2).lowercased()) || Self.isHost(text, in: base)
    }

    /// A domain covers itself and all below it; the empty one covers all.
    private static func isHost(_ host: String, in domain: String) -> Bool {
        let (host, domain) = (trimmed(host), trimmed(domain))
        return domain.isEmpty || host == domain || host.hasSuffix(".\(domain)")
    }

    /// A host covers itself alone, a domain with a leading dot what is below it.
    private static func isExactHost(_ host: String, _ base: String) -> Bool {
        base.isEmpty
            || (base.hasPrefix(".") ? trimmed(host).hasSuffix(".\(trimmed(base))") : trimmed(host) == trimmed(base))
    }

    private static func trimmed(_ host: String) -> String {
        let bare = host.hasPrefix(".") ? host.dropFirst() : host[...]
        return (bare.hasSuffix(".") ? bare.dropLast() : bare).lowercased()
    }

    /// The host of a URI that has one, which may be an address.
    fileprivate static func host(ofURI text: String) -> String? {
        guard let start = text.firstRange(of: "://")?.upperBound else { return nil }
        let authority = text[start...].prefix { !"/?#".contains($0) }
        let place = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        let host = place.hasPrefix("[") ? place : place.prefix { $0 != ":" }
        return host.isEmpty ? nil : String(host)
    }
}

extension NameConstraints {
    /// A host that never is one (RFC 6761 §6.4).
    private static let nowhere = "none.invalid"

    /// Returns the same constraints with an entry for every kind of name that no permitted subtree covers, and those
    /// kinds: RFC 5280 allows a kind that is not mentioned. DNS names and addresses are excluded, by the empty domain and
    /// by both networks of length 0 (CA/Browser Forum Baseline Requirements §7.1.5). Email addresses and URIs cannot be
    /// excluded in a way that all software reads alike (OpenSSL ignores an empty base), so they are permitted in a host
    /// that does not exist. Constraints that permit nothing by name are returned as they are.
    package func closed() -> (constraints: NameConstraints, shut: [String]) {
        guard !permitted.isEmpty else { return (self, []) }
        var result = self
        var shut: [String] = []
        let kinds = Set(permitted.compactMap(\.kind))
        for kind in GeneralName.Kind.allCases where !kinds.contains(kind) {
            switch kind {
            case .dns: result.excluded.append(Subtree(DER.implicit(2), []))
            case .ip:
                for count in [8, 32] {
                    result.excluded.append(Subtree(DER.implicit(7), [UInt8](repeating: 0, count: count)))
                }
            case .uri: result.permitted.append(Subtree(DER.implicit(6), Array(Self.nowhere.utf8)))
            case .email: result.permitted.append(Subtree(DER.implicit(1), Array(Self.nowhere.utf8)))
            // A subject is a directory name: excluding those would exclude every certificate.
            case .directory: continue
            }
            shut.append(kind.rawValue)
        }
        return (result, shut)
    }

    /// Why a CA with these constraints may not certify a name: one of a kind that no permitted subtree is about, outside
    /// of those that are, or in an excluded one. The reason, as what follows the name; `nil` when it may.
    package func objection(to name: GeneralName) -> String? {
        let names = [name] + (name.otherAddress.map { [$0] } ?? [])
        let excluded = excluded.first { subtree in
            names.contains { subtree.contains($0) || subtree.isTouched(byWildcard: $0) }
        }
        if let excluded { return "it excludes \(excluded)" }
        if case .uri(let text) = name, (self.excluded + permitted).contains(where: { $0.kind == .uri }),
            !Self.hasDomain(text)
        {
            return "it constrains URIs, and this one has no domain name as its host (RFC 5280 §4.2.1.10)"
        }
        // Constraints of other programs on directory names alone do not cover hosts.
        let kinds = Set(permitted.compactMap(\.kind))
        guard kinds.contains(where: { $0 == name.kind }) || !kinds.isSubset(of: [.directory]) else { return nil }
        guard !permitted.contains(where: { $0.contains(name) }) else { return nil }
        return "it permits only \(permitted.map(\.description).joined(separator: ", "))"
    }

    /// Whether the host of a URI is a domain name: neither absent, nor an address, nor percent-encoded.
    private static func hasDomain(_ text: String) -> Bool {
        guard let host = Subtree.host(ofURI: text), IPAddress.octets(host) == nil else { return false }
        return (try? GeneralName.dnsName(host.hasSuffix(".") ? String(host.dropLast()) : host)) != nil
    }
}

extension GeneralName {
    /// The same address in the other family, for an IPv4 address or an IPv4-mapped one (RFC 4291 §2.5.5.2).
    fileprivate var otherAddress: GeneralName? {
        guard case .ip(let octets) = self else { return nil }
        if octets.count == 4 { return .ip([UInt8](repeating: 0, count: 10) + [0xff, 0xff] + octets) }
        let unmapped = IPAddress.unmapped(octets)
        return unmapped.count == 4 ? .ip(unmapped) : nil
    }
}
