// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date
import SQL
import SystemSupport

/// A certificate in the inventory of a CA.
public struct InventoryEntry: Hashable, Sendable, Identifiable {
    /// The row number, which increases with every certificate.
    public let id: Int64
    /// The name of the files, without `-cert.pem`.
    public let name: String
    /// The serial number.
    public let serialNumber: SerialNumber
    /// The subject as in RFC 4514.
    public let subject: String

    /// The alternative names, each with its kind: `DNS:web-1.example.com`.
    public var alternativeNames: [String] {
        joinedAlternativeNames.split(separator: "\n").map(String.init)
    }

    /// The profile, such as `client`, or the name of a template.
    public let profile: String
    /// The kind of key, such as `EC P-256`.
    public let keyType: String
    /// Whether it is a CA.
    public let isCA: Bool
    /// The beginning of validity.
    public let notBefore: Date
    /// The end of validity.
    public let notAfter: Date

    /// Whether a certificate is the current one of its name.
    public enum Place: Int64, Hashable, Sendable {
        /// The current certificate of its name.
        case current
        /// Another certificate has the name now.
        case replaced
        /// The file is missing.
        case lost
    }

    /// Whether it is the current certificate of its name.
    public let place: Place

    /// When and why a certificate was revoked.
    public struct Revocation: Hashable, Sendable {
        /// The time of the revocation.
        public let date: Date
        /// The reason.
        public let reason: RevocationReason
        /// The time since which the key may have been compromised, if known.
        public let invalidityDate: Date?
    }

    /// The revocation; `nil` if it is not revoked.
    public let revocation: Revocation?
    /// The time of issue.
    public let issuedAt: Date
    /// The user who issued it.
    public let issuedBy: String
    /// The certificate's file, below the directory.
    public let certificateFile: String
    /// The key's file below the directory, or the address of a key elsewhere; `nil` when the key is not stored here.
    public let keyFile: String?
    /// The file of the CA certificates between it and the root, below the directory; `nil` if there are none.
    public let chainFile: String?
    /// SHA-256 of the issuer's public key.
    package let issuerKey: [UInt8]
    /// SHA-256 of the public key.
    let subjectKey: [UInt8]
    /// SHA-256 of the certificate.
    let fingerprintBytes: [UInt8]
    let templateDigest: [UInt8]?
    /// The requested lifetime in seconds, which the CA may have shortened; `nil` for imported certificates.
    let lifetime: Double?
    let joinedAlternativeNames: String

    /// SHA-256 of the certificate, in hexadecimal.
    public var fingerprint: String { hexadecimal(fingerprintBytes) }

    /// The lifetime in seconds that its successor gets: as it was asked for, or as long as it is.
    package var wantedLifetime: Double { lifetime ?? notAfter.timeIntervalSince(notBefore) - Lifetime.backdating }

    /// Whether its own key signed it.
    public var isSelfSigned: Bool { issuerKey == subjectKey }

    /// The status of a certificate at a time.
    public enum Status: String, Hashable, Sendable, CaseIterable {
        /// It is valid.
        case valid
        /// Its validity has not begun.
        case notYetValid = "not-yet-valid"
        /// Its validity has ended.
        case expired
        /// It was revoked permanently.
        case revoked
        /// It is on hold.
        case held
        /// It is valid, but not the current certificate of its name.
        case replaced
        /// It is valid, but its file is missing.
        case lost
    }

    /// The status at a time.
    public func status(at date: Date) -> Status {
        Status(revocation.map { Int64($0.reason.rawValue) }, place, from: notBefore, to: notAfter, at: date)
    }

    /// The number of whole days until it expires; negative afterwards.
    public func daysLeft(at date: Date) -> Int {
        Int((notAfter.timeIntervalSince(date) / 86400).rounded(.down))
    }
}

