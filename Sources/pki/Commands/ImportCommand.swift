// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        _superCommandName: "pki",
        abstract: "Import a CA of easy-rsa, openssl ca, mkcert or step.",
        discussion: """
            Reads the directory of a CA that other software made, or a pki directory whose inventory is lost: certificates, \
            keys, index and CRLs. The software is recognised by its files. Issuers are found by signature, keys by public \
            key; what does not match is reported. Encrypted keys stay encrypted. The other CA's directory is not changed.

            A pki directory is read into its inventory again: missing entries are added, and a damaged inventory is moved to \
            the archive.

            For example:

              pki import --dry-run ~/easy-rsa/pki
              pki import ~/easy-rsa/pki --directory ca
              pki import "$(mkcert -CAROOT)" --certificates ~/sites --directory ca
              pki import --dry-run --format json ~/.step | jq .findings
              pki import credential-process-data

            Exit status: 0 done, 2 refused, 64 wrong usage.
            """
    )

    @Argument(help: .value("directory", "The directory of the CA to import."), completion: .directory)
    var source: String

    @Option(
        parsing: .upToNextOption,
        help: .value("path", "Other files or directories with certificates and keys of the CA."), completion: .file())
    var certificates: [String] = []

    @Option(
        help: .value(
            "path",
            "The CA's directory. (default: a pki directory itself, else PKI_DIRECTORY, else credential-process-data)"),
        completion: .directory)
    var directory: String?

    @Flag(help: "Only report what was found; write nothing.")
    var dryRun = false

    @OptionGroup var format: FormatOption

    func run() throws {
        let ca = try ImportedCA(reading: source, certificatesIn: certificates, now: .now)
        let report = ImportReport(ca: ca)
        guard !dryRun else { return try Console.standard.print(report, as: format.value) }
        let target = directory ?? (ca.kind == .pki ? source : DirectoryOption.standard)
        let isSame = ca.kind == .pki && Self.isSameDirectory(source, target)
        let outcome =
            try isSame
            ? Inventory.rebuild(in: target, by: Operator.name, now: .now)
            : Inventory.take(ca, into: target, by: Operator.name, now: .now)
        try Console.standard.print(report, as: format.value)
        if let archived = outcome.archivedInventory {
            Console.standard.warning("the inventory was damaged, and is archived as \(archived)")
        }
        for file in outcome.skipped {
            Console.standard.warning("\(file) was skipped: another certificate of its CA has the same serial number")
        }
        Console.standard.note(
            "imported \(outcome.certificates) certificate\(outcome.certificates == 1 ? "" : "s") into \(target), \(outcome.revoked) of them revoked"
                + (outcome.lost > 0 ? "; of \(outcome.lost) more only the serial numbers are known" : ""))
        if ca.findings.contains(where: { $0.rule == .cannotIssue }) {
            Console.standard.note("next: pki renew root \(Quoting.option("--directory", target))")
        }
    }

    private static func isSameDirectory(_ path: String, _ other: String) -> Bool {
        guard let first = FileStamp(at: path), let second = FileStamp(at: other) else { return false }
        return first.isSameFile(as: second)
    }
}

private struct ImportReport: ModelReport {
    let ca: ImportedCA

    var members: JSONMembers {
        let names = Dictionary(ca.issuers.map { ($0.certificate.publicKey, $0.name) }) { first, _ in first }
        return [
            "kind": ca.kind.rawValue,
            "directory": ca.directory,
            "issuers": ca.issuers.map(Self.members),
            "certificates": ca.certificates.map { Self.members(of: $0, issuer: names[$0.issuer]) },
            "lost": ca.lost.map(Self.members),
            "findings": ca.findings.map {
                ["rule": $0.rule.rawValue, "message": $0.message, "file": $0.file, "line": $0.line] as JSONMembers
            },
        ]
    }

    private static func members(of issuer: ImportedIssuer) -> JSONMembers {
        [
            "name": issuer.name,
            "subject": issuer.certificate.subject.description,
            "serialNumber": issuer.certificate.serialNumber.hexadecimal,
            "notAfter": issuer.certificate.notAfter,
            "certificate": issuer.certificateFile,
            "key": issuer.key.map(members),
            "nextSerialNumber": issuer.nextSerialNumber?.hexadecimal,
            "nextRevocationListNumber": issuer.nextRevocationListNumber?.decimal,
            "revocationList": issuer.revocationListFile,
        ]
    }

