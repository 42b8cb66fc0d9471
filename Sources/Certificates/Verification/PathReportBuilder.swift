// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Date
import SystemSupport

struct PathReportBuilder {
    let verifier: CertificateVerifier
    let intermediates: [Certificate]
    let purpose: VerificationPurpose?
    let date: Date
    var report = PathReport(steps: [], lists: [])

    // MARK: - The path

    /// Finds the path, and the violations of the certificates on it.
    mutating func findPath(of certificate: Certificate) {
        let search: PathSearch
        do {
            search = try verifier.searchedPath(for: certificate, intermediates: intermediates, at: date)
        } catch {
            let finding = RuleViolation(PathRule.strict, "cannot be verified: \(error)")
            report.steps = [step(certificate, at: 0, findings: [finding])]
            return
        }
        report.steps = search.path.enumerated().map { index, certificate in
            var findings = CertificateLinter.findings(in: certificate, as: role(of: certificate, at: index))
            if index + 1 < search.path.count {
                // That the issuer is not a CA is reported at the issuer.
                findings += CertificateLinter.findings(in: certificate, issuedBy: search.path[index + 1])
                    .filter { $0.rule != IssuerRule.notCA && $0.rule != IssuerRule.keyUsage }
            }
            return step(certificate, at: index, findings: findings)
        }
        for error in search.errors { add(error) }
        checkWildcards()
        for index in report.steps.indices {
            report.steps[index].findings = report.steps[index].findings.map { isBinding($0.rule) ? $0 : $0.asWarning }
        }
    }

    /// Whether breaking a rule makes a path invalid. The rule that CA certificates have a key usage is for issuers; path
    /// validation checks the extension only if it is present (RFC 5280 §6.1.4). A server's name is required only when the
    /// purpose is a server.
    private func isBinding(_ rule: ValidationRule) -> Bool {
        rule != UsageRule.caKeyUsage && (rule != AlternativeNameRule.server || purpose == .server)
    }

    /// Finds wildcards that match an excluded name. libcrypto compares the wildcard as if it were a name.
    private mutating func checkWildcards() {
        for index in report.steps.indices {
            let names = report.steps[index].certificate.subjectAlternativeNames
            let excluded = report.steps.dropFirst(index + 1).flatMap { $0.certificate.nameConstraints?.excluded ?? [] }
            guard let name = names.first(where: { name in excluded.contains { $0.isTouched(byWildcard: name) } }),
                !report.steps[index].findings.contains(where: { $0.rule == PathRule.excluded })
            else { continue }
            report.steps[index].findings.add(
                PathRule.excluded,
                "has the wildcard \(printable(name.description)), which matches names that a CA above excludes",
                hint: constraints(above: index).map { "\(PathRule.excluded.hint) (\($0))" })
        }
    }

    private func role(of certificate: Certificate, at index: Int) -> CertificateRole {
        guard index == 0 else { return certificate.isSelfIssued ? .root : .intermediate }
        switch purpose {
        case .client: return .client
        case .server: return .server
        case nil: return CertificateRole(of: certificate)
        }
    }

    private func step(_ certificate: Certificate, at index: Int, findings: [RuleViolation]) -> PathReport.Step {
        let isAnchor = verifier.anchors.contains(certificate)
        return PathReport.Step(
            certificate: certificate, isAnchor: isAnchor, role: role(of: certificate, at: index),
            revocation: isAnchor ? .trusted : .notChecked, findings: findings)
    }

    /// The rule that libcrypto says is broken. For every fault of a CA it says that the certificate is not a CA's.
    private static func rule(_ error: VerificationError, about certificate: Certificate) -> ValidationRule {
        guard error.rule == UsageRule.notCA || error.rule == UsageRule.caCertSign else { return error.rule }
        if !certificate.isCA { return UsageRule.notCA }
        return certificate.keyUsage?.contains(.keyCertSign) == false ? UsageRule.caCertSign : PathRule.strict
    }

