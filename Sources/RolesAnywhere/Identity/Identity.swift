// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import SystemSupport

/// Who asks for a session: a certificate, the certificates above it, and the certificate's key, as one whole.
///
/// An identity is made in one piece and does not change, so that a rotation replaces all of it or nothing.
public struct Identity: Sendable {
    /// The certificate of the workload.
    public let certificate: Certificate

    /// The certificates between it and its root, each the issuer of one before it. The root is not among them: the
    /// service has it as the trust anchor.
    public let intermediates: [Certificate]

    /// The certificate's private key.
    public let key: any SigningKey

    /// Where the certificate was read from, for messages; nothing when it came from memory.
    public var source: String?

    /// The most certificates that may be sent along.
    static let maximumOfIntermediates = 5

    /// Puts an identity together from parts that are known to belong together.
    init(certificate: Certificate, intermediates: [Certificate], key: any SigningKey) {
        self.certificate = certificate
        self.intermediates = intermediates
        self.key = key
    }

    /// Puts an identity together from a key and a heap of certificates.
    ///
    /// The certificate is the one that is made out for the key; of several, the one that ends last. From it upwards every
    /// certificate that signed one of those below is taken, self-signed ones excepted. All others are left out, so that
    /// a full chain in any order, or a bundle of CAs, will do.
    ///
    /// - Parameters:
    ///   - key: The private key.
    ///   - certificates: The certificate and those above it, in any order.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/unusableIdentity`` when none belongs to the key, or
    ///   when the chain has more than five certificates.
    public init(key: any SigningKey, certificates: [Certificate]) throws(RolesAnywhereError) {
        guard !certificates.isEmpty else {
            throw RolesAnywhereError(.unusableIdentity, "there is no certificate")
        }
        let candidates = certificates.filter { $0.publicKey == key.publicKey }
        guard let certificate = candidates.max(by: { $0.notAfter < $1.notAfter }) else {
            throw Self.keyMismatch(key, certificates)
        }
        self.key = key
        self.certificate = certificate
        intermediates = CertificateChain(of: certificate, among: certificates).intermediates
        if intermediates.isEmpty { try Self.checkForMissingIssuer(of: certificate, among: certificates) }
        guard intermediates.count <= Self.maximumOfIntermediates else {
            throw RolesAnywhereError(
                .unusableIdentity,
                "the chain has \(intermediates.count) intermediate certificates, and the service takes no more than "
                    + "\(Self.maximumOfIntermediates)",
                hint: "make a CA nearer to the certificate the trust anchor, or leave out cross-signed alternatives"
            )
        }
    }

    /// Puts an identity together from the contents of files.
    ///
    /// - Parameters:
    ///   - certificates: A PEM text or one certificate in DER: the certificate, or a full chain in any order. It may hold
    ///     the private key too.
    ///   - privateKey: The private key in PEM or DER, encrypted or not; certificates beside it are used as well.
    ///   - intermediates: More certificates.
    ///   - passphrase: Opens an encrypted key.
    /// - Throws: ``RolesAnywhereError`` or `CertificateError` naming what is wrong.
    public init(
        certificates: [UInt8],
        privateKey: SecretBytes,
        intermediates: [UInt8] = [],
        passphrase: SecretBytes? = nil
    ) throws {
        let key = try PrivateKey(reading: privateKey, passphrase: passphrase)
        var heap = try Certificate.certificates(in: certificates)
        heap += try Certificate.certificates(in: intermediates)
        heap += (try? unsafe privateKey.withUnsafeBytes { try Certificate.certificates(in: unsafe Array($0)) }) ?? []
        try self.init(key: key, certificates: heap)
    }

    /// Refuses a chain whose lowest link is missing: intermediates were given, and none of them is above the certificate.
    private static func checkForMissingIssuer(
        of certificate: Certificate,
        among certificates: [Certificate]
    ) throws(RolesAnywhereError) {
        let others = certificates.filter { $0 != certificate && $0.isCA }
        guard let other = others.first(where: { !$0.isSelfIssued }),
            !others.contains(where: { $0.hasIssued(certificate) })
        else { return }
        throw RolesAnywhereError(
            .unusableIdentity,
            "the chain has a gap: \"\(printable(certificate.issuer.description, limit: 100))\", which issued "
                + "\"\(printable(certificate.subject.description, limit: 100))\", is not among the certificates, while "
                + "\"\(printable(other.subject.description, limit: 100))\" is",
            hint: "add the certificate of the issuer, or leave out those that have nothing to do with it"
        )
    }

    private static func keyMismatch(_ key: any SigningKey, _ certificates: [Certificate]) -> RolesAnywhereError {
        let keyKind = key.publicKey.algorithm
        let subjects = certificates.prefix(3).map { "\"\(printable($0.subject.description, limit: 100))\"" }
        let whose =
            certificates.count == 1
            ? "that of the certificate for \(subjects[0]), which is for a key of the kind \(certificates[0].publicKey.algorithm)"
            : "that of any of the \(certificates.count) certificates (\(subjects.joined(separator: ", ")))"
        return RolesAnywhereError(
            .unusableIdentity,
            "the private key (\(keyKind)) is not \(whose)",
            hint: "name the key that the certificate was issued for"
        )
    }
}

extension Identity: CustomStringConvertible, CustomReflectable {
    /// The subject and the serial number.
    public var description: String {
        "Identity(subject: \"\(certificate.subject)\", serialNumber: \(certificate.serialNumber), "
            + "intermediates: \(intermediates.count))"
    }

    /// Everything but the key.
    public var customMirror: Mirror {
        Mirror(self, children: ["certificate": certificate, "intermediates": intermediates, "key": "<redacted>"])
    }
}