extension InventoryEntry {
    /// Creates the entry of a certificate.
    init(
        name: String, _ certificate: Certificate, profile: String, issuerKey: [UInt8],
        template: CertificateTemplate? = nil, lifetime: Double? = nil, certificateFile: String, keyFile: String?,
        chainFile: String?, place: Place = .current, revocation: Revocation? = nil, issuedAt: Date, issuedBy: String
    ) {
        self.init(
            id: 0, name: name, serialNumber: certificate.serialNumber, subject: certificate.subject.description,
            profile: profile, keyType: certificate.publicKey.algorithm.description, isCA: certificate.isCA,
            notBefore: certificate.notBefore, notAfter: certificate.notAfter, place: place, revocation: revocation,
            issuedAt: issuedAt, issuedBy: issuedBy, certificateFile: certificateFile, keyFile: keyFile,
            chainFile: chainFile, issuerKey: issuerKey, subjectKey: certificate.publicKey.digest,
            fingerprintBytes: Digest.sha256.hash(certificate.derEncoded),
            templateDigest: template.map { Digest.sha256.hash($0.text) }, lifetime: lifetime,
            joinedAlternativeNames: certificate.subjectAlternativeNames.map(\.description).joined(separator: "\n"))
    }

    /// Creates the entry of a certificate that only an index or a CRL contains. Its fingerprint matches no certificate.
    init(_ lost: LostCertificate, issuedAt: Date, issuedBy: String) {
        self.init(
            id: 0,
            name: lost.serialNumber.hexadecimal,
            serialNumber: lost.serialNumber,
            subject: lost.subjectName?.description ?? lost.subject ?? "",
            profile: "unknown",
            keyType: "unknown",
            isCA: false,
            notBefore: Date(timeIntervalSince1970: 0),
            // An unknown end keeps a revocation in every CRL.
            notAfter: lost.notAfter ?? Lifetime.latest,
            place: .lost,
            revocation: lost.revocation,
            issuedAt: issuedAt,
            issuedBy: issuedBy,
            certificateFile: "",
            keyFile: nil,
            chainFile: nil,
            issuerKey: lost.issuer.digest,
            subjectKey: [],
            fingerprintBytes: Digest.sha256.hash(lost.issuer.digest + lost.serialNumber.stored),
            templateDigest: nil,
            lifetime: nil,
            joinedAlternativeNames: ""
        )
    }
}

extension InventoryEntry.Status {
    /// Determines the status; `reason` is the reason code of a revocation.
    init<Time: Comparable>(
        _ reason: Int64?, _ place: InventoryEntry.Place, from notBefore: Time, to notAfter: Time, at now: Time
    ) {
        if let reason {
            self = reason == Int64(RevocationReason.certificateHold.rawValue) ? .held : .revoked
        } else if now > notAfter {
            self = .expired
        } else {
            switch place {
            case .current: self = now < notBefore ? .notYetValid : .valid
            case .replaced: self = .replaced
            case .lost: self = .lost
            }
        }
    }
}

extension Sequence<InventoryEntry> {
    /// The entries in another order: CAs first, each before those that it issued.
    package func issuersFirst() -> [InventoryEntry] {
        let issuers = Dictionary(filter(\.isCA).map { ($0.subjectKey, $0.issuerKey) }) { first, _ in first }
        func level(_ entry: InventoryEntry) -> Int {
            guard entry.isCA else { return .max }
            var (above, key): (Set<[UInt8]>, [UInt8]) = ([entry.subjectKey], entry.issuerKey)
            // Two roots that certified each other form a cycle.
            while let next = issuers[key], above.insert(key).inserted { key = next }
            return above.count
        }
        return map { ($0, level($0)) }.sorted { $0.1 < $1.1 }.map(\.0)
    }
}

/// Selects entries of an inventory; by default all that are current.
public struct InventoryQuery: Sendable {
    /// Only those that expire by this time and have not expired yet.
    public var expiringBy: Date?
    /// Only those that are revoked or on hold.
    public var isRevoked = false
    /// Only those whose names begin with this text.
    public var namePrefix = ""
    /// Whether replaced and lost ones are included. ``isRevoked`` always includes them.
    public var includesFormer = false
    /// Only CAs if `true`, only other certificates if `false`.
    public var isCA: Bool?
    /// The current time.
    public var now: Date

