// SPDX-License-Identifier: Apache-2.0

import Certificates
import SQL
import SystemSupport

/// The common names of a subject as they are compared: in lower case, with single blanks between words (X.520,
/// caseIgnoreMatch), and several of them joined as AWS joins them.
struct CommonName: Hashable {
    /// Each common name, in their order.
    let parts: [String]

    var whole: String { parts.joined(separator: "/") }

    private init?(_ names: [some StringProtocol]) {
        guard !names.isEmpty else { return nil }
        parts = names.map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased() }
    }

    /// `nil` if the subject has no common name.
    init?(of subject: DistinguishedName) {
        self.init(subject.relativeNames.joined().filter { $0.type == "CN" }.map(\.value))
    }

    /// The same from text in the inventory. Most subjects have a plain common name and need not be parsed.
    init?(ofText text: String) {
        let isPlain = text.utf8.allSatisfy {
            $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "+") && $0 < 0x80
        }
        if isPlain, text.hasPrefix("CN=") {
            let rest = text.dropFirst(3)
            let value = rest.prefix { $0 != "," }
            if !rest[value.endIndex...].contains("CN=") {
                self.init([value])
                return
            }
        }
        guard let subject = try? DistinguishedName(text) else { return nil }
        self.init(of: subject)
    }
}

extension InventoryDatabase {
    /// Refuses a certificate whose common name another current entry has, because a trust policy could not distinguish
    /// them. A name that an entry already has stays allowed for it.
    func refuseTakenCommonName(of certificate: Certificate, named name: String) throws {
        guard !CertificateAuthority.reservedNames.contains(name), let wanted = CommonName(of: certificate.subject)
        else {
            return
        }
        // A single common name must not be one of several of another subject, and the other way round. Two subjects
        // with several common names may share some of them, as those of a directory service do.
        var found = try entries(where: "common_name = ? AND place = 0", [.text(wanted.whole)])
        if wanted.parts.count == 1 {
            for row in try hasParts
                ? database.query(
                    "SELECT certificate FROM common_name_parts WHERE name = ?", .text(wanted.whole)) : []
            {
                found += try entries(where: "id = ? AND place = 0", [row[0]])
            }
        } else {
            for part in wanted.parts {
                found += try entries(where: "common_name = ? AND place = 0", [.text(part)])
            }
        }
        found.removeAll {
            $0.isCA != certificate.isCA || CertificateAuthority.reservedNames.contains($0.name)
        }
        guard let other = found.first, !found.contains(where: { $0.name == name }) else { return }
        throw AuthorityError(
            .exists,
            "the common name \(printable(certificate.subject.commonName ?? wanted.whole)) belongs to "
                + "\(printable(other.name)); a trust policy could not tell \(name) from it",
            hint: "choose another name or subject, or use --force")
    }

    /// Whether any subject has several common names. In a transaction it is asked once.
    private var hasParts: Bool {
        get throws {
            if let known = known?.hasParts { return known }
            let found = try !database.query("SELECT 1 FROM common_name_parts LIMIT 1").isEmpty
            known?.hasParts = found
            return found
        }
    }

    /// Records each of several common names of a row.
    func recordParts(of name: CommonName?, at identifier: Int64) throws {
        guard let name, name.parts.count > 1 else { return }
        known?.hasParts = true
        for part in Set(name.parts) {
            try database.execute(
                "INSERT INTO common_name_parts (name, certificate) VALUES (?, ?)", .text(part), .integer(identifier))
        }
    }

    /// Fills the column of rows that an earlier version wrote.
    func fillCommonNames() throws {
        var names: [(Int64, CommonName)] = []
        try database.visit("SELECT id, subject FROM certificates") { row in
            if let name = CommonName(ofText: row.text(1)) { names.append((row.integer(0), name)) }
        }
        for (identifier, name) in names {
            try database.execute(
                "UPDATE certificates SET common_name = ? WHERE id = ?", .text(name.whole), .integer(identifier))
            try recordParts(of: name, at: identifier)
        }
    }
}
