// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

struct ListCommand: ParsableCommand {
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case table, json, csv
    }

    static let configuration = CommandConfiguration(
        commandName: "list",
        _superCommandName: "pki",
        abstract: "List the issued certificates, and when they expire.",
        discussion: """
            The list is sorted by the day of expiry, then by name. Replaced certificates are shown with --all only. No CA key is needed.

            For example:

              pki list
              pki list --expiring 30d
              pki list --revoked --format csv
              pki list 'web-*' db-1 -o json

            The status is valid, not-yet-valid, expired, revoked, held, replaced or lost.
            """
    )

    @OptionGroup var directory: InventoryOptions

    @Option(
        help: .value("time", "Only valid certificates that expire within this time: 30d, 12h, 2w."),
        transform: Duration.argument)
    var expiring: Duration?

    @Flag(help: "Only certificates that are revoked or on hold, replaced ones included.")
    var revoked = false

    @OptionGroup var names: NamePatternOptions

    @Flag(help: "Also replaced and lost certificates.")
    var all = false

    @Flag(name: [.customLong("ca"), .customLong("cas")], help: "Only CAs.")
    var ca = false

    @Option(name: .format, help: .format)
    var format = Format.table

    @OptionGroup var quiet: QuietOption

    func run() throws {
        let now = Date.now
        let inventory = try directory.readInventory(now: now)
        // Reading an option's property is slow.
        let patterns = names.patterns
        var query = InventoryQuery(at: now)
        query.expiringBy = expiring.map { now.addingTimeInterval($0.timeInterval) }
        query.isRevoked = revoked
        query.includesFormer = all
        query.isCA = ca ? true : nil
        query.namePrefix = patterns.count == 1 ? patterns[0].literalPrefix : ""
        let count =
            switch format {
            case .table: try printTable(of: inventory, query, patterns)
            case .json: try stream(JSONEntryWriter(), of: inventory, query, patterns)
            case .csv: try stream(CSVEntryWriter(), of: inventory, query, patterns)
            }
        if count == 0 { Console.standard.note("no certificate in \(inventory.location) matches") }
    }

    private func printTable(
        of inventory: Inventory, _ query: InventoryQuery, _ patterns: [GlobPattern]
    ) throws -> Int {
        var table = Table([
            .init("NAME"), .init("PROFILE", omission: 2), .init("NAMES", canBeShortened: true, omission: 1),
            .init("ISSUER", canBeShortened: true, omission: 3), .init("STATUS"), .init("EXPIRES"),
            .init("DAYS", isRightAligned: true, omission: 4),
        ])
        var count = 0
        var order = ListingOrder()
        // Most rows have the day of the row before.
        var day: (number: Int64, text: String) = (.min, "")
        try inventory.visitSummaries(query) { entry in
            guard patterns.match(entry.name) else { return }
            count += 1
            order.add(entry.name, notAfter: entry.notAfter)
            let isValid = entry.status == .valid
            let mayBecomeValid = entry.status == .held || entry.status == .notYetValid
            let number = entry.notAfter / 86400
            if number != day.number {
                let date = Date(timeIntervalSince1970: Double(entry.notAfter))
                day = (number, String(CivilTime(date).extended.prefix(10)))
            }
            table.add(entry.name, entry.isCA ? .bold : nil)
            table.add(entry.profile)
            table.add(entry.otherNames)
            table.add(entry.issuer)
            table.add(entry.status.rawValue, isValid ? nil : mayBecomeValid ? .yellow : .red)
            table.add(day.text)
            table.add(entry.daysLeft, isValid ? .daysLeft(entry.daysLeft) : nil)
        }
        if count > 0 {
            let features = TerminalFeatures(of: StandardStream.output)
            try table.write(for: features, in: order.sorted()) { try Console.standard.write($0) }
        }
        return count
    }

    /// Prints JSON or CSV while the rows are read, so that memory does not grow with their number.
    private func stream(
        _ empty: some EntryWriter, of inventory: Inventory, _ query: InventoryQuery, _ patterns: [GlobPattern]
    ) throws -> Int {
        let issuers = try inventory.issuerNames()
        var writer = empty
        var count = 0
        try inventory.visit(query) { entry in
            guard patterns.match(entry.name) else { return }
            count += 1
            writer.add(entry, issuer: issuers.name(of: entry), at: query.now, path: inventory.path)
            if count.isMultiple(of: 256) { try Console.standard.write(writer.take()) }
        }
        try Console.standard.write(writer.encoded())
        return count
    }
}

