// SPDX-License-Identifier: Apache-2.0

/// What a certificate is for, which decides which rules apply to it.
public enum CertificateRole: String, CaseIterable, Sendable {
    /// A CA whose certificate is self-issued.
    case root
    /// A CA that another CA certified.
    case intermediate
    /// A TLS client.
    case client
    /// A TLS server.
    case server
    /// Any other, by its extended key usage: email, time stamps.
    case other

    /// Finds the role of a certificate: a CA's by its basic constraints and its names, any other by its extended key usage.
    /// Without one it is a client's.
    public init(of certificate: Certificate) {
        let usages = certificate.extendedKeyUsage
        self =
            if certificate.isCA {
                certificate.isSelfIssued ? .root : .intermediate
            } else if usages.isEmpty || usages.contains("clientAuth") || usages.contains("anyExtendedKeyUsage") {
                .client
            } else {
                usages.contains("serverAuth") ? .server : .other
            }
    }

    /// Whether it is the role of a CA.
    public var isCA: Bool { self == .root || self == .intermediate }
}

/// Finds the rules of RFC 5280 and related standards that a certificate breaks, among them those that libcrypto ignores even
/// in its strict mode.
///
/// The checks read the encoding, because libcrypto's view of a certificate hides a negative serial number, a time without
/// seconds or a duplicate extension. Time is not checked: an expired certificate may have no violation.
public enum CertificateLinter {
    /// Returns the rules that a certificate breaks, in the order of the checks. Without a role, that of the certificate is used.
    public static func findings(in certificate: Certificate, as role: CertificateRole? = nil) -> [RuleViolation] {
        var checks = CertificateChecks(certificate: certificate, role: role ?? CertificateRole(of: certificate))
        checks.run()
        return checks.findings
    }

    /// Returns the rules that a certificate breaks together with its issuer's certificate, the real one or a supposed one.
    public static func findings(in certificate: Certificate, issuedBy issuer: Certificate) -> [RuleViolation] {
        var findings: [RuleViolation] = []
        findings.check(certificate, issuedBy: issuer)
        return findings
    }
}

/// Finds the rules of RFC 5280 that a CRL breaks.
public enum RevocationListLinter {
    /// Returns the rules that a CRL breaks; of entries only the first of each kind. Whether it is current is not checked.
    public static func findings(in list: CertificateRevocationList) -> [RuleViolation] {
        var checks = RevocationListChecks(list)
        checks.run()
        return checks.findings
    }

    /// Returns the rules that a CRL breaks together with its issuer's certificate, the real one or a supposed one.
    public static func findings(in list: CertificateRevocationList, issuedBy issuer: Certificate) -> [RuleViolation] {
        var findings: [RuleViolation] = []
        findings.check(list, issuedBy: issuer)
        return findings
    }
}
