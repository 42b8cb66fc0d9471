// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// What `pki lint` answers.
struct LintReport: Report {
    /// A certificate or a list.
    struct Object: Encodable, Sendable {
        /// `certificate` or `revocationList`.
        var kind: String
        /// The subject of a certificate, the issuer of a list.
        var name: String
        /// What a certificate was held to be.
        var role: String?
        var sha256: String
        var findings: [FindingFacts]
    }

    /// What one file holds.
    struct File: Encodable, Sendable {
        var file: String
        var objects: [Object]
    }

    var files: [File]
    var counts: FindingCounts

    /// Judges files.
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

    /// The issuer of an object: the one whose key signed it, or else one whose name it says.
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

/// What `pki lint --list-rules` answers.
struct RuleListReport: Report {
    /// A rule.
    struct Rule: Encodable, Sendable {
        var name: String
        var severity: String
        var source: String
        var summary: String
        var hint: String
        var appliesTo: [String]
    }

    var rules: [Rule]

    /// Lists rules.
    init(_ rules: [ValidationRule]) {
        self.rules = rules.map {
            Rule(
                name: $0.name, severity: $0.severity.rawValue, source: $0.source, summary: $0.summary, hint: $0.hint,
                appliesTo: $0.scopes.map(\.rawValue))
        }
    }

    var text: String {
        let nameWidth = rules.map(\.name.count).max() ?? 0
        return rules.map { rule in
            let name = rule.name + String(repeating: " ", count: nameWidth - rule.name.count)
            let severity = rule.severity + String(repeating: " ", count: max(0, 7 - rule.severity.count))
            return "\(name)  \(severity)  \(rule.source)\n    \(rule.summary)"
        }
        .joined(separator: "\n")
    }
}
