// SPDX-License-Identifier: Apache-2.0

/// What a certified key may be used for (RFC 5280 §4.2.1.3).
public struct KeyUsage: OptionSet, Hashable, Sendable {
    /// Bit n of the extension is bit n here.
    public let rawValue: UInt16

    /// Makes a set of usages.
    ///
    /// - Parameter rawValue: Bit n stands for the extension's bit n.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Signatures other than on certificates and CRLs. Roles Anywhere wants it on a client certificate.
    public static let digitalSignature = KeyUsage(rawValue: 1 << 0)
    /// Signatures that their maker cannot deny.
    public static let nonRepudiation = KeyUsage(rawValue: 1 << 1)
    /// Encrypting keys, as RSA key transport does.
    public static let keyEncipherment = KeyUsage(rawValue: 1 << 2)
    /// Encrypting data directly.
    public static let dataEncipherment = KeyUsage(rawValue: 1 << 3)
    /// Agreeing on a key, as Diffie-Hellman does.
    public static let keyAgreement = KeyUsage(rawValue: 1 << 4)
    /// Signing certificates. A CA needs it.
    public static let keyCertSign = KeyUsage(rawValue: 1 << 5)
    /// Signing certificate revocation lists.
    public static let crlSign = KeyUsage(rawValue: 1 << 6)
    /// With `keyAgreement`: only for enciphering.
    public static let encipherOnly = KeyUsage(rawValue: 1 << 7)
    /// With `keyAgreement`: only for deciphering.
    public static let decipherOnly = KeyUsage(rawValue: 1 << 8)

    /// The usages that a key of this algorithm can have, so that a certificate never promises what its key cannot do.
    ///
    /// RSA: RFC 3279 §2.3.1. EC: RFC 8813 §3. ML-DSA: RFC 9881 §5.
    ///
    /// - Parameter algorithm: The certified key's.
    /// - Returns: Every usage for algorithms without a rule.
    static func possible(for algorithm: KeyAlgorithm) -> KeyUsage {
        let signing: KeyUsage = [.digitalSignature, .nonRepudiation, .keyCertSign, .crlSign]
        return switch algorithm {
        case .rsa: signing.union([.keyEncipherment, .dataEncipherment])
        case .ec: signing.union([.keyAgreement, .encipherOnly, .decipherOnly])
        case .mlDSA: signing
        case .other: KeyUsage(rawValue: 0x1ff)
        }
    }

    /// Reads the value of the extension.
    ///
    /// - Parameter derEncoded: A BIT STRING of one or two octets.
    init?(derEncoded: [UInt8]) {
        guard let parts = DER.elements(in: derEncoded[...]), parts.count == 1, parts[0].tag == DER.bitString,
            (2...3).contains(parts[0].contents.count)
        else { return nil }
        let octets = Array(parts[0].contents.dropFirst())
        var usage: UInt16 = 0
        for bit in 0..<9 where bit / 8 < octets.count && octets[bit / 8] & (0x80 >> (bit % 8)) != 0 {
            usage |= 1 << bit
        }
        self.init(rawValue: usage)
    }

    /// The value of the extension: a BIT STRING without trailing zero bits (X.690 §11.2.2).
    var derEncoded: [UInt8] {
        var octets: [UInt8] = [0, 0]
        for bit in 0..<9 where rawValue & (1 << bit) != 0 { octets[bit / 8] |= 0x80 >> (bit % 8) }
        if octets[1] == 0 { octets.removeLast() }
        if octets == [0] { return DER.encode(DER.bitString, [0]) }
        let unused = octets.last.map(\.trailingZeroBitCount) ?? 0
        return DER.encode(DER.bitString, [UInt8(unused)] + octets)
    }
}

extension KeyUsage: CustomStringConvertible {
    /// The names of RFC 5280, in the order of their bits.
    public var description: String {
        let names = [
            "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
            "cRLSign", "encipherOnly", "decipherOnly",
        ]
        return names.enumerated().filter { rawValue & (1 << $0.offset) != 0 }.map(\.element).joined(separator: ", ")
    }
}
