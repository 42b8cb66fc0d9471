// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// Entries of an inventory in some form, put together one by one.
protocol Listing {
    /// Adds an entry.
    ///
    /// - Parameters:
    ///   - entry: The entry.
    ///   - issuer: The name of the CA that issued it, when that is known.
    mutating func add(_ entry: InventoryEntry, issuer: String?)

    /// What can be printed already, which is forgotten here.
    mutating func take() -> [UInt8]

    /// The rest, with the end.
    consuming func encoded() -> [UInt8]
}

/// For a person.
struct TableListing {
    private var table: Table
    private var day: (number: Int64, text: String) = (.min, "")

    init() {
        table = Table([
            .init("NAME", canBeShortened: true), .init("PROFILE"), .init("NAMES", canBeShortened: true),
            .init("ISSUER", canBeShortened: true), .init("STATUS"), .init("ENDS"), .init("DAYS", isRightAligned: true),
        ])
    }

    mutating func add(_ entry: InventorySummary) {
        table.add(entry.name, entry.isCA ? .bold : nil)
        table.add(entry.profile)
        table.add(entry.alternativeNames)
        table.add(entry.issuer)
        let isGood = entry.status == .valid
        let isPassing = entry.status == .held || entry.status == .notYetValid
        table.add(entry.status.rawValue, isGood ? nil : isPassing ? .yellow : .red)
        // Those that end on one day stand together.
        let number = entry.notAfter / 86400
        if number != day.number {
            let date = Date(timeIntervalSince1970: Double(entry.notAfter))
            day = (number, String(CivilTime(date).extended.prefix(10)))
        }
        table.add(day.text)
        table.add(entry.daysLeft, isGood ? .daysLeft(entry.daysLeft) : nil)
    }

    func write(for terminal: TerminalFeatures, to output: ([UInt8]) throws -> Void) throws {
        try table.write(for: terminal, to: output)
    }
}

/// For a spreadsheet.
struct CSVListing: Listing {
    private let now: Date
    private var writer = CSVWriter([
        "name", "serial", "status", "profile", "subject", "names", "issuer", "key_type", "ca", "not_before",
        "not_after",
        "days_left", "revoked_at", "reason", "issued_at", "issued_by", "certificate", "key", "fingerprint",
    ])

    init(now: Date) { self.now = now }

    mutating func add(_ entry: InventoryEntry, issuer: String?) {
        writer.add(entry.name)
        writer.add(entry.serialNumber.hexadecimal)
        writer.add(entry.status(at: now).rawValue)
        writer.add(entry.profile)
        writer.add(entry.subject)
        writer.add(entry.alternativeNames.joined(separator: " "))
        writer.add(issuer ?? "")
        writer.add(entry.keyType)
        writer.add(entry.isCA ? "yes" : "no")
        writer.add(CivilTime(entry.notBefore).extended)
        writer.add(CivilTime(entry.notAfter).extended)
        writer.add(entry.daysLeft(at: now))
        writer.add(entry.revocation.map { CivilTime($0.date).extended } ?? "")
        writer.add(entry.revocation?.reason.name ?? "")
        writer.add(CivilTime(entry.issuedAt).extended)
        writer.add(entry.issuedBy)
        writer.add(entry.certificateFile)
        writer.add(entry.keyFile ?? "")
        writer.add(entry.fingerprint)
    }

    mutating func take() -> [UInt8] { writer.take() }

    consuming func encoded() -> [UInt8] { writer.encoded() }
}

/// For a program.
struct JSONListing: Listing {
    private let now: Date
    private var bytes = Array("[".utf8)
    private var isFirst = true

    init(now: Date) { self.now = now }

    mutating func add(_ entry: InventoryEntry, issuer: String?) {
        bytes += (isFirst ? "\n  {" : ",\n  {").utf8
        isFirst = false
        var fields: [(String, String?)] = [
            ("name", Quoting.json(entry.name)),
            ("serialNumber", Quoting.json(entry.serialNumber.hexadecimal)),
            ("status", Quoting.json(entry.status(at: now).rawValue)),
            ("profile", Quoting.json(entry.profile)),
            ("subject", Quoting.json(entry.subject)),
            ("subjectAlternativeNames", "[\(entry.alternativeNames.map(Quoting.json).joined(separator: ", "))]"),
            ("issuer", issuer.map(Quoting.json)),
            ("keyType", Quoting.json(entry.keyType)),
            ("ca", entry.isCA ? "true" : "false"),
            ("notBefore", Quoting.json(CivilTime(entry.notBefore).extended)),
            ("notAfter", Quoting.json(CivilTime(entry.notAfter).extended)),
            ("daysLeft", "\(entry.daysLeft(at: now))"),
        ]
        if let revocation = entry.revocation {
            fields.append(("revokedAt", Quoting.json(CivilTime(revocation.date).extended)))
            fields.append(("reason", Quoting.json(revocation.reason.name)))
        }
        fields += [
            ("issuedAt", Quoting.json(CivilTime(entry.issuedAt).extended)),
            ("issuedBy", Quoting.json(entry.issuedBy)),
            ("certificate", Quoting.json(entry.certificateFile)),
            ("key", entry.keyFile.map(Quoting.json)),
            ("chain", entry.chainFile.map(Quoting.json)),
            ("fingerprint", Quoting.json(entry.fingerprint)),
        ]
        var separator = ""
        for (name, value) in fields {
            guard let value else { continue }
            bytes += separator.utf8
            bytes.append(UInt8(ascii: "\""))
            bytes += name.utf8
            bytes += "\": ".utf8
            bytes += value.utf8
            separator = ", "
        }
        bytes.append(UInt8(ascii: "}"))
    }

    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    consuming func encoded() -> [UInt8] { bytes + "\n]\n".utf8 }
}
