// SPDX-License-Identifier: Apache-2.0

package import Certificates
import SystemSupport

/// The rules of IAM Roles Anywhere, one list for each kind of thing.
package enum AWSRules {
    // General rules that make an extension as good as absent.
    private static let unreadable: Set<String> = [
        "version", "extension-malformed", "extension-duplicate", "extensions-empty",
    ]

    private static let validityRules: Set<String> = ["validity-order", "validity-expired", "validity-not-yet"]

    // MARK: - Clients

    /// A client's certificate.
    package static let client: [AWSRule<DatedCertificate>] = [
        AWSRule(
            "aws-client-key", .signing, "A client's key is for RSA, an elliptic curve or ML-DSA.",
            hint: "use a certificate with an RSA, EC or ML-DSA key", coveredBy: ["key-algorithm"]
        ) {
            let key = $0.certificate.publicKey.algorithm
            return RequestSignature.name(for: key) == nil
                ? "is for a key of the kind \(key), of which Roles Anywhere knows no signatures" : nil
        },
        AWSRule(
            "aws-client-version", .trustModel, "A client's certificate is of version 3.",
            hint: "issue one of version 3, as everything that writes extensions does", coveredBy: ["version"]
        ) { $0.certificate.version == 3 ? nil : "is of X.509 version \($0.certificate.version), not 3" },
        AWSRule(
            "aws-client-subject", .trustModel, "A client's certificate has a subject.",
            hint: "issue one with a common name", coveredBy: ["subject-unnamed", "subject-empty"]
        ) { $0.certificate.subject.isEmpty ? "has an empty subject" : nil },
        AWSRule(
            "aws-client-ca", .trustModel, "A client's certificate is not a CA's.",
            hint: "issue a client certificate from it", coveredBy: ["leaf-basic-constraints"]
        ) { $0.certificate.isCA ? "is a CA's (CA:TRUE)" : nil },
        AWSRule(
            "aws-client-key-usage", .trustModel, "The key usage of a client has digitalSignature.",
            hint: "issue one with keyUsage = critical, digitalSignature",
            coveredBy: unreadable.union(["key-usage-empty"])
        ) {
            guard $0.certificate.keyUsage?.contains(.digitalSignature) != true else { return nil }
            guard let usage = $0.certificate.keyUsage else { return "has no key usage, not digitalSignature" }
            return usage.isEmpty ? "has a key usage without any use" : "allows only \(usage), not digitalSignature"
        },
        signature("client", of: "A client's certificate", hint: "have it issued again with SHA-256 or stronger"),
        validity("client", of: "A client's certificate", hint: "have it renewed"),
        AWSRule(
            "aws-client-doubt", .trustModel,
            "A client's certificate has nothing that AWS leaves open: keys of RSA 2048 to 4096, P-256 and P-384 are known to do.",
            hint: "use a key of EC P-256 or RSA 2048, certified by a CA", severity: .notice,
            coveredBy: ["key-rsa-short", "key-curve", "key-curve-explicit"]
        ) {
            switch $0.certificate.publicKey.algorithm {
            case .rsa(let bits) where bits > 4096 || bits < 2048:
                "has an RSA key of \(bits) bits: AWS does not say that it takes fewer than 2048 or more than 4096"
            case .ec(let curve) where curve != "prime256v1" && curve != "secp384r1":
                "has a key on \($0.certificate.publicKey.algorithm): AWS does not say that it takes other curves than P-256 and P-384"
            default: nil
            }
        },
        AWSRule(
            "aws-client-self-signed", .trustModel, "A client's certificate is issued by a CA.",
            hint: "use a certificate that a CA of the trust anchor issued", severity: .notice
        ) {
            let certificate = $0.certificate
            return !certificate.isCA && certificate.isSelfIssued && certificate.hasSigned(certificate)
                ? "is self-signed: no trust anchor is its issuer" : nil
        },
    ]

    /// A CA's certificate between a client's and the trust anchor.
    package static let intermediate: [AWSRule<DatedCertificate>] = [
        signature(
            "intermediate", of: "A certificate above a client's", hint: "have it issued again with SHA-256 or stronger"),
        validity("intermediate", of: "A certificate above a client's", hint: "have it renewed"),
    ]

    // MARK: - Trust anchors

    /// A CA's certificate in a trust anchor.
    package static let anchor: [AWSRule<DatedCertificate>] = [
        AWSRule(
            "aws-anchor-version", .trustModel, "A trust anchor's certificate is of version 3.",
            hint: "make a CA of version 3: pki init-ca", coveredBy: ["version"]
        ) { $0.certificate.version == 3 ? nil : "is of X.509 version \($0.certificate.version), not 3" },
        AWSRule(
            "aws-anchor-ca", .trustModel, "A trust anchor's certificate is a CA's.",
            hint: "a trust anchor is made from the CA's certificate, not from the client's",
            coveredBy: unreadable.union(["ca-basic-constraints"])
        ) { $0.certificate.isCA ? nil : "is not a CA: it lacks basicConstraints CA:TRUE" },
        AWSRule(
            "aws-anchor-key-usage", .trustModel, "The key usage of a trust anchor has keyCertSign.",
            hint: "make a CA with keyUsage = critical, keyCertSign, cRLSign: pki init-ca",
            coveredBy: unreadable.union(["ca-key-usage", "ca-cert-sign", "key-usage-empty", "ca-basic-constraints"])
        ) { $0.certificate.keyUsage?.contains(.keyCertSign) == true ? nil : "lacks keyUsage keyCertSign" },
        signature(
            "anchor", of: "A trust anchor's certificate", hint: "make a CA with SHA-256 or stronger: pki init-ca"),
        validity(
            "anchor", of: "A trust anchor's certificate",
            hint: "make a new CA, and put both into the trust anchor while clients change over"),
    ]

    /// The certificates of a trust anchor together.
    package static let bundle: [AWSRule<[Certificate]>] = [
        AWSRule(
            "aws-anchor-count", .quotas,
            "A trust anchor has at most \(AWSLimit.anchorCertificateCount.maximum) certificates.",
            hint: "put in root CAs only: clients send their intermediates; more roots need more trust anchors",
            scope: .path
        ) {
            AWSLimit.anchorCertificateCount.maximum < $0.count
                ? "has \($0.count) certificates, not at most \(AWSLimit.anchorCertificateCount.maximum)" : nil
        },
        AWSRule(
            "aws-anchor-length", .createTrustAnchor,
            "A trust anchor has at most \(AWSLimit.anchorLength.maximum) characters of PEM.",
            hint: "take a CA certificate with fewer names and extensions", scope: .path
        ) {
            let length = $0.reduce(0) { $0 + $1.pemEncoded.utf8.count }
            return length > AWSLimit.anchorLength.maximum
                ? "has \(length) characters, not at most \(AWSLimit.anchorLength.maximum)" : nil
        },
        AWSRule(
            "aws-anchor-length-older", .quotas,
            "A trust anchor has at most \(AWSLimit.olderAnchorLength) characters of PEM in accounts with the older quota.",
            hint: "ask AWS to raise the quota if the account has the older one", severity: .notice, scope: .path
        ) {
            let length = $0.reduce(0) { $0 + $1.pemEncoded.utf8.count }
            return length > AWSLimit.olderAnchorLength
                ? "has \(length) characters; accounts with the older quota take \(AWSLimit.olderAnchorLength)" : nil
        },
    ]

    // MARK: - CRLs

    /// A CRL to import.
    package static let revocationList: [AWSRule<CertificateRevocationList>] = [
        AWSRule(
            "aws-crl-length", .importCRL,
            "A CRL that is imported has at most \(AWSLimit.crlLength.maximum) bytes of PEM.",
            hint: "leave out what has expired, or let another CA issue", scope: .revocationList
        ) {
            let length = $0.pemEncoded.utf8.count
            return AWSLimit.crlLength.contains(length)
                ? nil : "has \(length) bytes in PEM, and AWS takes at most \(AWSLimit.crlLength.maximum)"
        },
        AWSRule(
            "aws-crl-version", .trustModel, "A CRL that is imported is of version 2.", hint: "issue one of version 2",
            scope: .revocationList, coveredBy: ["crl-version"]
        ) { $0.version == 2 ? nil : "is of version \($0.version), not 2" },
        AWSRule(
            "aws-crl-extensions", .trustModel,
            "A CRL that is imported is complete, with no critical extension that is not known.",
            hint: "import a complete CRL that covers every certificate of its issuer", scope: .revocationList,
            coveredBy: ["extension-unknown-critical", "crl-issuing-distribution-point", "crl-delta"]
        ) {
            guard $0.isDelta || !$0.unhandledCriticalExtensions.isEmpty else { return nil }
            return "has critical extensions that are not understood: "
                + $0.unhandledCriticalExtensions.joined(separator: ", ")
        },
        AWSRule(
            "aws-crl-signature", .trustModel, "A CRL that is imported is signed with SHA-256 or stronger.",
            hint: "issue it again with SHA-256 or stronger", scope: .revocationList, coveredBy: ["signature-weak"]
        ) { $0.signatureAlgorithm.isWeak ? "is signed with \($0.signatureAlgorithm.name)" : nil },
    ]

    // MARK: - Paths

    /// A client's path together with the CRLs of the trust anchor.
    package static let path: [AWSRule<AnchoredPath>] = [
        AWSRule(
            "aws-chain-length", .createSession,
            "At most \(AWSLimit.chainLength.maximum) certificates may be between a client's and the trust anchor.",
            hint: "have the client's certificate issued nearer to the trust anchor", scope: .path
        ) {
            let count = $0.path.count - 2
            return count > AWSLimit.chainLength.maximum
                ? "has \(count) certificates between it and the trust anchor" : nil
        },
        AWSRule(
            "aws-crl-issuer", .trustModel, "A CRL that is imported is issued by a CA of the trust anchor.",
            hint: "make a trust anchor of the CRL's issuer, or revoke with the root's own CRL", scope: .path
        ) { subject in
            let foreign = subject.lists.first { list in !subject.anchors.contains { list.isIssued(by: $0) } }
            return foreign.map {
                "is to be checked against a CRL of \(printable($0.issuer.description, limit: 200)), "
                    + "which is no CA of the trust anchor"
            }
        },
        AWSRule(
            "aws-crl-count", .quotas, "A trust anchor has at most \(AWSLimit.crlCount.maximum) CRLs.",
            hint: "give one CRL for each CA of the trust anchor", scope: .path
        ) {
            AWSLimit.crlCount.contains($0.lists.count) ? nil : "is to be checked against \($0.lists.count) CRLs"
        },
    ]

    // MARK: - Profiles

    /// A profile to create.
    package static let profile: [AWSRule<ProfileValues>] = [
        AWSRule(
            "aws-profile-name", .createProfile,
            "A profile's name has 1 to \(AWSLimit.resourceNameLength.maximum) of the characters of a resource name.",
            hint: "use 1 to 255 \(AWSText.resourceName.words)"
        ) {
            AWSLimit.resourceNameLength.contains($0.name.utf8.count) && AWSText.resourceName.allows($0.name)
                ? nil : "cannot have the name \"\(printable($0.name, limit: 100))\""
        },
        AWSRule(
            "aws-profile-roles", .createProfile, "A profile has at most \(AWSLimit.profileRoleCount.maximum) roles.",
            hint: "make another profile for the others"
        ) {
            AWSLimit.profileRoleCount.contains($0.roleCount)
                ? nil : "has \($0.roleCount) roles, not at most \(AWSLimit.profileRoleCount.maximum)"
        },
        AWSRule(
            "aws-profile-policies", .createProfile,
            "A profile has at most \(AWSLimit.profilePolicyCount.maximum) managed policies, named by their ARNs.",
            hint: "an ARN looks like arn:aws:iam::aws:policy/ReadOnlyAccess"
        ) {
            if let wrong = $0.managedPolicies.first(where: {
                AmazonResourceName(managedPolicy: $0) == nil
                    || !AWSLimit.profilePolicyARNLength.contains($0.utf8.count)
            }) {
                return "has the managed policy \"\(printable(wrong, limit: 100))\", which is not the ARN of one"
            }
            let count = $0.managedPolicies.count
            return AWSLimit.profilePolicyCount.contains(count)
                ? nil : "has \(count) managed policies, not at most \(AWSLimit.profilePolicyCount.maximum)"
        },
        AWSRule(
            "aws-profile-duration", .createProfile,
            "A profile's sessions last \(AWSLimit.sessionDuration.minimum) to \(AWSLimit.sessionDuration.maximum) seconds.",
            hint: "choose \(AWSLimit.sessionDuration.minimum) to \(AWSLimit.sessionDuration.maximum) seconds"
        ) {
            let limit = AWSLimit.sessionDuration
            return limit.contains($0.durationSeconds)
                ? nil : "has sessions of \($0.durationSeconds) s, not \(limit.minimum) to \(limit.maximum) s"
        },
        AWSRule(
            "aws-profile-session-policy", .createProfile,
            "A profile's session policy has at most \(AWSLimit.sessionPolicyLength.maximum) characters.",
            hint: "name a managed policy instead"
        ) {
            guard let length = $0.sessionPolicyLength, !AWSLimit.sessionPolicyLength.contains(length) else {
                return nil
            }
            return "has a session policy of \(length) characters, not 1 to \(AWSLimit.sessionPolicyLength.maximum)"
        },
    ]

    /// The rules on certificates and CRLs, for a list of rules.
    package static let all: [ValidationRule] =
        client.map(\.rule) + intermediate.map(\.rule) + anchor.map(\.rule) + revocationList.map(\.rule)
        + bundle.map(\.rule) + path.map(\.rule)

    // MARK: - Rules on several kinds of certificates

    private static func signature(_ kind: String, of what: String, hint: String) -> AWSRule<DatedCertificate> {
        AWSRule(
            "aws-\(kind)-signature", .trustModel, "\(what) is signed with SHA-256 or stronger.", hint: hint,
            coveredBy: ["signature-weak"]
        ) {
            let algorithm = $0.certificate.signatureAlgorithm
            return algorithm.isWeak ? "is signed with \(algorithm.name), which is weaker than SHA-256" : nil
        }
    }

    private static func validity(_ kind: String, of what: String, hint: String) -> AWSRule<DatedCertificate> {
        AWSRule(
            "aws-\(kind)-validity",
            .trustModel,
            "\(what) is valid now.",
            hint: hint,
            coveredBy: validityRules,
            check: { subject in
                guard let date = subject.date else { return nil }
                let certificate = subject.certificate
                if date < certificate.notBefore {
                    return (
                        "is not valid before \(CivilTime(certificate.notBefore).extended)",
                        "it is \(CivilTime(date).extended) by this machine's clock; is that right?"
                    )
                }
                guard date > certificate.notAfter else { return nil }
                return ("has expired: it was valid until \(CivilTime(certificate.notAfter).extended)", nil)
            }
        )
    }
}
