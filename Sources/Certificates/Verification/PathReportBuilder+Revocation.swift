// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension PathReportBuilder {
    /// Judges the lists, and looks the certificates up in them.
    mutating func look(into lists: [CertificateRevocationList]) {
        guard !lists.isEmpty else { return }
        for list in lists { add(list) }
        for index in report.steps.indices where !report.steps[index].isAnchor { lookUp(index) }
    }

    private mutating func add(_ list: CertificateRevocationList) {
        var findings = RevocationListLinter.findings(in: list)
        func add(_ rule: PathRule, _ words: String, hint: String? = nil) {
            findings.append(ValidationFinding(rule.rule, words, hint: hint))
        }
        let path = report.steps.map(\.certificate)
        let named = path.filter { $0.subject.isEqual(to: list.issuer) }
        if let issuer = named.first(where: { list.isSigned(by: $0) }) ?? named.first {
            findings += RevocationListLinter.findings(in: list, issuedBy: issuer)
        } else {
            add(.listIssuer, "is issued by \(printable(list.issuer.description, limit: 200)), which is not in the path")
        }
        if list.thisUpdate > date {
            add(.listFuture, "is made at \(CivilTime(list.thisUpdate).extended), later than the moment in question")
        }
        if let next = list.nextUpdate, next < date {
            add(.listExpired, "has expired: the next one was to come by \(CivilTime(next).extended)")
        }
        // What lint already refuses, or a list of changes, need not be told apart here.
        let unhandled = list.unhandledCriticalExtensions
        if !unhandled.isEmpty, !findings.contains(where: { $0.rule == EncodingRule.unknownCritical.rule }) {
            add(.listUnusable, "has critical extensions that change what it says: \(unhandled.joined(separator: ", "))")
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
        // Every list that the issuer signed can revoke; only one that nothing is wrong with can clear.
        let lists = report.lists.filter { $0.list.issuer.isEqual(to: issuer.subject) && $0.list.isSigned(by: issuer) }
        if let entry = lists.lazy.compactMap({ $0.list.entry(for: certificate.serialNumber) }).first {
            report.steps[index].revocation = .revoked(entry)
            let since = CivilTime(entry.revocationDate).extended
            let reason = entry.reason.map { " (\($0.name))" } ?? ""
            let isHeld = entry.reason == .certificateHold
            let rule = isHeld ? PathRule.onHold : PathRule.revoked
            let words = isHeld ? "is on hold since \(since)" : "was revoked at \(since)\(reason)"
            report.steps[index].findings.append(ValidationFinding(rule.rule, words))
        } else if lists.contains(where: { $0.findings.errors.isEmpty && !$0.list.isDelta }) {
            report.steps[index].revocation = .good
        } else {
            report.steps[index].revocation = .unknown
            let words = "is not known to be unrevoked: there is no list of \(issuer.shownSubject) to rely on"
            report.steps[index].findings.append(ValidationFinding(PathRule.notCovered.rule, words))
        }
    }
}
