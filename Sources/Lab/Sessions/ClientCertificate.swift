// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials

/// The certificate that a client shows, with the key that it certifies made ready.
struct ClientCertificate: Sendable {
    /// The most intermediates that the service takes.
    static let chainLimit = 5

    /// The certificate.
    let leaf: Certificate

    /// Its subject as text.
    let subject: String

    /// Its serial number in decimal, as a credential names it.
    let serialNumber: String

    /// What the session's `SourceIdentity` becomes: `CN=` and the common name up to 61 characters, the bare name for 62
    /// to 64, `ID=` and the serial number in hexadecimal where there is no common name.
    let sourceIdentity: String

    /// What of it can become tags of the session.
    let attributes: [CertificateAttribute]

    /// Checks signatures by the certified key; nothing when this libcrypto cannot use it.
    let verifier: SignatureVerifier?

    /// Reads `X-Amz-X509`.
    ///
    /// - Parameter header: The value as received: the base64 of one certificate's DER in one line.
    /// - Throws: ``ServiceRefusal``.
    init(_ header: String) throws(ServiceRefusal) {
        guard let certificate = Self.certificate(header) else {
            throw .validation(
                "X-Amz-X509 is not the base64 of one certificate in DER",
                hint: "send the leaf alone, without line ends or PEM boundaries"
            )
        }
        leaf = certificate
        subject = "\(certificate.subject)"
        serialNumber = certificate.serialNumber.decimal
        sourceIdentity = Self.sourceIdentity(of: certificate)
        attributes = CertificateAttribute.attributes(of: certificate)
        verifier = try? SignatureVerifier(certificate.publicKey)
    }

    /// What the `SourceIdentity` of a certificate's sessions becomes; see ``sourceIdentity``.
    static func sourceIdentity(of certificate: Certificate) -> String {
        certificate.subject.commonName.map { $0.count <= 61 ? "CN=\($0)" : $0 }
            ?? "ID=\(certificate.serialNumber.hexadecimal)"
    }

    /// What a certificate's sessions are called that were given no name.
    static func sessionName(of certificate: Certificate) -> String { certificate.serialNumber.hexadecimal }

    /// Reads `X-Amz-X509-Chain`.
    ///
    /// - Parameter header: The value as received: base64 of DER, comma-joined; nothing when there is no such header.
    /// - Returns: The certificates in their order.
    /// - Throws: ``ServiceRefusal``.
    static func chain(_ header: String?) throws(ServiceRefusal) -> [Certificate] {
        guard let header else { return [] }
        let parts = header.utf8.split(separator: 0x2c, omittingEmptySubsequences: false).map(Substring.init)
        guard parts.count <= chainLimit else {
            throw .validation("X-Amz-X509-Chain holds \(parts.count) certificates, not at most \(chainLimit)")
        }
        var chain: [Certificate] = []
        for (index, part) in parts.enumerated() {
            guard let certificate = certificate(part.trimmingBlanks) else {
                throw .validation("certificate \(index + 1) of X-Amz-X509-Chain is not the base64 of one in DER")
            }
            chain.append(certificate)
        }
        return chain
    }

    private static func certificate(_ base64: some StringProtocol) -> Certificate? {
        // What decodes must encode to the same text: no stray bits, no blanks, no missing padding.
        guard let data = Data(base64Encoded: String(base64)), data.base64EncodedString() == base64 else { return nil }
        return try? Certificate(derEncoded: Array(data))
    }

    /// Checks the rules that IAM Roles Anywhere puts on a client's certificate.
    ///
    /// - Parameter date: The current time.
    /// - Returns: What was found, for the trace.
    /// - Throws: ``ServiceRefusal`` naming the rule.
    func check(at date: Date) throws(ServiceRefusal) -> String {
        let hint = "issue another with: pki issue-client"
        guard leaf.version == 3 else {
            throw .untrusted("the certificate is of version \(leaf.version), not 3", hint: hint)
        }
        guard !leaf.isCA else {
            throw .untrusted(
                "the certificate is a CA's (basicConstraints CA:TRUE)",
                hint: "sign with a client certificate"
            )
        }
        guard leaf.keyUsage?.contains(.digitalSignature) == true else {
            throw .untrusted(
                "the certificate's keyUsage \(leaf.keyUsage == nil ? "is absent" : "lacks digitalSignature")",
                hint: hint
            )
        }
        guard !leaf.signatureAlgorithm.isWeak else {
            throw .untrusted(
                "the certificate is signed with \(leaf.signatureAlgorithm.name)",
                hint: "have it signed with SHA-256 or stronger"
            )
        }
        guard !leaf.subject.isEmpty else {
            throw .untrusted(
                "the certificate's subject is empty",
                hint: "issue another with a subject, for example CN=web-1"
            )
        }
        guard date >= leaf.notBefore else {
            throw .untrusted(
                "the certificate is not valid before \(timestamp(leaf.notBefore))",
                hint: "check the clock"
            )
        }
        guard date <= leaf.notAfter else {
            throw .untrusted("the certificate expired at \(timestamp(leaf.notAfter))", hint: hint)
        }
        return "\(leaf.publicKey.algorithm), digitalSignature, valid until \(timestamp(leaf.notAfter))"
    }
}

extension Substring {
    fileprivate var trimmingBlanks: Substring {
        var text = self.drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return text
    }
}
