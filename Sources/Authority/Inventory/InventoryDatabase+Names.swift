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
    private var last: Int64 = 0

    /// Refuses a certificate whose common name another entry has: a trust policy would take one for the other. Upper and
    /// lower case are not told apart (X.520, caseIgnoreMatch). Whoever has a name already keeps it.
    ///
    /// - Parameters:
    ///   - certificate: The certificate.
    ///   - name: What its files are called.
    ///   - records: The inventory.
    /// - Throws: ``AuthorityError`` with ``AuthorityError/Code/exists``, or `SQLiteError`.
    mutating func refuseTaken(
        by certificate: Certificate,
        named name: String,
        in records: InventoryDatabase
    ) throws {
        guard !CertificateAuthority.reservedNames.contains(name), let key = Self.key(of: certificate.subject) else {
            return
        }
        try readNew(in: records.database)
        // Of those that were there when they were read, some may have gone.
        let entries = try (holders[key] ?? []).filter { $0.isCA == certificate.isCA }
            .flatMap { try records.entries(where: "id = ? AND place = 0", [.integer($0.identifier)]) }
            .filter { !CertificateAuthority.reservedNames.contains($0.name) }
        guard let other = entries.first, !entries.contains(where: { $0.name == name }) else { return }
        throw AuthorityError(
            .exists,
            "the common name \(printable(certificate.subject.commonName ?? key)) is that of \(printable(other.name)), "
                + "and a trust policy would take \(name) for it",
            remedy: "choose another name or subject, or insist with --force"
        )
    }

    private mutating func readNew(in database: Database) throws {
        var found = last
        var added: [(String, Holder)] = []
        try database.visit(
            "SELECT id, subject, is_ca FROM certificates WHERE id > ? AND place = 0",
            [.integer(last)]
        ) { row in
            let identifier = row.integer(0)
            found = max(found, identifier)
            if let key = Self.key(ofText: row.text(1)) {
                added.append((key, Holder(identifier: identifier, isCA: row.integer(2) != 0)))
            }
        }
        for (key, holder) in added { holders[key, default: []].append(holder) }
        last = found
    }

    /// What AWS makes of the common names, of which there may be several.
    private static func key(of subject: DistinguishedName) -> String? {
        let names = subject.relativeNames.joined().filter { $0.type == "CN" }.map(\.value)
        return names.isEmpty ? nil : names.joined(separator: "/").lowercased()
    }

    /// The same of the text in the inventory. Most subjects are a common name and nothing else that has to be looked into.
    private static func key(ofText text: String) -> String? {
        let isPlain = text.utf8.allSatisfy {
            $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "+") && $0 < 0x80
        }
        if isPlain, text.hasPrefix("CN=") {
            let rest = text.dropFirst(3)
            let value = rest.prefix { $0 != "," }
            if !rest[value.endIndex...].contains("CN=") { return value.lowercased() }
        }
        return (try? DistinguishedName(text)).flatMap(key)
    }
}
