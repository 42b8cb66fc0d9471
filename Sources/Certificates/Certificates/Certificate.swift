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

    /// Two certificates are the same when their bytes are.
    public static func == (left: Certificate, right: Certificate) -> Bool { left.derEncoded == right.derEncoded }

    /// Hashes the bytes.
    public func hash(into hasher: inout Hasher) { hasher.combine(derEncoded) }

    /// The version, 3 for every certificate with extensions.
    public let version: Int

    /// The serial number.
    public let serialNumber: SerialNumber

    /// How the issuer signed.
    public let signatureAlgorithm: SignatureAlgorithm

    /// The issuer's name.
    public let issuer: DistinguishedName

    /// The subject's name.
    public let subject: DistinguishedName

    /// The first time of validity.
    public let notBefore: Date

    /// The last time of validity.
    public let notAfter: Date

    /// The certified key.
    public let publicKey: PublicKey

    /// Every extension, in the order of the certificate.
    public let extensions: [CertificateExtension]

    /// The basic constraints; `nil` if the extension is absent.
    public let basicConstraints: BasicConstraints?

    /// Whether the basic constraints say that this is a CA.
    public var isCA: Bool { basicConstraints?.isCA ?? false }

    /// The key usage; `nil` if the extension is absent, which allows every use.
    public let keyUsage: KeyUsage?

    /// The names that the subject may certify; `nil` if the extension is absent or malformed.
    public var nameConstraints: NameConstraints? {
        extensions.first { $0.identifier == CertificateExtension.nameConstraints }
            .flatMap { NameConstraints(derEncoded: $0.value) }
    }

    /// The identifier of the certified key.
    public let subjectKeyIdentifier: [UInt8]?

    /// The identifier of the issuer's key.
    public let authorityKeyIdentifier: [UInt8]?

    /// Whether issuer and subject are the same name.
    public var isSelfIssued: Bool { issuer == subject }

    /// Whether a time is within the validity, both ends included.
    public func isValid(at date: Date) -> Bool { notBefore <= date && date <= notAfter }

    /// The certificate as a PEM object, without any text around it.
    public var pemEncoded: String { PEMDocument(label: "CERTIFICATE", bytes: derEncoded).text }

    /// The SHA-256 of the DER encoding, in lower-case hexadecimal.
    public var fingerprint: String { hexadecimal(Digest.sha256.hash(derEncoded)) }

    /// Returns every certificate of a PEM text with anything around and between them, or the one of a file in DER.
    public static func certificates(in file: [UInt8]) throws(CertificateError) -> [Certificate] {
        let file = WrappedText.unwrapped(file)
        if file.first == 0x30, let certificate = try? Certificate(derEncoded: file) { return [certificate] }
        var certificates: [Certificate] = []
        for document in try PEMDocument.documents(in: file)
        where ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"].contains(document.label) {
            if document.label == "TRUSTED CERTIFICATE" {
                throw CertificateError(
                    .unsupported, "a certificate is in OpenSSL's own TRUSTED form",
                    hint: "convert it: openssl x509 -in FILE -out PLAIN.pem")
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

    /// libcrypto's name of the hash function: `SHA1`, `SHA256`, …; `nil` for a signature that has none of its own.
    public let digest: String?

    /// Whether the hash function is weaker than SHA-256, which Roles Anywhere refuses.
    public let isWeak: Bool
}

extension Certificate {
    /// Whether the certificate is for a server with this DNS name, in any case and with or without a final dot, or IP
    /// address (RFC 9525 §6): one of the alternative names is equal, or a wildcard for one label before two or more
    /// matches. The common name is ignored.
    public func isFor(host: String) -> Bool {
        subjectAlternativeNames.contains { $0.isFor(host: host) }
    }
}

extension GeneralName {
    /// Whether the name is that of a host, see ``Certificate/isFor(host:)``.
    package func isFor(host: String) -> Bool {
        if let address = IPAddress.octets(host) { return self == .ip(address) }
        let wanted = Self.labels(host)
        guard !wanted.isEmpty, wanted.allSatisfy({ !$0.isEmpty }), case .dns(let text) = self,
            text.allSatisfy(\.isASCII)
        else { return false }
        let offered = Self.labels(text)
        if offered == wanted { return true }
        return offered.first == "*" && offered.count > 2 && offered.count == wanted.count
            && offered.dropFirst() == wanted.dropFirst()
    }

    private static func labels(_ host: String) -> [String] {
        let bare = host.hasSuffix(".") ? String(host.dropLast()) : host
        return bare.lowercased().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    }
}

/// Why a key, a name, a certificate or a request could not be read, made or accepted.
public typealias CertificateError = CodedError<CertificateErrorCode>

/// The kinds of ``CertificateError``.
public enum CertificateErrorCode: Sendable {
    /// The bytes or the text are not what they should be.
    case malformed
    /// Well formed, but this libcrypto or this module cannot do it.
    case unsupported
    /// An encrypted key or container came without a passphrase.
    case missingPassphrase
    /// The passphrase does not open the key or the container.
    case wrongPassphrase
    /// A distinguished name or an alternative name breaks the rules of its kind.
    case invalidName
    /// Something was asked for that a rule of RFC 5280 forbids.
    case forbidden
    /// Two things that must belong together do not.
    case mismatch
    /// No valid path leads to a trusted certificate.
    case untrusted
    /// There is no such device, or no such key in it.
    case absent
    /// The device takes no more passwords for a time.
    case locked
    /// libcrypto failed in a way that names no fault of the caller.
    case failed
}
