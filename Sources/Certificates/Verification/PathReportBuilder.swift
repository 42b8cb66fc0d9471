// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Date
import SystemSupport

/// The making of a report on a path.
struct PathReportBuilder {
    let verifier: CertificateVerifier
    let helpers: [Certificate]
    let purpose: VerificationPurpose?
    let date: Date
    var report = PathReport(steps: [], lists: [])

    init(verifier: CertificateVerifier, helpers: [Certificate], purpose: VerificationPurpose?, date: Date) {
        self.verifier = verifier
        self.helpers = helpers
        self.purpose = purpose
        self.date = date
    }

    // MARK: - The path

    /// Finds the path, and what is wrong with the certificates on it.
    mutating func climb(from certificate: Certificate) {
        let search: PathSearch
        do {
            search = try verifier.searchedPath(for: certificate, intermediates: helpers, at: date)
        } catch {
            let finding = ValidationFinding(PathRule.strict.rule, "cannot be verified: \(error)")
            report.steps = [step(certificate, at: 0, findings: [finding])]
            return
        }
        report.steps = search.path.enumerated().map { index, certificate in
            var findings = CertificateLinter.findings(in: certificate, as: role(of: certificate, at: index))
            if index + 1 < search.path.count {
                // That the issuer is no CA is said of the issuer.
                let others: Set = [IssuerRule.notCA.rule, IssuerRule.keyUsage.rule]
                findings += CertificateLinter.findings(in: certificate, issuedBy: search.path[index + 1])
                    .filter { !others.contains($0.rule) }
            }
            return step(certificate, at: index, findings: findings)
        }
        for complaint in search.complaints { add(complaint) }
    }

    private func role(of certificate: Certificate, at index: Int) -> CertificateRole {
        guard index == 0 else { return certificate.isSelfIssued ? .root : .intermediate }
        switch purpose {
        case .client: return .client
        case .server: return .server
        case nil: return CertificateRole(of: certificate)
        }
    }

    private func step(_ certificate: Certificate, at index: Int, findings: [ValidationFinding]) -> PathReport.Step {
        let isAnchor = verifier.anchors.contains(certificate)
        return PathReport.Step(
            certificate: certificate,
            isAnchor: isAnchor,
            role: role(of: certificate, at: index),
            revocation: isAnchor ? .trusted : .notChecked,
            findings: findings
        )
    }

    /// The rule that libcrypto says is broken. That one is no CA it says of every fault of a CA.
    private static func rule(_ complaint: VerificationError, about certificate: Certificate) -> any RuleGroup {
        guard let usage = complaint.rule as? UsageRule, usage == .notCA || usage == .caCertSign else {
            return complaint.rule
        }
        if !certificate.isCA { return UsageRule.notCA }
        return certificate.keyUsage?.contains(.keyCertSign) == false ? UsageRule.caCertSign : PathRule.strict
    }

    /// Adds what libcrypto says, unless it was found already.
    private mutating func add(_ complaint: VerificationError) {
        let index = min(complaint.depth, report.steps.count - 1)
        guard report.steps.indices.contains(index) else { return }
        let step = report.steps[index]
        let said = Self.rule(complaint, about: step.certificate)
        let rule = said.rule
        guard !step.findings.contains(where: { $0.rule == rule }) else { return }
        let certificate = step.certificate
        var hint: String?
        let words: String
        switch said {
        case PathRule.expired:
            words = "has expired: it was valid until \(CivilTime(certificate.notAfter).extended)"
        case PathRule.notYetValid: words = "is not valid before \(CivilTime(certificate.notBefore).extended)"
        case PathRule.incomplete: return explainEnd(at: index, complaint)
        case PathRule.selfSigned, PathRule.untrustedRoot:
            words = "is self-signed, and is not in the bundle\(otherKey(of: certificate))"
        case PathRule.length:
            let length = certificate.basicConstraints?.pathLength ?? 0
            let below = report.steps[..<index].dropFirst().count { !$0.certificate.isSelfIssued }
            words = "allows a path length of \(length), and \(below) CAs stand below it"
        case PathRule.permitted, PathRule.excluded:
            let isPermission = said as? PathRule == .permitted
            words = "has a name that a CA above \(isPermission ? "does not permit" : "excludes")"
            hint = constraints(above: index).map { "\(rule.hint) (\($0))" }
        default: words = "is refused by libcrypto: \(complaint.reason)"
        }
        report.steps[index].findings.append(ValidationFinding(rule, words, hint: hint))
    }

