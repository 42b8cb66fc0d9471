// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// The report of `pki lint`.
struct LintReport: Report {
    /// A certificate or a list.
    struct Object: Encodable, Sendable {
        /// `certificate` or `revocationList`.
        var kind: String
        /// The subject of a certificate, the issuer of a list.
        var name: String
        /// The role by which a certificate was checked.
        var role: String?
        var sha256: String
        var findings: [FindingFacts]
    }

    struct File: Encodable, Sendable {
        var file: String
        var objects: [Object]
    }

    var files: [File]
    var counts: FindingCounts

    init(_ files: [(name: String, objects: [InspectedObject])], as role: CertificateRole?, at now: Date) {
        let all = files.flatMap(\.objects)
        let relations = Relations(of: all)
        var number = 0
        var judged: [File] = []
        for file in files {
            var objects: [Object] = []
            for object in file.objects {
                let issuer = Self.issuer(of: number, among: all, relations)
                number += 1
                switch object {
                case .certificate(let certificate):
                    objects.append(Object(certificate, as: role, issuer: issuer, at: now))
                case .revocationList(let list): objects.append(Object(list, issuer: issuer))
                default: continue
                }
            }
            judged.append(File(file: file.name, objects: objects))
        }
        self.files = judged
        counts = FindingCounts(judged.lazy.flatMap(\.objects).flatMap(\.findings))
    }

    /// The issuer of an object: the one whose key signed it, or else one with the issuer's name.
    private static func issuer(
        of number: Int, among objects: [InspectedObject], _ relations: Relations
    ) -> Certificate? {
        func certificate(_ object: InspectedObject) -> Certificate? {
            if case .certificate(let certificate) = object { certificate } else { nil }
        }
        if let found = relations.issuers[number] { return certificate(objects[found]) }
        let name: DistinguishedName
        switch objects[number] {
        case .certificate(let certificate):
            if certificate.isSelfIssued { return nil }
            name = certificate.issuer
        case .revocationList(let list): name = list.issuer
        default: return nil
        }
        return objects.lazy.compactMap(certificate).first { $0.subject == name }
    }

    var text: String {
        var fields = FieldList()
        for file in files {
            for object in file.objects {
                let role = object.role.map { ", as \($0 == "other" ? "neither client nor server" : $0)" } ?? ""
                let kind = object.kind == "certificate" ? "certificate" : "certificate revocation list of"
                fields.heading("\(file.file): \(kind) \(printable(object.name, limit: 64))\(role)")
                for finding in object.findings { fields.add(finding) }
                if object.findings.isEmpty { fields.add("clean", "no rule is broken") }
                fields.heading("")
            }
        }
        fields.heading(counts.text)
        return fields.lines.joined(separator: "\n")
    }
}

extension LintReport.Object {
    fileprivate init(_ certificate: Certificate, as role: CertificateRole?, issuer: Certificate?, at now: Date) {
        let role = role ?? CertificateRole(of: certificate)
        var found = CertificateLinter.findings(in: certificate, as: role)
        if let issuer { found += CertificateLinter.findings(in: certificate, issuedBy: issuer) }
        let dated = DatedCertificate(certificate, at: now)
        switch role {
        case .client: found += AWSRules.client.findings(in: dated, beside: found)
        case .root: found += AWSRules.anchor.findings(in: dated, beside: found)
        case .intermediate: found += AWSRules.intermediate.findings(in: dated, beside: found)
        case .server, .other: break
        }
        let subject = certificate.subject.description
        kind = "certificate"
        name = subject.isEmpty ? "serial number \(certificate.serialNumber)" : subject
        self.role = role.rawValue
        sha256 = certificate.fingerprint
        findings = found.map(FindingFacts.init)
    }

    fileprivate init(_ list: CertificateRevocationList, issuer: Certificate?) {
        var found = RevocationListLinter.findings(in: list)
        if let issuer { found += RevocationListLinter.findings(in: list, issuedBy: issuer) }
        found += AWSRules.revocationList.findings(in: list, beside: found)
        kind = "revocationList"
        name = list.issuer.description
        sha256 = hexadecimal(Digest.sha256.hash(list.derEncoded))
        findings = found.map(FindingFacts.init)
    }
}

/// The report of `pki lint --list-rules`.
struct RuleListReport: ModelReport {
    let rules: [ValidationRule]

    var members: JSONMembers {
        [
            "rules": rules.map {
                [
                    "name": $0.name, "severity": $0.severity.rawValue, "source": $0.source, "summary": $0.summary,
                    "hint": $0.hint, "appliesTo": $0.scopes.map(\.rawValue),
                ] as JSONMembers
            }
        ]
    }

