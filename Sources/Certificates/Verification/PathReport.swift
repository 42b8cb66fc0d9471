// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date

/// What a verification found out about a path, all of it.
public struct PathReport: Sendable {
    /// One certificate of the path.
    public struct Step: Sendable {
        /// The certificate.
        public let certificate: Certificate

        /// Whether it is a trusted one.
        public let isAnchor: Bool

        /// What it was held to be.
        public let role: CertificateRole

        /// What the lists say of it.
        public internal(set) var revocation: RevocationStatus

        /// The rules that it breaks, by itself, beside its issuer, or at its place in the path.
        public internal(set) var findings: [ValidationFinding]
    }

    /// What lists say of a certificate.
    public enum RevocationStatus: Hashable, Sendable {
        /// There were no lists.
        case notChecked
        /// It is trusted by itself: no list speaks of it.
        case trusted
        /// A current list of its issuer does not name it.
        case good
        /// No list that can be relied upon speaks of it.
        case unknown
        /// A list of its issuer names it.
        case revoked(CertificateRevocationList.Entry)
    }

    /// A list that was to be looked into.
    public struct List: Sendable {
        /// The list.
        public let list: CertificateRevocationList

        /// The rules that it breaks, by itself, beside its issuer, or at the moment.
        public internal(set) var findings: [ValidationFinding]
    }

    /// The path: the certificate first and, when ``isComplete``, a trusted one last.
    public internal(set) var steps: [Step]

    /// The lists in the order in which they were given.
    public internal(set) var lists: [List]

    /// Whether the path leads to a trusted certificate.
    public var isComplete: Bool { steps.last?.isAnchor ?? false }

    /// Whether the path is complete and nothing breaks a binding rule.
    public var isValid: Bool {
        isComplete && steps.allSatisfy(\.findings.errors.isEmpty) && lists.allSatisfy(\.findings.errors.isEmpty)
    }

    /// Adds what others have against the certificate in question, or against one above it.
    ///
    /// - Parameters:
    ///   - findings: What they found.
    ///   - index: The place in ``steps``.
    package mutating func add(_ findings: [ValidationFinding], at index: Int) {
        guard steps.indices.contains(index) else { return }
        steps[index].findings += findings
    }

    /// Adds what others have against a list.
    ///
    /// - Parameters:
    ///   - findings: What they found.
    ///   - index: The place in ``lists``.
    package mutating func addToList(_ findings: [ValidationFinding], at index: Int) {
        guard lists.indices.contains(index) else { return }
        lists[index].findings += findings
    }
}

/// What a certificate is verified for.
public enum VerificationPurpose: String, CaseIterable, Sendable {
    /// Proving to a TLS server who one is.
    case client
    /// Being a TLS server.
    case server
}

extension CertificateVerifier {
    /// Finds the path of a certificate and everything that is wrong with it.
    ///
    /// Beside what libcrypto's strict verification finds, every certificate is held to the rules of ``CertificateLinter``,
    /// and every list to those of ``RevocationListLinter``.
    ///
    /// - Parameters:
    ///   - certificate: The certificate in question.
    ///   - intermediates: Certificates that may stand between it and an anchor, in any order. They are not trusted.
    ///   - lists: Lists of revoked certificates. Each must be current and issued by a CA of the path. With at least one, a
    ///     certificate that none speaks of is warned of.
    ///   - purpose: What the certificate is for; with nothing, any use will do.
    ///   - host: The name or address of the server that the certificate must be for.
    ///   - date: The moment at which everything must be valid.
    /// - Returns: What was found.
    public func report(
        on certificate: Certificate,
        intermediates: [Certificate] = [],
        lists: [CertificateRevocationList] = [],
        purpose: VerificationPurpose? = nil,
        host: String? = nil,
        at date: Date
    ) -> PathReport {
        var making = PathReportBuilder(verifier: self, helpers: intermediates, purpose: purpose, date: date)
        making.climb(from: certificate)
        making.checkPurpose(host: host)
        making.look(into: lists)
        return making.report
    }
}