    /// Creates a query for everything that is current.
    public init(at now: Date) { self.now = now }
}

/// The columns of a certificate in a listing, which take a third of the time to read of whole entries.
package struct InventorySummary: Sendable {
    package let name: String
    package let profile: String
    /// With their kinds, separated by spaces.
    package let alternativeNames: String
    package let isCA: Bool
    /// In seconds since 1970.
    package let notAfter: Int64
    package let status: InventoryEntry.Status
    /// Whole days until it expires; negative afterwards.
    package let daysLeft: Int
    /// The name of the issuer: `itself` for a root, `unknown` if the CA is not in the directory.
    package let issuer: String
}

extension Inventory {
    /// Visits summaries of entries, in no certain order; see ``ListingOrder``. The body must not call this inventory.
    package func visitSummaries(_ query: InventoryQuery, _ body: (InventorySummary) throws -> Void) throws {
        let names = try issuerNames()
        let now = Int64(query.now.timeIntervalSince1970.rounded(.down))
        try withDatabase { database in
            let (condition, values) = InventoryDatabase.condition(for: query)
            // Most rows have the issuer of the row before.
            var lastKey: [UInt8] = []
            var lastIssuer = ""
            try database.database.visit(
                """
                SELECT name, profile, alternative_names, is_ca, not_before, not_after, place, \
                revocation_reason, issuer_key, issuer_key = subject_key, id FROM certificates WHERE \(condition)
                """,
                values
            ) { row in
                if !row.isBlob(8, equalTo: lastKey) {
                    lastKey = row.blob(8)
                    lastIssuer = names.name(ofKey: lastKey) ?? "unknown"
                }
                let value = RowReader(table: "certificates", id: row.integer(10))
                let notAfter = try value.seconds(row, 5, "not_after")
                guard let place = InventoryEntry.Place(rawValue: row.integer(6)) else {
                    throw value.damaged("place", "0, 1 or 2")
                }
                let left = notAfter - now
                try body(
                    InventorySummary(
                        name: try value.name(row.text(0), "name"), profile: row.text(1),
                        alternativeNames: Self.onOneLine(row.text(2)), isCA: row.integer(3) != 0, notAfter: notAfter,
                        status: InventoryEntry.Status(
                            row.isNull(7) ? nil : row.integer(7), place, from: try value.seconds(row, 4, "not_before"),
                            to: notAfter, at: now), daysLeft: Int(left >= 0 ? left / 86400 : (left - 86399) / 86400),
                        issuer: row.integer(9) != 0 ? "itself" : lastIssuer))
            }
        }
    }

    /// Replaces line feeds by spaces.
    private static func onOneLine(_ names: String) -> String {
        // Most certificates have one name, without a line feed: this check is fast.
        let isOne = unsafe names.utf8.withContiguousStorageIfAvailable { unsafe $0.reduce(true) { $0 && $1 != 0x0a } }
        return isOne == true ? names : names.replacing("\n", with: " ")
    }
}

extension Inventory {
    /// The names that begin with a text, each once, sorted by their octets. If there are more than the limit, the last of
    /// all comes last: what these have in common all have.
    package func names(beginningWith prefix: String, onlyCAs: Bool, limit: Int) throws -> [String] {
        let condition = "name >= ? AND name < ?" + (onlyCAs ? " AND is_ca = 1" : "")
        var names: [String] = []
        try withDatabase { database in
            for (order, count) in [("", limit), (" DESC", 1)] where order.isEmpty || names.count == limit {
                if !order.isEmpty { names.removeLast() }
                try database.database.visit(
                    "SELECT name, max(id) FROM certificates WHERE \(condition) GROUP BY name ORDER BY name\(order) LIMIT ?",
                    [.text(prefix), .text(prefix + "\u{10FFFF}"), .integer(Int64(count))]
                ) { row in
                    names.append(try RowReader(table: "certificates", id: row.integer(1)).name(row.text(0), "name"))
                }
            }
        }
        return names
    }