extension InventorySummary {
    /// The alternative names that do not only repeat the name.
    fileprivate var otherNames: String {
        // Most certificates have one name.
        guard alternativeNames.utf8.contains(UInt8(ascii: " ")) else {
            return isRepeated(alternativeNames.utf8[...]) ? "" : alternativeNames
        }
        return alternativeNames.utf8.split(separator: UInt8(ascii: " ")).filter { !isRepeated($0) }
            .map { String(Substring($0)) }.joined(separator: " ")
    }

    private func isRepeated(_ alternativeName: Substring.UTF8View) -> Bool {
        for kind in ["DNS:", "dirName:CN="] where alternativeName.count == kind.utf8.count + name.utf8.count {
            return alternativeName.starts(with: kind.utf8)
                && alternativeName.suffix(name.utf8.count).elementsEqual(name.utf8)
        }
        return false
    }
}

/// Writes entries field by field. No encoder is used, to be fast for 100,000 entries.
private protocol EntryWriter {
    mutating func beginEntry()
    mutating func add(_ name: StaticString, _ text: String?)
    mutating func add(_ name: StaticString, _ texts: [String])
    mutating func add(_ name: StaticString, _ number: Int)
    mutating func add(_ name: StaticString, _ flag: Bool)
    mutating func endEntry(chain: String?, fingerprint: String)

    /// Removes and returns what was written so far. Call it between entries.
    mutating func take() -> [UInt8]
    consuming func encoded() -> [UInt8]
}

extension EntryWriter {
    fileprivate mutating func add(
        _ entry: InventoryEntry, issuer: String?, at now: Date, path: (String) -> String
    ) {
        beginEntry()
        add("name", entry.name)
        add("serialNumber", entry.serialNumber.hexadecimal)
        add("status", entry.status(at: now).rawValue)
        add("profile", entry.profile)
        add("subject", entry.subject)
        add("subjectAlternativeNames", entry.alternativeNames)
        add("issuer", issuer)
        add("keyType", entry.keyType)
        add("ca", entry.isCA)
        add("notBefore", CivilTime(entry.notBefore).extended)
        add("notAfter", CivilTime(entry.notAfter).extended)
        add("daysLeft", entry.daysLeft(at: now))
        add("revokedAt", entry.revocation.map { CivilTime($0.date).extended })
        add("reason", entry.revocation?.reason.name)
        add("issuedAt", CivilTime(entry.issuedAt).extended)
        add("issuedBy", entry.issuedBy)
        add("certificate", path(entry.certificateFile))
        add("key", entry.keyFile.map(path))
        endEntry(chain: entry.chainFile.map(path), fingerprint: entry.fingerprint)
    }
}

/// One object a line, without members that have no value.
private struct JSONEntryWriter: EntryWriter {
    private var bytes = Array("[".utf8)
    private var isFirst = true
    private var separator = ""

    mutating func beginEntry() {
        bytes += (isFirst ? "\n  {" : ",\n  {").utf8
        (isFirst, separator) = (false, "")
    }

    mutating func add(_ name: StaticString, _ text: String?) {
        if let text { append(name, Quoting.json(text)) }
    }

    mutating func add(_ name: StaticString, _ texts: [String]) {
        append(name, "[\(texts.map(Quoting.json).joined(separator: ", "))]")
    }

    mutating func add(_ name: StaticString, _ number: Int) { append(name, String(number)) }

    mutating func add(_ name: StaticString, _ flag: Bool) { append(name, flag ? "true" : "false") }

    mutating func endEntry(chain: String?, fingerprint: String) {
        add("chain", chain)
        add("fingerprint", fingerprint)
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func append(_ name: StaticString, _ value: String) {
        bytes += separator.utf8
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
        bytes += "\": ".utf8
        bytes += value.utf8
        separator = ", "
    }

    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    consuming func encoded() -> [UInt8] { bytes + "\n]\n".utf8 }
}

private struct CSVEntryWriter: EntryWriter {
    private var csv = CSVWriter([
        "name", "serial_number", "status", "profile", "subject", "names", "issuer", "key_type", "ca", "not_before",
        "not_after", "days_left", "revoked_at", "reason", "issued_at", "issued_by", "certificate", "key", "fingerprint",
    ])

    mutating func beginEntry() {}
    mutating func add(_ name: StaticString, _ text: String?) { csv.add(text ?? "") }
    mutating func add(_ name: StaticString, _ texts: [String]) { csv.add(texts.joined(separator: " ")) }
    mutating func add(_ name: StaticString, _ number: Int) { csv.add(number) }
    mutating func add(_ name: StaticString, _ flag: Bool) { csv.add(flag ? "yes" : "no") }
    mutating func endEntry(chain: String?, fingerprint: String) { csv.add(fingerprint) }
    mutating func take() -> [UInt8] { csv.take() }
    consuming func encoded() -> [UInt8] { csv.encoded() }
}
