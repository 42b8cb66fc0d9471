// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date
public import SystemSupport

/// An X.509 certificate.
///
/// A certificate is its bytes: values are equal when their bytes are, and can go anywhere. libcrypto's view of one lives
/// no longer than the function that asks for it.
public struct Certificate: Hashable, Sendable {
    /// The DER encoding, exactly as it was read or issued.
    public let derEncoded: [UInt8]

    /// What stands in the certificate, read once.
    let contents: Contents

    /// Two certificates are the same when their bytes are.
    public static func == (left: Certificate, right: Certificate) -> Bool { left.derEncoded == right.derEncoded }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(derEncoded) }

    /// The fields of a certificate (RFC 5280 §4.1.2, §4.2.1).
    struct Contents: Sendable {
        var version: Int
        var serialNumber: SerialNumber
        var signatureAlgorithm: SignatureAlgorithm
        var issuer: DistinguishedName
        var subject: DistinguishedName
        var notBefore: Date
        var notAfter: Date
        var publicKey: PublicKey
        var extensions: [CertificateExtension]
        var basicConstraints: BasicConstraints?
        var keyUsage: KeyUsage?
        var subjectKeyIdentifier: [UInt8]?
        var authorityKeyIdentifier: [UInt8]?
    }

    /// The version, 3 for every certificate with extensions.
    public var version: Int { contents.version }

    /// The serial number.
    public var serialNumber: SerialNumber { contents.serialNumber }

    /// How the issuer signed.
    public var signatureAlgorithm: SignatureAlgorithm { contents.signatureAlgorithm }

    /// The issuer's name.
    public var issuer: DistinguishedName { contents.issuer }

    /// The subject's name.
    public var subject: DistinguishedName { contents.subject }

    /// The first moment of validity.
    public var notBefore: Date { contents.notBefore }

    /// The last moment of validity.
    public var notAfter: Date { contents.notAfter }

    /// The certified key.
    public var publicKey: PublicKey { contents.publicKey }

    /// Every extension, in the order of the certificate.
    public var extensions: [CertificateExtension] { contents.extensions }

    /// The basic constraints; nothing when the extension is absent.
    public var basicConstraints: BasicConstraints? { contents.basicConstraints }

    /// Whether the basic constraints say that this is a CA.
    public var isCA: Bool { contents.basicConstraints?.isCA ?? false }

    /// The key usage; nothing when the extension is absent, which allows every use.
    public var keyUsage: KeyUsage? { contents.keyUsage }

    /// Which names the subject may certify; nothing when the extension is absent or malformed.
    public var nameConstraints: NameConstraints? {
        extensions.first { $0.identifier == CertificateExtension.nameConstraints }
            .flatMap { NameConstraints(derEncoded: $0.value) }
    }

    /// The identifier of the certified key.
    public var subjectKeyIdentifier: [UInt8]? { contents.subjectKeyIdentifier }

    /// The identifier of the issuer's key.
    public var authorityKeyIdentifier: [UInt8]? { contents.authorityKeyIdentifier }

    /// Whether issuer and subject are the same name.
    public var isSelfIssued: Bool { issuer == subject }

    /// Whether a moment lies within the validity, both ends included.
    ///
    /// - Parameter date: The moment.
    /// - Returns: Whether it does.
    public func isValid(at date: Date) -> Bool { notBefore <= date && date <= notAfter }

    /// The certificate as a PEM object, without any text around it.
    public var pemEncoded: String { PEMDocument(label: "CERTIFICATE", bytes: derEncoded).text }

    /// The SHA-256 of the DER encoding, in lower-case hexadecimal.
    public var fingerprint: String { hexadecimal(Digest.sha256.hash(derEncoded)) }

    /// Reads every certificate of a PEM text, or one in DER.
    ///
    /// - Parameter file: The contents of a file: PEM with anything around and between the certificates, or one
    ///   certificate in DER.
    /// - Returns: The certificates in their order; none when a PEM text holds only other things.
    /// - Throws: ``CertificateError`` when a certificate, or the PEM around it, is malformed.
    public static func certificates(in file: [UInt8]) throws(CertificateError) -> [Certificate] {
        let file = WrappedText.unwrapped(file)
        if file.first == 0x30, let certificate = try? Certificate(derEncoded: file) { return [certificate] }
        var certificates: [Certificate] = []
        for document in try PEMDocument.documents(in: file)
        where ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(document.label) {
            if document.label == "TRUSTED CERTIFICATE" {
                throw CertificateError(
                    .unsupported,
                    "a certificate is in OpenSSL's own TRUSTED form",
                    hint: "convert it: openssl x509 -in FILE -out PLAIN.pem"
                )
            }
            certificates.append(try Certificate(derEncoded: document.bytes))
        }
        return certificates
    }
}

/// The algorithm of the signature on a certificate or a request.
public struct SignatureAlgorithm: Hashable, Sendable {
    /// libcrypto's long name of it: `ecdsa-with-SHA256`, `sha256WithRSAEncryption`, `ML-DSA-65`.
    public let name: String

    /// The hash function by libcrypto's name: `SHA1`, `SHA256`, …; nothing where the signature has none of its own.
    public let digest: String?

    /// Whether the hash function is weaker than SHA-256, which Roles Anywhere refuses.
    public let isWeak: Bool
}