    /// Adds an error of libcrypto, unless the linter found it already.
    private mutating func add(_ error: VerificationError) {
        let index = min(error.depth, report.steps.count - 1)
        guard report.steps.indices.contains(index) else { return }
        let certificate = report.steps[index].certificate
        let rule = Self.rule(error, about: certificate)
        guard !report.steps[index].findings.contains(where: { $0.rule == rule }) else { return }
        var hint: String?
        let words: String
        switch rule {
        case PathRule.expired: words = "has expired: it was valid until \(CivilTime(certificate.notAfter).extended)"
        case PathRule.notYetValid: words = "is not valid before \(CivilTime(certificate.notBefore).extended)"
        case PathRule.incomplete: return explainEnd(error)
        case PathRule.selfSigned, PathRule.untrustedRoot:
            words = "is self-signed, and is not in the bundle\(otherKey(of: certificate))"
        case PathRule.length:
            let length = certificate.basicConstraints?.pathLength ?? 0
            let below = report.steps[..<index].dropFirst().count { !$0.certificate.isSelfIssued }
            words = "allows a path length of \(length), and has \(below) CAs below it"
        case PathRule.permitted, PathRule.excluded:
            words = "has a name that a CA above \(rule == PathRule.permitted ? "does not permit" : "excludes")"
            hint = constraints(above: index).map { "\(rule.hint) (\($0))" }
        default: words = "is refused by libcrypto: \(error.reason)"
        }
        report.steps[index].findings.add(rule, words, hint: hint)
    }

