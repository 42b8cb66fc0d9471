// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Which names a CA may certify (RFC 5280 §4.2.1.10).
public struct NameConstraints: Hashable, Sendable {
    /// One subtree of names.
    public struct Subtree: Hashable, Sendable {
        /// The DER encoding of the GeneralName that is the subtree's base.
        let base: [UInt8]

        /// Reads `dns:example.com`, `ip:10.0.0.0/8`, `uri:.example.com` or `email:example.com`.
        ///
        /// - Parameter text: A kind, a colon and the base: for `dns` a domain, which stands for itself and all below it;
        ///   for `uri` a host, or a domain with a leading dot; for `email` a mailbox, a host, or a domain with a leading
        ///   dot; for `ip` an address with a prefix length.
        /// - Throws: ``CertificateError`` naming the rule that the text breaks.
        public init(_ text: String) throws(CertificateError) {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, let kind = parts.first, let value = parts.last, !value.isEmpty else {
                throw CertificateError(
                    .invalidName,
                    "\"\(text)\" is not a name constraint",
                    hint: "write dns:DOMAIN, ip:ADDRESS/LENGTH, uri:HOST or email:DOMAIN"
                )
            }
            switch kind {
            case "dns":
                // A leading dot says the same to most readers and nothing to RFC 5280: the domain alone is written.
                let domain = value.hasPrefix(".") ? String(value.dropFirst()) : value
                _ = try GeneralName.dnsName(domain)
                guard !domain.hasPrefix("*") else {
                    throw CertificateError(
                        .invalidName,
                        "\"\(text)\": a name constraint has no wildcard",
                        hint: "the domain covers all below it"
                    )
                }
                base = DER.encode(DER.implicit(2), Array(domain.utf8))
            case "uri":
                _ = try GeneralName.dnsName(value.hasPrefix(".") ? String(value.dropFirst()) : value)
                base = DER.encode(DER.implicit(6), Array(value.utf8))
            case "email":
                if value.contains("@") {
                    _ = try GeneralName.mailbox(value)
                } else {
                    _ = try GeneralName.dnsName(value.hasPrefix(".") ? String(value.dropFirst()) : value)
                }
                base = DER.encode(DER.implicit(1), Array(value.utf8))
            case "ip":
                base = DER.encode(DER.implicit(7), try Self.network(value))
            default:
                throw CertificateError(
                    .invalidName,
                    "\"\(text)\": unknown kind of name \"\(kind)\"",
                    hint: "the kinds are dns, ip, uri and email"
                )
            }
        }

        /// Makes a subtree of a kind and a base that are known to be right.
        init(_ tag: UInt8, _ contents: [UInt8]) { base = DER.encode(tag, contents) }

        /// Adopts a base as it stands in a certificate.
        fileprivate init(base: [UInt8]) { self.base = base }

        /// The octets of an address followed by those of its mask.
        private static func network(_ text: String) throws(CertificateError) -> [UInt8] {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard let first = parts.first, let address = IPAddress.octets(first), parts.count <= 2 else {
                throw CertificateError(
                    .invalidName,
                    "\"\(text)\" is not an address with a prefix length, such as 10.0.0.0/8"
                )
            }
            let bits = address.count * 8
            guard let length = parts.count == 2 ? Int(parts[1]) : bits, (0...bits).contains(length) else {
                throw CertificateError(.invalidName, "\"\(text)\": the prefix length is not 0 to \(bits)")
            }
            let mask = address.indices.map { octet in
                UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, length - octet * 8)))
            }
            guard zip(address, mask).allSatisfy({ $0 & ~$1 == 0 }) else {
                throw CertificateError(.invalidName, "\"\(text)\" has bits set behind its prefix of \(length)")
            }
            return address + mask
        }
    }

    /// Names of a kind that appears here must lie in one of these subtrees.
    public var permitted: [Subtree]

    /// Names must not lie in any of these.
    public var excluded: [Subtree]

    /// Makes name constraints.
    ///
    /// - Parameters:
    ///   - permitted: Subtrees that names of their kinds must lie in.
    ///   - excluded: Subtrees that no name may lie in.
    public init(permitted: [Subtree] = [], excluded: [Subtree] = []) {
        self.permitted = permitted
        self.excluded = excluded
    }

    /// Whether nothing is constrained.
    public var isEmpty: Bool { permitted.isEmpty && excluded.isEmpty }

    /// The DER encoding of the extension's value.
    var derEncoded: [UInt8] {
        func subtrees(_ tag: UInt8, _ subtrees: [Subtree]) -> [UInt8] {
            subtrees.isEmpty ? [] : DER.encode(tag, subtrees.flatMap { DER.sequence([$0.base]) })
        }
        return DER.sequence([subtrees(DER.constructed(0), permitted), subtrees(DER.constructed(1), excluded)])
    }
}

extension NameConstraints {
    /// Reads the value of the extension; gives nothing when it is malformed, or when a subtree has the distances that
    /// RFC 5280 forbids.
    ///
    /// - Parameter derEncoded: A SEQUENCE of permitted and excluded subtrees.
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
    /// The text form that ``init(_:)`` reads, for the kinds that it knows.
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
            let ones = mask.reduce(0) { $0 + $1.nonzeroBitCount }
            let isPrefix = mask.enumerated().allSatisfy { index, octet in
                octet == UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, ones - index * 8)))
            }
            return "ip:\(IPAddress.text(Array(address)))/\(isPrefix ? "\(ones)" : IPAddress.text(Array(mask)))"
        default: return "kind \(element.tag & 0x1f):\(hexadecimal(octets))"
        }
    }
}
