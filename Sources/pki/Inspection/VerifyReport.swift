// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// What `pki verify` answers.
struct VerifyReport: Report {
    /// One certificate of the path.
    struct Step: Encodable, Sendable {
        var subject: String
        var issuer: String
        var serialNumber: String
        var notBefore: Date
        var notAfter: Date
        var sha256: String
        var role: String
        /// Whether it is in the bundle.
        var trusted: Bool
        var valid: Bool
        /// `notChecked`, `trusted`, `good`, `unknown`, `held` or `revoked`.
        var revocation: String
        var revocationDate: Date?
        var revocationReason: String?
        var findings: [FindingFacts]
    }

    /// A list of revoked certificates.
    struct List: Encodable, Sendable {
        var issuer: String
        var number: String?
        var thisUpdate: Date
        var nextUpdate: Date?
        var revokedCount: Int
        var valid: Bool
        var findings: [FindingFacts]
    }

    var file: String
    var valid: Bool
    /// Whether the path ends at a certificate of the bundle.
    var complete: Bool
    /// The time at which everything had to be valid.
    var at: Date
    /// `rolesanywhere`, `client` or `server`; `nil` for any.
    var purpose: String?
    var hostname: String?
    /// The certificate first.
    var path: [Step]
    var revocationLists: [List]
    var counts: FindingCounts

    private enum CodingKeys: CodingKey {
        case file, valid, complete, at, purpose, hostname, path, revocationLists, counts
    }

    /// The mark of a certificate without and with faults.
    private let marks: (good: String, bad: String)

    init(_ report: PathReport, file: String, purpose: String?, hostname: String?, at date: Date, isForTerminal: Bool) {
        marks = isForTerminal ? ("✓", "✗") : ("ok", "FAILED")
        self.file = file
        self.purpose = purpose
        self.hostname = hostname
        valid = report.isValid
        complete = report.isComplete
        at = date
        path = report.steps.map(Step.init)
        revocationLists = report.lists.map(List.init)
        counts = FindingCounts(path.flatMap(\.findings) + revocationLists.flatMap(\.findings))
    }

    var text: String {
        var fields = FieldList()
        let use = purpose.map { " for \($0)" } ?? ""
        let host = hostname.map { " as \($0)" } ?? ""
        fields.heading("\(file): \(valid ? "valid" : "NOT VALID")\(use)\(host) at \(CivilTime(at).extended)")
        for step in path {
            fields.heading("")
            let name = step.subject.isEmpty ? "serial number \(step.serialNumber)" : step.subject
            let place = step.trusted ? ", in the bundle" : ""
            fields.heading("\(step.valid ? marks.good : marks.bad) \(printable(name, limit: 64)), \(step.role)\(place)")
            fields.add("valid", "\(CivilTime(step.notBefore).extended) to \(CivilTime(step.notAfter).extended)")
            if let words = Self.words(for: step.revocation) { fields.add("revocation", words) }
            for finding in step.findings { fields.add(finding) }
        }
        if !complete {
            fields.heading("")
            fields.heading("\(marks.bad) the path ends here, and not in the bundle")
        }
        for list in revocationLists {
            fields.heading("")
            let name = "certificate revocation list of \(printable(list.issuer, limit: 64))"
            fields.heading("\(list.valid ? marks.good : marks.bad) \(name)")
            let next = list.nextUpdate.map { " to \(CivilTime($0).extended)" } ?? ""
            fields.add("valid", "\(CivilTime(list.thisUpdate).extended)\(next)")
            fields.add("revoked", "\(list.revokedCount)")
            for finding in list.findings { fields.add(finding) }
        }
        fields.heading("")
        fields.heading(counts.text)
        return fields.lines.joined(separator: "\n")
    }

    private static func words(for revocation: String) -> String? {
        switch revocation {
        case "good": "not revoked"
        case "unknown": "not known: no list speaks of it"
        default: nil
        }
    }
}

extension VerifyReport.Step {
    fileprivate init(_ step: PathReport.Step) {
        let certificate = step.certificate
        subject = certificate.subject.description
        issuer = certificate.issuer.description
        serialNumber = certificate.serialNumber.hexadecimal
        notBefore = certificate.notBefore
        notAfter = certificate.notAfter
        sha256 = certificate.fingerprint
        role = step.role.rawValue
        trusted = step.isAnchor
        valid = step.findings.errors.isEmpty
        switch step.revocation {
        case .notChecked: revocation = "notChecked"
        case .trusted: revocation = "trusted"
        case .good: revocation = "good"
        case .unknown: revocation = "unknown"
        case .revoked(let entry):
            revocation = entry.reason == .certificateHold ? "held" : "revoked"
            revocationDate = entry.revocationDate
            revocationReason = entry.reason?.name
        }
        findings = step.findings.map(FindingFacts.init)
    }
}

extension VerifyReport.List {
    fileprivate init(_ list: PathReport.List) {
        issuer = list.list.issuer.description
        number = list.list.number?.decimal
        thisUpdate = list.list.thisUpdate
        nextUpdate = list.list.nextUpdate
        revokedCount = list.list.revokedCount
        valid = list.findings.errors.isEmpty
        findings = list.findings.map(FindingFacts.init)
    }
}