    /// The serial numbers that begin with hexadecimal digits, and the names of their certificates.
    package func serialNumbers(
        beginningWith digits: String, limit: Int
    ) throws -> [(serialNumber: SerialNumber, name: String)] {
        var found: [(serialNumber: SerialNumber, name: String)] = []
        let (condition, bounds) = Self.octets(beginningWith: digits)
        try withDatabase { database in
            try database.database.visit(
                "SELECT serial, name, id FROM certificates WHERE \(condition) ORDER BY serial LIMIT ?",
                bounds + [.integer(Int64(limit))]
            ) { row in
                let value = RowReader(table: "certificates", id: row.integer(2))
                found.append(
                    (
                        SerialNumber(stored: try value.bytes(row, 0, "serial", atMost: 64)),
                        try value.name(row.text(1), "name")
                    ))
            }
        }
        return found
    }
}

extension Inventory {
    /// The condition of serial numbers that begin with hexadecimal digits: a range of octets, without functions of one database.
    private static func octets(beginningWith digits: String) -> (condition: String, bounds: [SQLValue]) {
        func padded(_ digits: [UInt8]) -> SQLValue {
            .blob(SystemSupport.octets(hexadecimal: digits.count % 2 == 0 ? digits : digits + [0x30]) ?? [])
        }
        let first = Array(digits.utf8)
        // The next number of as many digits; there is none after the last.
        guard let place = first.lastIndex(where: { $0 != UInt8(ascii: "f") }) else {
            return ("serial >= ?", [padded(first)])
        }
        var next = Array(first[...place])
        next[place] = next[place] == UInt8(ascii: "9") ? UInt8(ascii: "a") : next[place] + 1
        return ("serial >= ? AND serial < ?", [padded(first), padded(next)])
    }
}

/// The order of listings: by the day of expiry, then by name as people sort, then by the second.
///
/// Rows are sorted here and not by SQLite, which would keep them in a temporary file and call back for every comparison.
package struct ListingOrder {
    private struct Key {
        var notAfter: Int64
        var start: UInt32
        var count: UInt32
    }

    private var keys: [Key] = []
    private var names: [UInt8] = []

    package init() {}

    /// Adds the next row.
    package mutating func add(_ name: String, notAfter: Int64) {
        let start = names.count
        names += name.utf8
        keys.append(
            Key(
                notAfter: notAfter, start: UInt32(truncatingIfNeeded: start),
                count: UInt32(truncatingIfNeeded: names.count - start)))
    }

    /// The positions of the rows in their order; equal rows stay in the order in which they were added.
    package consuming func sorted() -> [Int] {
        let (keys, names) = (keys, names)
        func name(_ key: Key) -> ArraySlice<UInt8> { names[Int(key.start)..<Int(key.start) + Int(key.count)] }
        // The sort is stable, and quick where most rows are in order.
        return keys.indices.sorted { left, right in
            let (first, second) = (keys[left], keys[right])
            let (day, otherDay) = (first.notAfter / 86400, second.notAfter / 86400)
            guard day == otherDay else { return day < otherDay }
            let order = naturalOrder(name(first), name(second))
            return order == 0 ? first.notAfter < second.notAfter : order < 0
        }
    }
}

/// The names of a directory's CAs, by their keys.
package struct IssuerNames: Sendable {
    private let names: [[UInt8]: String]

    fileprivate init(_ names: [[UInt8]: String]) { self.names = names }

    func name(ofKey key: [UInt8]) -> String? { names[key] }

    /// The name of a certificate's issuer; `nil` if the directory does not have it.
    package func name(of entry: InventoryEntry) -> String? { names[entry.issuerKey] }
}

extension Inventory {
    package func issuerNames() throws -> IssuerNames {
        var names: [[UInt8]: String] = [:]
        try withDatabase { database in
            try database.visitAuthorities { entry in
                guard names[entry.subjectKey] == nil else { return }
                names[entry.subjectKey] = entry.place == .current ? entry.name : "\(entry.name) (replaced)"
            }
        }
        return IssuerNames(names)
    }
}
