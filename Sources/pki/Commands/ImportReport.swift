// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// What `pki import` found.
struct ImportReport: Report {
    /// A private key.
    struct Key: Encodable {
        /// Its file.
        var file: String
        /// Whether a passphrase opens it.
        var isEncrypted: Bool
        /// How it is known whose it is: `publicKey`, or `name` for one that is not opened.
        var matchedBy: String
        /// Where it is, when the file only says so.
        var address: String?
    }

    /// A CA.
    struct Issuer: Encodable {
        var name: String
        var subject: String
        var serialNumber: String
        var notAfter: Date
        var certificate: String
        var key: Key?
        var nextSerialNumber: String?
        /// In decimal digits, as a CRL shows it.
        var nextRevocationListNumber: String?
        var revocationList: String?
    }

    /// A certificate.
    struct Entry: Encodable {
        var name: String
        var subject: String
        var serialNumber: String
        var isCA: Bool
        var notBefore: Date
        var notAfter: Date
        var certificate: String
        var key: Key?
        var chain: String?
        /// The name of the CA that issued it.
        var issuer: String?
        var status: String
        /// Whether another certificate has its name.
        var isReplaced: Bool
        var revocation: Revocation?
    }

    /// That a certificate was revoked.
    struct Revocation: Encodable {
        var date: Date
        var reason: String
        var invalidityDate: Date?
    }

    /// A certificate without a file.
    struct Lost: Encodable {
        var serialNumber: String
        var subject: String?
        var notAfter: Date?
        var revocation: Revocation?
        var file: String
        var line: Int?
    }

    /// Something that the user should know.
    struct Finding: Encodable {
        var rule: String
        var message: String
        var file: String?
        var line: Int?
    }

    var kind: String
    var directory: String
    /// The root first.
    var issuers: [Issuer]
    var certificates: [Entry]
    var lost: [Lost]
    var findings: [Finding]

    /// Describes what was read.
    ///
    /// - Parameter authority: The directory of a CA.
    init(_ authority: ImportedCA) {
        kind = authority.kind.rawValue
        directory = authority.directory
        issuers = authority.issuers.map { issuer in
            Issuer(
                name: issuer.name,
                subject: issuer.certificate.subject.description,
                serialNumber: issuer.certificate.serialNumber.hexadecimal,
                notAfter: issuer.certificate.notAfter,
                certificate: issuer.certificateFile,
                key: issuer.key.map(Key.init),
                nextSerialNumber: issuer.nextSerialNumber?.hexadecimal,
                nextRevocationListNumber: issuer.nextRevocationListNumber?.decimal,
                revocationList: issuer.revocationListFile
            )
        }
        let names = Dictionary(
            authority.issuers.map { ($0.certificate.publicKey, $0.name) },
            uniquingKeysWith: { first, _ in first }
        )
        certificates = authority.certificates.map { entry in
            Entry(
                name: entry.name,
                subject: entry.certificate.subject.description,
                serialNumber: entry.certificate.serialNumber.hexadecimal,
                isCA: entry.certificate.isCA,
                notBefore: entry.certificate.notBefore,
                notAfter: entry.certificate.notAfter,
                certificate: entry.certificateFile,
                key: entry.key.map(Key.init),
                chain: entry.chainFile,
                issuer: names[entry.issuer],
                status: entry.status.rawValue,
                isReplaced: entry.place == .replaced,
                revocation: entry.revocation.map(Revocation.init)
            )
        }
        lost = authority.lost.map { entry in
            Lost(
                serialNumber: entry.serialNumber.hexadecimal,
                subject: entry.subject,
                notAfter: entry.notAfter,
                revocation: entry.revocation.map(Revocation.init),
                file: entry.file,
                line: entry.line
            )
        }
        findings = authority.findings.map { finding in
            Finding(rule: finding.rule.rawValue, message: finding.message, file: finding.file, line: finding.line)
        }
    }

    var text: String {
        var fields = FieldList()
        fields.heading("\(Self.title(of: kind)) in \(directory)")
        for issuer in issuers {
            fields.heading("")
            fields.heading("CA \(issuer.name)")
            fields.add("subject", issuer.subject)
            fields.add("certificate", issuer.certificate)
            fields.add("valid until", CivilTime(issuer.notAfter).extended)
            fields.add("key", issuer.key?.text ?? "not here")
            fields.add("next serial", issuer.nextSerialNumber)
            fields.add("next CRL number", issuer.nextRevocationListNumber)
            fields.add("CRL", issuer.revocationList)
        }
        fields.heading("")
        var counts: [(String, Int)] = []
        for status in InventoryEntry.Status.allCases {
            let count = certificates.count { $0.status == status.rawValue }
            if count > 0 { counts.append((status.rawValue, count)) }
        }
        let total = certificates.count == 1 ? "1 certificate" : "\(certificates.count) certificates"
        fields.heading("\(total): \(counts.map { "\($0.1) \($0.0)" }.joined(separator: ", "))")
        for entry in certificates.prefix(Self.limit) {
            fields.add(
                "\(entry.name) ",
                "\(entry.status)\(entry.revocation.map { ", \($0.reason)" } ?? ""), until \(CivilTime(entry.notAfter).extended), "
                    + "\(entry.certificate)\(entry.key.map { ", key \($0.text)" } ?? "")"
            )
        }
        Self.addRest(of: certificates.count, to: &fields)
        if !lost.isEmpty {
            fields.heading("")
            fields.heading("\(lost.count) without a file")
            for entry in lost.prefix(Self.limit) {
                let subject = entry.subject.map { " \($0)" } ?? ""
                fields.add("\(entry.serialNumber) ", "\(entry.revocation.map { $0.reason } ?? "lost"),\(subject)")
            }
            Self.addRest(of: lost.count, to: &fields)
        }
        if !findings.isEmpty {
            fields.heading("")
            fields.heading(findings.count == 1 ? "1 thing to know" : "\(findings.count) things to know")
            for finding in findings.prefix(Self.limit) { fields.add("\(finding.rule) ", finding.message) }
            Self.addRest(of: findings.count, to: &fields)
        }
        return fields.lines.joined(separator: "\n")
    }

    /// How much of a list is shown to a person; JSON has all.
    private static let limit = 50

    private static func addRest(of count: Int, to fields: inout FieldList) {
        if count > limit { fields.add("", "… and \(count - limit) more: --format json shows all") }
    }

    private static func title(of kind: String) -> String {
        switch kind {
        case "easy-rsa": "CA of easy-rsa"
        case "openssl-ca": "CA of openssl ca"
        case "plain": "certificates"
        default: "CA of \(kind)"
        }
    }
}

extension ImportReport.Key {
    fileprivate init(_ key: ForeignKey) {
        self.init(
            file: key.file,
            isEncrypted: key.isEncrypted,
            matchedBy: key.proof.rawValue,
            address: key.address
        )
    }

    fileprivate var text: String {
        if let address { return address }
        return isEncrypted ? "\(file) (encrypted)" : file
    }
}

extension ImportReport.Revocation {
    fileprivate init(_ revocation: InventoryEntry.Revocation) {
        self.init(date: revocation.date, reason: revocation.reason.name, invalidityDate: revocation.invalidityDate)
    }
}
