// SPDX-License-Identifier: Apache-2.0

/// One extension of a certificate or a request (RFC 5280 §4.2).
public struct CertificateExtension: Hashable, Sendable {
    /// The object identifier in dots.
    public let identifier: String

    /// libcrypto's short name of it (`basicConstraints`), or the identifier when it has none.
    public let name: String

    /// Whether a reader that does not know the extension must refuse the certificate.
    public let isCritical: Bool

    /// The DER encoding of the whole Extension.
    let derEncoded: [UInt8]

    /// The contents of its OCTET STRING, which are DER again.
    public let value: [UInt8]
}

extension CertificateExtension {
    /// Encodes an extension.
    init(_ identifier: String, name: String, isCritical: Bool, value: [UInt8]) {
        self.identifier = identifier
        self.name = name
        self.isCritical = isCritical
        self.value = value
        let criticality = isCritical ? DER.true : []
        derEncoded = DER.sequence([DER.objectIdentifier(identifier), criticality, DER.encode(DER.octetString, value)])
    }

    static let subjectKeyIdentifier = "2.5.29.14"
    static let keyUsage = "2.5.29.15"
    static let subjectAlternativeName = "2.5.29.17"
    static let basicConstraints = "2.5.29.19"
    static let revocationListNumber = "2.5.29.20"
    static let revocationReason = "2.5.29.21"
    static let invalidityDate = "2.5.29.24"
    static let nameConstraints = "2.5.29.30"
    static let distributionPoints = "2.5.29.31"
    static let authorityKeyIdentifier = "2.5.29.35"
    static let authorityInformation = "1.3.6.1.5.5.7.1.1"
}

/// What a certified key may be used for (RFC 5280 §4.2.1.3).
public struct KeyUsage: OptionSet, Hashable, Sendable {
    /// Bit n of the extension is bit n here.
    public let rawValue: UInt16

    /// Creates a set of usages from the extension's bits.
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

    /// The usages that a key of this algorithm can have: RFC 3279 §2.3.1 (RSA), RFC 8813 §3 (EC), RFC 9881 §5 (ML-DSA);
    /// every usage for algorithms without a rule.
    static func possible(for algorithm: KeyAlgorithm) -> KeyUsage {
        let signing: KeyUsage = [.digitalSignature, .nonRepudiation, .keyCertSign, .crlSign]
        return switch algorithm {
        case .rsa: signing.union([.keyEncipherment, .dataEncipherment])
        case .ec: signing.union([.keyAgreement, .encipherOnly, .decipherOnly])
        case .mlDSA: signing
        case .other: KeyUsage(rawValue: 0x1ff)
        }
    }

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

/// Whether a certificate is a CA's, and how long the path below it may be (RFC 5280 §4.2.1.9).
public struct BasicConstraints: Hashable, Sendable {
    /// Whether the subject may issue certificates.
    public let isCA: Bool

    /// The most intermediate CA certificates that may follow; `nil` means any number.
    public let pathLength: Int?

    /// Creates constraints; only a CA has a path length.
    public init(isCA: Bool, pathLength: Int? = nil) {
        self.isCA = isCA
        self.pathLength = pathLength
    }

    init?(derEncoded: [UInt8]) {
        guard let parts = DER.elements(inSequence: derEncoded), parts.allSatisfy({ $0.contents.count <= 2 }) else {
            return nil
        }
        let isCA = parts.first { $0.tag == DER.boolean }?.contents == [0xff]
        let length = parts.first { $0.tag == DER.integer }?.contents.reduce(0) { $0 << 8 | Int($1) }
        self.init(isCA: isCA, pathLength: length)
    }

    var derEncoded: [UInt8] {
        guard isCA else { return DER.sequence([]) }
        let length = pathLength.map { length in
            DER.unsignedInteger((0..<8).reversed().map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) })
        }
        return DER.sequence([DER.true, length ?? []])
    }
}