    /// The names that the CAs above a certificate may certify, in words.
    private func constraints(above index: Int) -> String? {
        let lines = report.steps.dropFirst(index + 1).compactMap { step -> String? in
            guard let constraints = step.certificate.nameConstraints else { return nil }
            let parts = [("permits", constraints.permitted), ("excludes", constraints.excluded)]
                .filter { !$0.1.isEmpty }
                .map { "\($0.0) \($0.1.map(\.description).joined(separator: ", "))" }
            return "\(step.certificate.shownSubject) \(parts.joined(separator: " and "))"
        }
        return lines.isEmpty ? nil : printable(lines.joined(separator: "; "), limit: 500)
    }

    private func otherKey(of certificate: Certificate) -> String {
        let twins = verifier.anchors.filter { $0.subject.isEqual(to: certificate.subject) }
        guard let twin = twins.first else { return "" }
        return twin.publicKey == certificate.publicKey
            ? "; the bundle has another certificate for its key" : "; the bundle has one of that name with another key"
    }

    /// Says why a path does not go on.
    private mutating func explainEnd(at index: Int, _ complaint: VerificationError) {
        // libcrypto says it twice: that there is no issuer, and that the signature cannot be verified without.
        let end = report.steps.count - 1
        let certificate = report.steps[end].certificate
        guard !report.steps[end].findings.contains(where: { $0.rule == PathRule.incomplete.rule }) else { return }
        let issuer = certificate.issuer.isEmpty ? "an issuer without a name" : certificate.issuer.description
        let shown = printable(issuer, limit: 200)
        let candidates = (verifier.anchors + helpers).filter {
            $0 != certificate && $0.subject.isEqual(to: certificate.issuer)
        }
        guard let candidate = candidates.first(where: { $0.hasSigned(certificate) }) ?? candidates.first else {
            report.steps[end].findings.append(
                ValidationFinding(
                    PathRule.incomplete.rule,
                    "is issued by \(shown), whose certificate is neither in the bundle nor among the intermediates",
                    hint: "name it with --intermediates, or with --bundle when it is a root that you trust"
                )
            )
            return
        }
        let reasons = CertificateLinter.findings(in: certificate, issuedBy: candidate).errors
        let known = Set(report.steps[end].findings.map(\.rule))
        report.steps[end].findings += reasons.filter { !known.contains($0.rule) }
        let why = reasons.isEmpty ? complaint.reason : "the one that is there does not fit"
        report.steps[end].findings.append(
            ValidationFinding(PathRule.incomplete.rule, "is issued by \(shown), and no path leads on from it: \(why)")
        )
    }

    // MARK: - The purpose

    /// Checks what the certificate is for.
    mutating func checkPurpose(host: String?) {
        guard let leaf = report.steps.first else { return }
        if let purpose {
            let needed: KeyUsage =
                purpose == .client
                ? [.digitalSignature, .keyAgreement] : [.digitalSignature, .keyEncipherment, .keyAgreement]
            let isKnown = leaf.findings.contains { $0.rule == UsageRule.extendedInconsistent.rule }
            if !isKnown, let usage = leaf.certificate.keyUsage, usage.isDisjoint(with: needed) {
                let words = "has the key usage \(usage), which does not allow to be a \(purpose)"
                report.steps[0].findings.append(ValidationFinding(PathRule.purposeKeyUsage.rule, words))
            }
            let name = purpose == .client ? "clientAuth" : "serverAuth"
            for index in report.steps.indices.dropFirst() {
                let usages = report.steps[index].certificate.extendedKeyUsage
                guard !usages.isEmpty, !usages.contains(name), !usages.contains("anyExtendedKeyUsage") else { continue }
                let shown = printable(usages.joined(separator: ", "), limit: 200)
                let words = "has the extended key usage \(shown), and may not issue for \(name)"
                report.steps[index].findings.append(ValidationFinding(PathRule.purposeCA.rule, words))
            }
        }
        guard let host, !leaf.certificate.isFor(host: host) else { return }
        let names = leaf.certificate.subjectAlternativeNames.map(\.description).joined(separator: ", ")
        let has = names.isEmpty ? "it has no alternative name" : "it has \(printable(names, limit: 300))"
        let words = "is not for \(printable(host, limit: 200)): \(has)"
        report.steps[0].findings.append(ValidationFinding(PathRule.hostname.rule, words))
    }
}
