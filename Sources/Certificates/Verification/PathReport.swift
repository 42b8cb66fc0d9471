// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

public import struct FoundationEssentials.Date

/// Finds a valid path from a certificate to a trusted one (RFC 5280 §6), by libcrypto in its strict mode.
public struct CertificateVerifier: Sendable {
    /// The trusted certificates. A path may end at any of them, self-signed or not.
    public var anchors: [Certificate]

    /// Whether libcrypto checks what RFC 5280 asks of the issuer beyond what a path needs, such as key identifiers.
    package var isStrict = true

    /// Creates a verifier that trusts these certificates.
    public init(anchors: [Certificate]) {
        self.anchors = anchors
    }

    /// Returns a valid path, from the certificate to the anchor.
    ///
    /// - Parameters:
    ///   - certificate: The certificate to verify.
    ///   - intermediates: Untrusted certificates that may be on the path, in any order.
    ///   - date: The time at which every certificate of the path must be valid.
    /// - Returns: The path.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/untrusted``, naming the certificate that failed and the
    ///   rule.
    public func path(
        for certificate: Certificate, intermediates: [Certificate] = [], at date: Date
    ) throws(CertificateError) -> [Certificate] {
        do {
            return try verifiedPath(for: certificate, intermediates: intermediates, at: date)
        } catch {
            // libcrypto tries one path.
            for (verifier, others) in alternatives(for: certificate, intermediates: intermediates, at: date) {
                if let path = try? verifier.verifiedPath(for: certificate, intermediates: others, at: date) {
                    return path
                }
            }
            throw error as? CertificateError ?? CertificateError(.failed, "\(error)")
        }
    }

    /// Why libcrypto's strict verification refuses every path through a root, as a predicate; `nil` for a good one. Its
    /// validity in time does not matter.
    package static func objection(toRoot root: Certificate) -> String? {
        guard root.isSelfIssued else { return nil }
        let rules = [
            UsageRule.notCA, UsageRule.caCertSign, UsageRule.caKeyUsage, UsageRule.constraintsCritical,
            UsageRule.subjectKey,
        ]
        return CertificateLinter.findings(in: root, as: .root).first { rules.contains($0.rule) }?.finding
    }

    /// Every possible path, as a verifier that trusts its end only, and the certificates between.
    private func alternatives(
        for certificate: Certificate, intermediates: [Certificate], at date: Date
    ) -> [(verifier: CertificateVerifier, intermediates: [Certificate])] {
        PathBuilder(for: certificate, anchors: anchors, intermediates: intermediates, at: date).paths.map { path in
            var verifier = self
            verifier.anchors = path.suffix(1)
            return (verifier, Array(path.dropFirst().dropLast()))
        }
    }

    /// Returns the path of a certificate and every rule that it breaks: what libcrypto's strict verification finds, and the
    /// violations of ``CertificateLinter`` and ``RevocationListLinter``.
    ///
    /// - Parameters:
    ///   - certificate: The certificate to verify.
    ///   - intermediates: Untrusted certificates that may be on the path, in any order.
    ///   - lists: CRLs. Each must be current and issued by a CA of the path. With at least one, a certificate that none covers
    ///     gets a warning.
    ///   - purpose: What the certificate is for; `nil` allows any use.
    ///   - host: The name or address of the server that the certificate must be for.
    ///   - date: The time at which everything must be valid.
    /// - Returns: The report.
    public func report(
        on certificate: Certificate, intermediates: [Certificate] = [], lists: [CertificateRevocationList] = [],
        purpose: VerificationPurpose? = nil, host: String? = nil, at date: Date
    ) -> PathReport {
        func report(by verifier: CertificateVerifier, _ intermediates: [Certificate]) -> PathReport {
            var builder = PathReportBuilder(
                verifier: verifier, intermediates: intermediates, purpose: purpose, date: date)
            builder.findPath(of: certificate)
            builder.checkPurpose(host: host)
            builder.check(lists)
            return builder.report
        }
        let first = report(by: self, intermediates)
        if first.isValid { return first }
        return alternatives(for: certificate, intermediates: intermediates, at: date).lazy
            .map { report(by: $0.verifier, $0.intermediates) }.first(where: \.isValid) ?? first
    }
}