    /// The name constraints of the CAs above a certificate, in words.
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
        guard let twin = verifier.anchors.first(where: { $0.subject.isEqual(to: certificate.subject) }) else {
            return ""
        }
        return twin.publicKey == certificate.publicKey
            ? "; the bundle has another certificate for its key" : "; the bundle has one of that name with another key"
    }

    /// Says why the path ends. libcrypto reports it twice: that there is no issuer, and that the signature cannot be verified
    /// without one.
    private mutating func explainEnd(_ error: VerificationError) {
        let end = report.steps.count - 1
        let certificate = report.steps[end].certificate
        guard !report.steps[end].findings.contains(where: { $0.rule == PathRule.incomplete }) else { return }
        let issuer = certificate.issuer.isEmpty ? "an issuer without a name" : certificate.issuer.description
        let shown = printable(issuer, limit: 200)
        let candidates = (verifier.anchors + intermediates).filter {
            $0 != certificate && $0.subject.isEqual(to: certificate.issuer)
        }
        guard let candidate = candidates.first(where: { $0.hasSigned(certificate) }) ?? candidates.first else {
            report.steps[end].findings.add(
                PathRule.incomplete,
                "is issued by \(shown), whose certificate is neither in the bundle nor among the intermediates",
                hint: "name it with --intermediates, or with --bundle when it is a root that you trust")
            return
        }
        let reasons = CertificateLinter.findings(in: certificate, issuedBy: candidate).errors
        let known = Set(report.steps[end].findings.map(\.rule))
        report.steps[end].findings += reasons.filter { !known.contains($0.rule) }
        let why = reasons.isEmpty ? error.reason : "the only certificate of that name does not fit"
        report.steps[end].findings.add(
            PathRule.incomplete, "is issued by \(shown), and no path leads on from it: \(why)")
    }

    // MARK: - The purpose

    mutating func checkPurpose(host: String?) {
        guard let leaf = report.steps.first else { return }
        if let purpose {
            let needed: KeyUsage =
                purpose == .client
                ? [.digitalSignature, .keyAgreement] : [.digitalSignature, .keyEncipherment, .keyAgreement]
            let isKnown = leaf.findings.contains { $0.rule == UsageRule.extendedInconsistent }
            if !isKnown, let usage = leaf.certificate.keyUsage, usage.isDisjoint(with: needed) {
                let words = "has the key usage \(usage), which does not allow to be a \(purpose)"
                report.steps[0].findings.add(PathRule.purposeKeyUsage, words)
            }
            let name = purpose == .client ? "clientAuth" : "serverAuth"
            for index in report.steps.indices.dropFirst() {
                let usages = report.steps[index].certificate.extendedKeyUsage
                guard !usages.isEmpty, !usages.contains(name), !usages.contains("anyExtendedKeyUsage") else { continue }
                let shown = printable(usages.joined(separator: ", "), limit: 200)
                let words = "has the extended key usage \(shown), and may not issue for \(name)"
                report.steps[index].findings.add(PathRule.purposeCA, words)
            }
        }
        guard let host, !leaf.certificate.isFor(host: host) else { return }
        let names = leaf.certificate.subjectAlternativeNames.map(\.description).joined(separator: ", ")
        let has = names.isEmpty ? "it has no alternative name" : "it has \(printable(names, limit: 300))"
        report.steps[0].findings.add(PathRule.hostname, "is not for \(printable(host, limit: 200)): \(has)")
    }

    // MARK: - Revocation

    /// Checks the CRLs, and looks the certificates up in them.
    mutating func check(_ lists: [CertificateRevocationList]) {
        guard !lists.isEmpty else { return }
        for list in lists { check(list) }
        for index in report.steps.indices where !report.steps[index].isAnchor { lookUp(index) }
    }

    private mutating func check(_ list: CertificateRevocationList) {
        let named = report.steps.map(\.certificate).filter { $0.subject.isEqual(to: list.issuer) }
        guard let issuer = named.first(where: { list.isSigned(by: $0) }) ?? named.first else {
            let issuer = printable(list.issuer.description, limit: 200)
            var findings: [RuleViolation] = []
            findings.add(PathRule.listIssuer, "is not used: it is issued by \(issuer), which is not in the path")
            report.lists.append(PathReport.List(list: list, findings: findings))
            return
        }
        var findings = RevocationListLinter.findings(in: list)
        findings += RevocationListLinter.findings(in: list, issuedBy: issuer)
        if list.thisUpdate > date {
            findings.add(PathRule.listFuture, "is made at \(CivilTime(list.thisUpdate).extended), in the future")
        }
        if let next = list.nextUpdate, next < date {
            findings.add(PathRule.listExpired, "has expired: the next one was due by \(CivilTime(next).extended)")
        }
        // An unknown critical extension was reported by the linter.
        let unhandled = list.unhandledCriticalExtensions
        if !unhandled.isEmpty, !findings.contains(where: { $0.rule == EncodingRule.unknownCritical }) {
            let names = unhandled.joined(separator: ", ")
            findings.add(PathRule.listUnusable, "has critical extensions that change its meaning: \(names)")
        }
        report.lists.append(PathReport.List(list: list, findings: findings))
    }

    private mutating func lookUp(_ index: Int) {
        let certificate = report.steps[index].certificate
        guard report.steps.indices.contains(index + 1) else {
            report.steps[index].revocation = .unknown
            return
        }
        let issuer = report.steps[index + 1].certificate
        // Every CRL that the issuer signed can revoke; only one without errors can clear.
        let lists = report.lists.filter { $0.list.issuer.isEqual(to: issuer.subject) && $0.list.isSigned(by: issuer) }
        if let entry = lists.lazy.compactMap({ $0.list.entry(for: certificate.serialNumber) }).first {
            report.markRevoked(at: index, entry)
        } else if lists.contains(where: { $0.findings.errors.isEmpty && !$0.list.isDelta }) {
            report.steps[index].revocation = .good
        } else {
            report.steps[index].revocation = .unknown
            let words = "may be revoked: there is no valid CRL of \(issuer.shownSubject)"
            report.steps[index].findings.add(PathRule.notCovered, words)
        }
    }
}
