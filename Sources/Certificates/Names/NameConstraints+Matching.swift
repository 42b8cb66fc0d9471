// SPDX-License-Identifier: Apache-2.0

extension GeneralName {
    /// The kinds of names that a subtree can be of.
    package enum Kind: String, CaseIterable, Sendable {
        case dns = "DNS names"
        case ip = "IP addresses"
        case uri = "URIs"
        case email = "email addresses"
        case directory = "directory names"
    }

    /// The kind; `nil` for those that this module does not make.
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

    /// Whether a name lies in the subtree (RFC 5280 §4.2.1.10). Of a wildcard, all that it may stand for has to.
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

    /// Whether a wildcard may stand for a name in the subtree, though it does not itself lie in it.
    package func isTouched(byWildcard name: GeneralName) -> Bool {
        guard case .dns(let text) = name, text.hasPrefix("*."), let (kind, octets) = parts, kind == .dns else {
            return false
        }
        let base = String(decoding: octets, as: UTF8.self).lowercased()
        return Self.isHost(base, in: text.dropFirst(2).lowercased()) || Self.isHost(text, in: base)
    }

    /// A domain stands for itself and all below it; the empty one for all there are.
    private static func isHost(_ host: String, in domain: String) -> Bool {
        let (host, domain) = (trimmed(host), trimmed(domain))
        return domain.isEmpty || host == domain || host.hasSuffix(".\(domain)")
    }

    /// A host stands for itself alone, a leading dot for what is below.
    private static func isExactHost(_ host: String, _ base: String) -> Bool {
        base.isEmpty || (base.hasPrefix(".") ? host.lowercased().hasSuffix(base) : trimmed(host) == base)
    }

    private static func trimmed(_ host: String) -> String {
        let bare = host.hasPrefix(".") ? host.dropFirst() : host[...]
        return (bare.hasSuffix(".") ? bare.dropLast() : bare).lowercased()
    }

    /// The host of a URI that has one.
    private static func host(ofURI text: String) -> String? {
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

    /// The same constraints, with a word about every kind of name that no permitted subtree is about: to RFC 5280 a kind
    /// that is not mentioned is free, and "for one domain only" would not be true.
    ///
    /// DNS names and addresses are excluded altogether: by the empty domain, which all readers take for every one, and by
    /// both networks of length 0, as the CA/Browser Forum's Baseline Requirements have it (§7.1.5). No exclusion of all email
    /// addresses or URIs means the same to all readers: OpenSSL takes an empty one for none. So they are permitted in a
    /// host that does not exist.
    ///
    /// - Returns: The constraints, and the kinds that are shut. What permits nothing by name comes back as it is.
    public func closed() -> (constraints: NameConstraints, shut: [String]) {
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

    /// Why a CA with these constraints may not certify a name: one of a kind that no permitted subtree is about, outside of
    /// those that are, or in an excluded one.
    ///
    /// - Parameter name: The name.
    /// - Returns: The reason, as what follows the name; `nil` when it may.
    package func objection(to name: GeneralName) -> String? {
        if let excluded = excluded.first(where: { $0.contains(name) || $0.isTouched(byWildcard: name) }) {
            return "it excludes \(excluded)"
        }
        // Constraints on directory names alone say nothing about hosts, as other programs make them.
        let kinds = Set(permitted.compactMap(\.kind))
        guard kinds.contains(where: { $0 == name.kind }) || !kinds.isSubset(of: [.directory]) else { return nil }
        guard !permitted.contains(where: { $0.contains(name) }) else { return nil }
        return "it permits nothing but \(permitted.map(\.description).joined(separator: ", "))"
    }
}