/// What a certificate is verified for.
public enum VerificationPurpose: String, CaseIterable, Sendable {
    /// Authenticating a TLS client.
    case client
    /// Authenticating a TLS server.
    case server
}

/// Everything that a verification found out about a path.
public struct PathReport: Sendable {
    /// One certificate of the path.
    public struct Step: Sendable {
        /// The certificate.
        public let certificate: Certificate

        /// Whether the certificate is a trusted one.
        public let isAnchor: Bool

        /// The role whose rules were applied.
        public let role: CertificateRole

        /// What the CRLs say of the certificate.
        public internal(set) var revocation: RevocationStatus

        /// The rules that the certificate breaks, by itself, together with its issuer, or at its place in the path.
        public internal(set) var findings: [RuleViolation]
    }

    /// What CRLs say of a certificate.
    public enum RevocationStatus: Hashable, Sendable {
        /// There were no CRLs.
        case notChecked
        /// The certificate is an anchor, which no CRL covers.
        case trusted
        /// A current CRL of its issuer does not list it.
        case good
        /// No valid CRL covers it.
        case unknown
        /// A CRL of its issuer lists it.
        case revoked(CertificateRevocationList.Entry)
    }

    /// A CRL that was checked.
    public struct List: Sendable {
        /// The CRL.
        public let list: CertificateRevocationList

        /// The rules that the CRL breaks, by itself, together with its issuer, or at the given time.
        public internal(set) var findings: [RuleViolation]
    }

    /// The path: the certificate first and, when ``isComplete``, a trusted one last.
    public internal(set) var steps: [Step]

    /// The CRLs in the order in which they were given.
    public internal(set) var lists: [List]

    /// Whether the path leads to a trusted certificate.
    public var isComplete: Bool { steps.last?.isAnchor ?? false }

    /// Whether the path is complete and no binding rule is broken.
    public var isValid: Bool {
        isComplete && steps.allSatisfy(\.findings.errors.isEmpty) && lists.allSatisfy(\.findings.errors.isEmpty)
    }

    /// Adds violations of rules of other modules to a certificate of the path.
    package mutating func add(_ findings: [RuleViolation], at index: Int) {
        guard steps.indices.contains(index) else { return }
        steps[index].findings += findings
    }

    /// Adds that a certificate of the path is revoked; `source` says who knows, if it is not a CRL of the report.
    package mutating func markRevoked(
        at index: Int, date: Date, reason: RevocationReason?, source: String
    ) {
        guard steps.indices.contains(index) else { return }
        if case .revoked = steps[index].revocation { return }
        let number = steps[index].certificate.serialNumber
        markRevoked(at: index, .init(serialNumber: number, revocationDate: date, reason: reason), source: source)
    }

    mutating func markRevoked(at index: Int, _ entry: CertificateRevocationList.Entry, source: String? = nil) {
        steps[index].revocation = .revoked(entry)
        let since = CivilTime(entry.revocationDate).extended
        let suffix = source.map { ": \($0)" } ?? ""
        if entry.reason == .certificateHold {
            steps[index].findings.add(PathRule.onHold, "is on hold since \(since)\(suffix)")
        } else {
            let reason = entry.reason.map { " (\($0.name))" } ?? ""
            steps[index].findings.add(PathRule.revoked, "was revoked at \(since)\(reason)\(suffix)")
        }
    }

    /// Adds violations of rules of other modules to a CRL.
    package mutating func addToList(_ findings: [RuleViolation], at index: Int) {
        guard lists.indices.contains(index) else { return }
        lists[index].findings += findings
    }
}