    private static func members(of entry: ForeignCertificate, issuer: String?) -> JSONMembers {
        [
            "name": entry.name,
            "subject": entry.certificate.subject.description,
            "serialNumber": entry.certificate.serialNumber.hexadecimal,
            "isCA": entry.certificate.isCA,
            "notBefore": entry.certificate.notBefore,
            "notAfter": entry.certificate.notAfter,
            "certificate": entry.certificateFile,
            "key": entry.key.map(members),
            "chain": entry.chainFile,
            "issuer": issuer,
            "status": entry.status.rawValue,
            "isReplaced": entry.place == .replaced,
            "revocation": entry.revocation.map(members),
        ]
    }

    private static func members(of lost: LostCertificate) -> JSONMembers {
        [
            "serialNumber": lost.serialNumber.hexadecimal,
            "subject": lost.subject,
            "notAfter": lost.notAfter,
            "revocation": lost.revocation.map(members),
            "file": lost.file,
            "line": lost.line,
        ]
    }

    private static func members(of key: ForeignKey) -> JSONMembers {
        ["file": key.file, "isEncrypted": key.isEncrypted, "matchedBy": key.proof.rawValue, "address": key.address]
    }

    private static func members(of revocation: InventoryEntry.Revocation) -> JSONMembers {
        ["date": revocation.date, "reason": revocation.reason.name, "invalidityDate": revocation.invalidityDate]
    }

    var text: String {
        var fields = FieldList()
        fields.heading("\(title) in \(ca.directory)")
        for issuer in ca.issuers {
            fields.heading("")
            fields.heading("CA \(issuer.name)")
            fields.add("subject", issuer.certificate.subject.description)
            fields.add("certificate", issuer.certificateFile)
            fields.add("valid until", CivilTime(issuer.certificate.notAfter).extended)
            fields.add("key", issuer.key.map(Self.text) ?? "not here")
            fields.add("next serial", issuer.nextSerialNumber?.hexadecimal)
            fields.add("next CRL number", issuer.nextRevocationListNumber?.decimal)
            fields.add("CRL", issuer.revocationListFile)
        }
        let counts = InventoryEntry.Status.allCases.compactMap { status in
            let count = ca.certificates.count { $0.status == status }
            return count > 0 ? "\(count) \(status.rawValue)" : nil
        }
        let total = ca.certificates.count == 1 ? "1 certificate" : "\(ca.certificates.count) certificates"
        fields.addBlock("\(total): \(counts.joined(separator: ", "))", ca.certificates) { entry in
            let reason = entry.revocation.map { ", \($0.reason.name)" } ?? ""
            let end = CivilTime(entry.certificate.notAfter).extended
            let key = entry.key.map { ", key \(Self.text(of: $0))" } ?? ""
            return (entry.name, "\(entry.status.rawValue)\(reason), until \(end), \(entry.certificateFile)\(key)")
        }
        if !ca.lost.isEmpty {
            fields.addBlock("\(ca.lost.count) without a file", ca.lost) { entry in
                let subject = entry.subject.map { " \($0)" } ?? ""
                return (entry.serialNumber.hexadecimal, "\(entry.revocation?.reason.name ?? "lost"),\(subject)")
            }
        }
        if !ca.findings.isEmpty {
            let title = ca.findings.count == 1 ? "1 finding" : "\(ca.findings.count) findings"
            fields.addBlock(title, ca.findings) { ($0.rule.rawValue, $0.message) }
        }
        return fields.lines.joined(separator: "\n")
    }

    private var title: String {
        switch ca.kind {
        case .easyRSA: "CA of easy-rsa"
        case .openSSL: "CA of openssl ca"
        case .plain: "certificates"
        default: "CA of \(ca.kind.rawValue)"
        }
    }

    private static func text(of key: ForeignKey) -> String {
        key.address ?? (key.isEncrypted ? "\(key.file) (encrypted)" : key.file)
    }
}

extension FieldList {
    /// Adds a heading and the first fifty of some values.
    fileprivate mutating func addBlock<Value>(
        _ title: String, _ values: [Value], _ field: (Value) -> (label: String, text: String)
    ) {
        let limit = 50
        heading("")
        heading(title)
        for value in values.prefix(limit).map(field) { add("\(value.label) ", value.text) }
        if values.count > limit { add("", "… and \(values.count - limit) more: --format json shows all") }
    }
}
