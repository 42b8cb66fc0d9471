// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date

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
        guard certificate.version == 3 else {
            throw refusal(of: certificate, "is of X.509 version \(certificate.version), not 3")
        }
        guard !certificate.subject.isEmpty else {
            throw refusal(of: certificate, "has an empty subject", remedy: "issue one with a common name")
        }
        guard !certificate.isCA else {
            throw refusal(of: certificate, "is a CA's (CA:TRUE)", remedy: "issue a client certificate from it")
        }
        guard let usage = certificate.keyUsage, usage.contains(.digitalSignature) else {
            let has = certificate.keyUsage.map { "allows only \($0)" } ?? "has no key usage"
            throw refusal(
                of: certificate,
                "\(has), not digitalSignature",
                remedy: "issue one with keyUsage = critical, digitalSignature"
            )
        }
        try checkSignatureAndValidity(of: certificate, at: date)
        for intermediate in intermediates {
            try checkSignatureAndValidity(of: intermediate, at: date)
        }
    }

    private func checkSignatureAndValidity(of certificate: Certificate, at date: Date) throws(RolesAnywhereError) {
        guard !certificate.signatureAlgorithm.isWeak else {
            throw refusal(
                of: certificate,
                "is signed with \(certificate.signatureAlgorithm.name), which is weaker than SHA-256",
                remedy: "have it issued again with SHA-256 or stronger"
            )
        }
        guard date >= certificate.notBefore else {
            throw refusal(
                of: certificate,
                "is not valid before \(CivilTime(certificate.notBefore).extended)",
                remedy: "it is \(CivilTime(date).extended) by this machine's clock; is that right?"
            )
        }
        guard date <= certificate.notAfter else {
            throw refusal(
                of: certificate,
                "has expired: it was valid until \(CivilTime(certificate.notAfter).extended)",
                remedy: "have it renewed"
            )
        }
    }

    private func refusal(of certificate: Certificate, _ rule: String, remedy: String? = nil) -> RolesAnywhereError {
        let kind = certificate == self.certificate ? "certificate" : "intermediate certificate"
        let subject =
            certificate.subject.isEmpty ? "" : " \"\(printable(certificate.subject.description, limit: 200))\""
        let place = source.map { " in \"\(printable($0))\"" } ?? ""
        return RolesAnywhereError(.unusableIdentity, "the \(kind)\(subject)\(place) \(rule)", remedy: remedy)
    }
}
