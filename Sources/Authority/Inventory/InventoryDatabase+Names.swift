// SPDX-License-Identifier: Apache-2.0

import Certificates
import SQLite
import SystemSupport

/// Who has which common name among what stands under its name.
///
/// It is read when it is first asked for, and after that only what came since: a batch asks for every host.
struct CommonNames {
    private struct Holder {
        var identifier: Int64
        var isCA: Bool
    }

    private var holders: [String: [Holder]] = [:]
    /// By each of several common names of one subject.
    private var parts: [String: [Holder]] = [:]
    private var last: Int64 = 0

    /// Refuses a certificate whose common name another entry has: a trust policy would take one for the other. Upper and
    /// lower case are not told apart (X.520, caseIgnoreMatch). An entry that has the name already keeps it.
    ///
    /// - Parameters:
    ///   - certificate: The certificate.
    ///   - name: What its files are called.
    ///   - records: The inventory.
    /// - Throws: ``AuthorityError`` with ``AuthorityErrorCode/exists``, or `SQLiteError`.
    mutating func refuseTaken(
        by certificate: Certificate,
        named name: String,
        in records: InventoryDatabase
    ) throws {
        guard !CertificateAuthority.reservedNames.contains(name), let names = Self.names(of: certificate.subject) else {
            return
        }
        let key = Self.joined(names)
        try readNew(in: records.database)
        // One common name is also taken when it is among several of another's, and each of several when it is another's only
        // one. Two subjects that share one of several, as those of a directory service do, are told apart.
        var found = holders[key] ?? []
        if names.count == 1 { found += parts[key] ?? [] } else { found += names.flatMap { holders[$0] ?? [] } }
        // Of those that were there when they were read, some may have gone.
        let entries = try found.filter { $0.isCA == certificate.isCA }
            .flatMap { try records.entries(where: "id = ? AND place = 0", [.integer($0.identifier)]) }
            .filter { !CertificateAuthority.reservedNames.contains($0.name) }
        guard let other = entries.first, !entries.contains(where: { $0.name == name }) else { return }
        throw AuthorityError(
            .exists,
            "the common name \(printable(certificate.subject.commonName ?? key)) is that of \(printable(other.name)), "
                + "and a trust policy would take \(name) for it",
            hint: "choose another name or subject, or insist with --force"
        )
    }

    private mutating func readNew(in database: Database) throws {
        var found = last
        var added: [([String], Holder)] = []
        try database.visit(
            "SELECT id, subject, is_ca FROM certificates WHERE id > ? AND place = 0",
            [.integer(last)]
        ) { row in
            let identifier = row.integer(0)
            found = max(found, identifier)
            if let names = Self.names(ofText: row.text(1)) {
                added.append((names, Holder(identifier: identifier, isCA: row.integer(2) != 0)))
            }
        }
        for (names, holder) in added {
            holders[Self.joined(names), default: []].append(holder)
            if names.count > 1 { for name in names { parts[name, default: []].append(holder) } }
        }
        last = found
    }

    /// What AWS makes of the common names, of which there may be several.
    private static func joined(_ names: [String]) -> String { names.joined(separator: "/") }

    /// A name as names are compared (X.520): without regard to case, and to blanks but for one between words.
    private static func folded(_ name: some StringProtocol) -> String {
        name.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased()
    }

    /// The common names, folded; `nil` when there is none.
    private static func names(of subject: DistinguishedName) -> [String]? {
        let names = subject.relativeNames.joined().filter { $0.type == "CN" }.map { folded($0.value) }
        return names.isEmpty ? nil : names
    }

    /// The same of the text in the inventory. Most subjects are a common name and nothing else that has to be looked into.
    private static func names(ofText text: String) -> [String]? {
        let isPlain = text.utf8.allSatisfy {
            $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "+") && $0 < 0x80
        }
        if isPlain, text.hasPrefix("CN=") {
            let rest = text.dropFirst(3)
            let value = rest.prefix { $0 != "," }
            if !rest[value.endIndex...].contains("CN=") { return [folded(value)] }
        }
        return (try? DistinguishedName(text)).flatMap(names)
    }
}
