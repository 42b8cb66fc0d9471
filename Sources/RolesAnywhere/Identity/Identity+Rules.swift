// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

extension Identity {
    /// Checks what the service would refuse, so that the rule can be named: the service itself only says "untrusted".
    ///
    /// The certificate must be of version 3, valid now, not a CA's, with a subject, with the key usage digitalSignature,
    /// signed with SHA-256 or stronger, and for a key that Roles Anywhere knows; those above it must be valid and signed
    /// as strongly (IAM Roles Anywhere User Guide, "Trust model", "Signature verification").
    ///
    /// - Parameter date: The moment at which the certificates must be valid.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/unusableIdentity`` naming the first rule broken.
    public func check(at date: Date) throws(RolesAnywhereError) {
        _ = try RequestSigner.algorithm(for: key.publicKey.algorithm)
        guard certificate.publicKey == key.publicKey else {
            throw refusal(of: certificate, "is not for this private key")
        }
        if let rule = ClientCertificateRules.broken(by: certificate, at: date).first {
            throw refusal(of: certificate, rule.finding, hint: rule.hint)
        }
        for intermediate in intermediates {
            guard let rule = ClientCertificateRules.brokenByAny(intermediate, at: date).first else { continue }
            throw refusal(of: intermediate, rule.finding, hint: rule.hint)
        }
    }

    private func refusal(of certificate: Certificate, _ rule: String, hint: String? = nil) -> RolesAnywhereError {
        let kind = certificate == self.certificate ? "certificate" : "intermediate certificate"
        let subject =
            certificate.subject.isEmpty ? "" : " \"\(printable(certificate.subject.description, limit: 200))\""
        let place = source.map { " in \"\(printable($0))\"" } ?? ""
        return RolesAnywhereError(.unusableIdentity, "the \(kind)\(subject)\(place) \(rule)", hint: hint)
    }
}