    var text: String {
        let nameWidth = rules.map(\.name.count).max() ?? 0
        return rules.map { rule in
            let name = rule.name + String(repeating: " ", count: nameWidth - rule.name.count)
            let severity =
                rule.severity.rawValue + String(repeating: " ", count: max(0, 7 - rule.severity.rawValue.count))
            return "\(name)  \(severity)  \(rule.source)\n    \(rule.summary)"
        }
        .joined(separator: "\n")
    }
}

/// The report of `pki verify`.
struct VerifyReport: ModelReport {
    let path: PathReport
    let file: String
    let purpose: String?
    let hostname: String?
    /// The time at which everything had to be valid.
    let date: Date
    let isForTerminal: Bool

    private var counts: FindingCounts {
        FindingCounts((path.steps.flatMap(\.findings) + path.lists.flatMap(\.findings)).map(FindingFacts.init))
    }

    var members: JSONMembers {
        [
            "file": file, "valid": path.isValid, "complete": path.isComplete, "at": date, "purpose": purpose,
            "hostname": hostname, "path": path.steps.map(Self.members),
            "revocationLists": path.lists.map(Self.members), "counts": counts,
        ]
    }

    private static func members(of step: PathReport.Step) -> JSONMembers {
        let certificate = step.certificate
        let (revocation, entry): (String, CertificateRevocationList.Entry?) =
            switch step.revocation {
            case .notChecked: ("notChecked", nil)
            case .trusted: ("trusted", nil)
            case .good: ("good", nil)
            case .unknown: ("unknown", nil)
            case .revoked(let entry): (entry.reason == .certificateHold ? "held" : "revoked", entry)
            }
        return [
            "subject": certificate.subject.description,
            "issuer": certificate.issuer.description,
            "serialNumber": certificate.serialNumber.hexadecimal,
            "notBefore": certificate.notBefore,
            "notAfter": certificate.notAfter,
            "sha256": certificate.fingerprint,
            "role": step.role.rawValue,
            "trusted": step.isAnchor,
            "valid": step.findings.errors.isEmpty,
            "revocation": revocation,
            "revocationDate": entry?.revocationDate,
            "revocationReason": entry?.reason?.name,
            "findings": step.findings.map(FindingFacts.init),
        ]
    }

    private static func members(of list: PathReport.List) -> JSONMembers {
        [
            "issuer": list.list.issuer.description,
            "number": list.list.number?.decimal,
            "thisUpdate": list.list.thisUpdate,
            "nextUpdate": list.list.nextUpdate,
            "revokedCount": list.list.revokedCount,
            "valid": list.findings.errors.isEmpty,
            "findings": list.findings.map(FindingFacts.init),
        ]
    }

    var text: String {
        let marks = isForTerminal ? (good: "✓", bad: "✗") : (good: "ok", bad: "FAILED")
        func mark(_ findings: [RuleViolation]) -> String { findings.errors.isEmpty ? marks.good : marks.bad }
        var fields = FieldList()
        let use = purpose.map { " for \($0)" } ?? ""
        let host = hostname.map { " as \($0)" } ?? ""
        fields.heading("\(file): \(path.isValid ? "valid" : "NOT VALID")\(use)\(host) at \(CivilTime(date).extended)")
        for step in path.steps {
            let certificate = step.certificate
            let subject = certificate.subject.description
            let name = subject.isEmpty ? "serial number \(certificate.serialNumber.hexadecimal)" : subject
            let place = step.isAnchor ? ", in the bundle" : ""
            fields.heading("")
            fields.heading("\(mark(step.findings)) \(printable(name, limit: 64)), \(step.role.rawValue)\(place)")
            let end = CivilTime(certificate.notAfter).extended
            fields.add("valid", "\(CivilTime(certificate.notBefore).extended) to \(end)")
            switch step.revocation {
            case .good: fields.add("revocation", "not revoked")
            case .unknown: fields.add("revocation", "not known: no CRL of its issuer was given")
            default: break
            }
            for finding in step.findings { fields.add(FindingFacts(finding)) }
        }
        if !path.isComplete {
            fields.heading("")
            fields.heading("\(marks.bad) the path does not reach a trusted certificate")
        }
        for list in path.lists {
            fields.heading("")
            let name = "certificate revocation list of \(printable(list.list.issuer.description, limit: 64))"
            fields.heading("\(mark(list.findings)) \(name)")
            let next = list.list.nextUpdate.map { " to \(CivilTime($0).extended)" } ?? ""
            fields.add("valid", "\(CivilTime(list.list.thisUpdate).extended)\(next)")
            fields.add("revoked", "\(list.list.revokedCount)")
            for finding in list.findings { fields.add(FindingFacts(finding)) }
        }
        fields.heading("")
        fields.heading(counts.text)
        return fields.lines.joined(separator: "\n")
    }
}
