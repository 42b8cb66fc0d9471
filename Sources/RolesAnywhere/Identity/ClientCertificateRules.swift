// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import struct FoundationEssentials.Date
import SystemSupport

/// What IAM Roles Anywhere wants of a client's certificate, whoever has the key.
///
/// Source: IAM Roles Anywhere User Guide, "Trust model", "Signature verification".
package enum ClientCertificateRules {
    /// Finds every rule that a certificate breaks.
    ///
    /// A certificate must be of version 3, with a subject, not a CA's, with the key usage digitalSignature, for a key that
    /// Roles Anywhere knows, signed with SHA-256 or stronger, and valid.
    ///
    /// - Parameters:
    ///   - certificate: The client's certificate.
    ///   - date: The moment at which it must be valid.
    /// - Returns: The rules in the order in which they are checked; none when the service would take the certificate.
    package static func broken(by certificate: Certificate, at date: Date) -> [BrokenRule] {
        var broken: [BrokenRule] = []
        if let rule = keyRule(certificate.publicKey.algorithm) { broken.append(rule) }
        if certificate.version != 3 {
            broken.append(
                BrokenRule(
                    "version",
                    "is of X.509 version \(certificate.version), not 3",
                    hint: "issue one of version 3, as everything that writes extensions does"
                )
            )
        }
        if certificate.subject.isEmpty {
            broken.append(BrokenRule("subject", "has an empty subject", hint: "issue one with a common name"))
        }
        if certificate.isCA {
            broken.append(
                BrokenRule(
                    "basicConstraints",
                    "is a CA's (CA:TRUE)",
                    hint: "issue a client certificate from it"
                )
            )
        }
        if certificate.keyUsage?.contains(.digitalSignature) != true {
            let has = certificate.keyUsage.map { "allows only \($0)" } ?? "has no key usage"
            broken.append(
                BrokenRule(
                    "keyUsage",
                    "\(has), not digitalSignature",
                    hint: "issue one with keyUsage = critical, digitalSignature"
                )
            )
        }
        return broken + brokenByAny(certificate, at: date)
    }

    /// Finds the rules that a certificate breaks which hold for those above a client's as well.
    ///
    /// - Parameters:
    ///   - certificate: The client's certificate, or one above it.
    ///   - date: The moment at which it must be valid.
    /// - Returns: The rules in the order in which they are checked.
    package static func brokenByAny(_ certificate: Certificate, at date: Date) -> [BrokenRule] {
        var broken: [BrokenRule] = []
        if certificate.signatureAlgorithm.isWeak {
            broken.append(
                BrokenRule(
                    "signatureAlgorithm",
                    "is signed with \(certificate.signatureAlgorithm.name), which is weaker than SHA-256",
                    hint: "have it issued again with SHA-256 or stronger"
                )
            )
        }
        if date < certificate.notBefore {
            broken.append(
                BrokenRule(
                    "validity",
                    "is not valid before \(CivilTime(certificate.notBefore).extended)",
                    hint: "it is \(CivilTime(date).extended) by this machine's clock; is that right?"
                )
            )
        }
        if date > certificate.notAfter {
            broken.append(
                BrokenRule(
                    "validity",
                    "has expired: it was valid until \(CivilTime(certificate.notAfter).extended)",
                    hint: "have it renewed"
                )
            )
        }
        return broken
    }

    /// What breaks no rule that AWS writes down, and may yet be refused.
    ///
    /// - Parameter certificate: The client's certificate.
    /// - Returns: Words that go on after the certificate's name.
    package static func doubts(about certificate: Certificate) -> [String] {
        var doubts: [String] = []
        switch certificate.publicKey.algorithm {
        case .rsa(let bits) where bits > 4096 || bits < 2048:
            doubts.append(
                "has an RSA key of \(bits) bits: AWS does not say that it takes fewer than 2048 or more than 4096"
            )
        case .ec(let curve) where curve != "prime256v1" && curve != "secp384r1":
            doubts.append(
                "has a key on \(certificate.publicKey.algorithm): AWS does not say that it takes other curves than P-256 and P-384"
            )
        default: break
        }
        if !certificate.isCA, certificate.isSelfIssued, certificate.hasSigned(certificate) {
            doubts.append("is self-signed: no trust anchor is its issuer")
        }
        return doubts
    }

    /// The name of the signature that a key makes for the service.
    ///
    /// - Parameter key: The kind of key.
    /// - Returns: For example `AWS4-X509-RSA-SHA256`; nothing for a key that Roles Anywhere does not know.
    package static func signingAlgorithm(for key: KeyAlgorithm) -> String? { try? RequestSigner.algorithm(for: key) }

    private static func keyRule(_ key: KeyAlgorithm) -> BrokenRule? {
        guard signingAlgorithm(for: key) == nil else { return nil }
        return BrokenRule(
            "keyAlgorithm",
            "is for a key of the kind \(key), of which Roles Anywhere knows no signatures",
            hint: "use a certificate with an RSA, EC or ML-DSA key"
        )
    }
}
