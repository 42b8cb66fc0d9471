// SPDX-License-Identifier: Apache-2.0

/// What a certificate is for, which decides what rules it is held to.
public enum CertificateRole: String, CaseIterable, Sendable {
    /// A CA that nobody certifies but itself.
    case root
    /// A CA that another certifies.
    case intermediate
    /// A client: it proves who it is.
    case client
    /// A server that others find by its name.
    case server
    /// Neither, to go by its extended key usage: signed mail, a time stamp.
    case other

    /// Reads the role out of a certificate: a CA's from its basic constraints and its names, any other from its extended key
    /// usage. Without one it is a client's.
    ///
    /// - Parameter certificate: The certificate.
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

    /// Whether it is the role of one that issues certificates.
    public var isCA: Bool { self == .root || self == .intermediate }
}

/// Finds the rules of RFC 5280 and its kin that a certificate breaks, among them those that libcrypto passes over even in its
/// strict mode.
///
/// What is read is the encoding itself: a serial number below zero, a moment without seconds, an extension that stands twice
/// cannot be seen in what libcrypto makes of them. Time plays no part: an expired certificate may be flawless.
public enum CertificateLinter {
    /// Finds the rules that a certificate breaks by itself.
    ///
    /// - Parameters:
    ///   - certificate: The certificate.
    ///   - role: What it is for; read out of the certificate when nothing is given.
    /// - Returns: What was found, in the order of ``ValidationRule/all``; nothing when no rule is broken.
    public static func findings(in certificate: Certificate, as role: CertificateRole? = nil) -> [ValidationFinding] {
        var examination = CertificateChecks(certificate, role: role ?? CertificateRole(of: certificate))
        examination.run()
        return examination.list.findings
    }

    /// Finds the rules that a certificate breaks together with the one of its issuer.
    ///
    /// - Parameters:
    ///   - certificate: The certificate.
    ///   - issuer: The certificate whose subject issued it, or is said to have.
    /// - Returns: What was found; nothing when no rule is broken.
    public static func findings(in certificate: Certificate, issuedBy issuer: Certificate) -> [ValidationFinding] {
        var list = FindingList()
        list.examine(certificate, issuedBy: issuer)
        return list.findings
    }
}

/// Finds the rules of RFC 5280 that a list of revoked certificates breaks.
public enum RevocationListLinter {
    /// Finds the rules that a list breaks by itself. Whether it is current is not looked at.
    ///
    /// - Parameter list: The list.
    /// - Returns: What was found, of entries the first of each kind; nothing when no rule is broken.
    public static func findings(in list: CertificateRevocationList) -> [ValidationFinding] {
        var examination = RevocationListChecks(list)
        examination.run()
        return examination.list.findings
    }

    /// Finds the rules that a list breaks together with the certificate of its issuer.
    ///
    /// - Parameters:
    ///   - list: The list.
    ///   - issuer: The certificate whose subject issued it, or is said to have.
    /// - Returns: What was found; nothing when no rule is broken.
    public static func findings(
        in list: CertificateRevocationList,
        issuedBy issuer: Certificate
    ) -> [ValidationFinding] {
        var findings = FindingList()
        findings.examine(list, issuedBy: issuer)
        return findings.findings
    }
}
