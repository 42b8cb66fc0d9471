// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials

/// The certificate that a client shows, with the key that it certifies made ready.
struct ClientCertificate: Sendable {
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

    /// What the general rules for certificates say of it.
    private let generalFindings: [RuleViolation]

    /// Checks signatures by the certified key; `nil` if this libcrypto cannot use it.
    let verifier: SignatureVerifier?

    /// Reads `X-Amz-X509`.
    ///
    /// - Parameter header: The value as received: the base64 of one certificate's DER in one line.
    /// - Throws: ``ServiceRefusal``.
    init(_ header: String) throws(ServiceRefusal) {
        guard let certificate = Self.certificate(header) else {
            throw .validation(
                "X-Amz-X509 is not the base64 of one certificate in DER",
                hint: "send the leaf alone, without line ends or PEM boundaries")
        }
        leaf = certificate
        subject = "\(certificate.subject)"
        serialNumber = certificate.serialNumber.decimal
        sourceIdentity = SessionPreview.sourceIdentity(of: certificate)
        attributes = CertificateAttribute.attributes(of: certificate)
        generalFindings = CertificateJudge.generalFindings(in: certificate, as: .client)
        verifier = try? SignatureVerifier(certificate.publicKey)
    }

    /// Reads `X-Amz-X509-Chain`.
    ///
    /// - Parameter header: The value as received: base64 of DER, comma-joined; `nil` if there is no such header.
    /// - Returns: The certificates in their order.
    /// - Throws: ``ServiceRefusal``.
    static func chain(_ header: String?) throws(ServiceRefusal) -> [Certificate] {
        guard let header else { return [] }
        let parts = header.utf8.split(separator: 0x2c, omittingEmptySubsequences: false).map(Substring.init)
        let limit = AWSLimit.chainLength
        guard limit.contains(parts.count) else {
            throw .validation("X-Amz-X509-Chain holds \(parts.count) certificates, not at most \(limit.maximum)")
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
        let findings = CertificateJudge.findings(in: leaf, as: .client, at: date, beside: generalFindings)
        if let finding = findings.errors.first {
            throw .untrusted("the certificate \(finding.finding)", hint: finding.hint)
        }
        let warnings = findings.filter { $0.rule.severity == .warning }.map { "; warning: it \($0.finding)" }.joined()
        return "\(leaf.publicKey.algorithm), digitalSignature, valid until \(timestamp(leaf.notAfter))\(warnings)"
    }
}

extension Substring {
    fileprivate var trimmingBlanks: Substring {
        var text = self.drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return text
    }
}
