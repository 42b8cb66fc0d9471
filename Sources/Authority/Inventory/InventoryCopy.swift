// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import PostgreSQL
import SQL
import SQLite
import SystemSupport

/// Copies a whole inventory between directories and servers of PostgreSQL.
///
/// Rows are committed as it goes, so that a copy that was interrupted goes on where it ended. Until it is complete, the target
/// is no inventory: a server has a setting that says so, a directory a file of another name.
package struct InventoryCopy {
    /// What was copied.
    package struct Outcome: Sendable {
        /// A table, which has as many rows and the same digest in both inventories.
        package struct Table: Sendable {
            package let name: String
            package let rows: Int
            /// SHA-256 over all rows, in hexadecimal.
            package let digest: String
        }

        package fileprivate(set) var tables: [Table] = []
        /// How many rows were added, changed or removed.
        package fileprivate(set) var changes = 0
        /// How many files were written.
        package fileprivate(set) var files = 0
        /// The keys of current CAs that the new directory does not have.
        package fileprivate(set) var missingKeys: [String] = []
    }

    /// One of the two inventories.
    struct Side {
        let connection: any Connection
        /// For messages.
        let place: String

        /// Throws errors of the database as those of this inventory.
        func explaining<Result>(_ body: () throws -> Result) throws -> Result {
            try explained(place, isServer: connection.dialect == .postgreSQL, body)
        }

        func query(_ sql: String, _ values: [SQLValue] = []) throws -> [[SQLValue]] {
            var rows: [[SQLValue]] = []
            try explaining { try connection.visit(sql, values) { rows.append($0.values) } }
            return rows
        }

        func commit(_ body: () throws -> Void) throws { try explaining { try connection.transaction(body) } }
    }

    /// How many rows are read and committed at once.
    static let batch = 2_000

    let source: Side
    let target: Side
    private let progress: (Int, Int) -> Void
    private var outcome = Outcome()
    private var (done, total) = (0, 0)

    private init(from source: Side, to target: Side, _ progress: @escaping (Int, Int) -> Void) {
        (self.source, self.target, self.progress) = (source, target, progress)
    }

    /// Copies an inventory, or the rest of it after an interruption. Each place is a directory or a URL `postgresql://…`. A
    /// directory's writers wait meanwhile; if a server's inventory was changed meanwhile, that is an error, and the next run
    /// copies the changes.
    ///
    /// - Parameters:
    ///   - from: The inventory, whose rows are not changed. A directory is marked once a server has all of it.
    ///   - to: A directory without an inventory, or a server with empty tables, an unfinished copy or an earlier state.
    ///   - who: The user who does it.
    ///   - now: The time.
    ///   - progress: Called with the number of rows that are done and that of all.
    package static func copy(
        from: String, to: String, by who: String, now: Date, progress: @escaping (Int, Int) -> Void = { _, _ in }
    ) throws -> Outcome {
        guard isServer(from) else {
            guard FileStatus(at: FilePath.join(from, Inventory.fileName), followsLinks: false) != nil else {
                throw AuthorityError(.missing, "\(printable(from)) has no \(Inventory.fileName)")
            }
            // Also one that was copied before.
            let inventory = try Inventory(directory: Inventory.open(from, for: .writing), by: who, now: now)
            return try inventory.holding { records in
                let outcome = try copy(
                    from: Side(connection: records.database, place: inventory.place), to: to, now, progress)
                if isServer(to) { try inventory.goesOn(at: to) }
                return outcome
            }
        }
        let server = try explained("on PostgreSQL", isServer: true) { try Server(from, isReading: true) }
        let source = Side(connection: server, place: server.name)
        try source.explaining { try InventorySchema.check(server, source.place) }
        return try copy(from: source, to: to, now, progress)
    }

    private static func isServer(_ place: String) -> Bool {
        place.hasPrefix("postgresql://") || place.hasPrefix("postgres://")
    }

    private static func copy(
        from source: Side, to: String, _ now: Date, _ progress: @escaping (Int, Int) -> Void
    ) throws -> Outcome {
        guard isServer(to) else { return try copy(from: source, toDirectory: to, now, progress) }
        let server = try explained("on PostgreSQL", isServer: true) { try Server(to, isReading: false) }
        let target = Side(connection: server, place: server.name)
        let isUnfinished = try target.explaining {
            try InventorySchema.check(server, target.place, acceptsUnfinished: true)
            return try InventorySchema.isUnfinished(server)
        }
        var copy = InventoryCopy(from: source, to: target, progress)
        if try !isUnfinished && copy.isSame() { return copy.outcome }
        let setting = SQLValue.text(InventorySchema.unfinishedSetting)
        try target.commit {
            try server.execute(
                "INSERT INTO inventory_settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", setting,
                .blob(Array(source.place.utf8)))
        }
        try copy.run()
        try target.commit {
            for table in InventoryTable.all { try table.countOn(in: server) }
            try server.execute("DELETE FROM inventory_settings WHERE name = ?", setting)
        }
        return copy.outcome
    }

    // MARK: - To a directory

    private static let draft = Inventory.fileName + "-copy"

    private static func copy(
        from source: Side, toDirectory path: String, _ now: Date, _ progress: @escaping (Int, Int) -> Void
    ) throws -> Outcome {
        guard FileStatus(at: FilePath.join(path, Inventory.fileName), followsLinks: false) == nil else {
            return try compare(source, withDirectory: path, now, progress)
        }
        let directory = try CADirectory(path: path, for: .writing, creates: true)
        return try directory.withLock {
            let outcome = try copy(from: source, toDraftIn: directory, now, progress)
            try rethrown { () throws(FileError) in
                try directory.directory.move(draft, to: Inventory.fileName)
                directory.directory.unlink(Inventory.elsewhereFile)
                try directory.directory.synchronize()
            }
            return outcome
        }
    }

    private static func compare(
        _ source: Side, withDirectory path: String, _ now: Date, _ progress: @escaping (Int, Int) -> Void
    ) throws -> Outcome {
        let inventory = try Inventory(reading: path, now: now)
        return try inventory.withDatabase { records in
            var copy = InventoryCopy(
                from: source, to: Side(connection: records.database, place: inventory.place), progress)
            guard try copy.isSame() else {
                throw AuthorityError(
                    .exists, "\(inventory.place) exists already, and is not the same inventory",
                    hint: "copy into a new directory: --to DIRECTORY")
            }
            return copy.outcome
        }
    }

    private static func copy(
        from source: Side, toDraftIn directory: CADirectory, _ now: Date, _ progress: @escaping (Int, Int) -> Void
    ) throws -> Outcome {
        let path = directory.path(of: draft)
        return try explained(path) {
            let database = try Database(
                draft, in: directory.directory, applicationIdentifier: InventorySchema.applicationIdentifier)
            try InventorySchema.check(database, path: path, isLenient: false)
            _ = try database.transaction { try InventorySchema.migrate(database) }
            var copy = InventoryCopy(from: source, to: Side(connection: database, place: path), progress)
            try copy.run()
            var files = CopiedFiles(directory: directory, records: InventoryDatabase(database), now: now)
            try files.write { copy.report(1) }
            (copy.outcome.files, copy.outcome.missingKeys) = (files.count, files.missingKeys)
            // The file alone is the inventory then, and gets its name.
            try database.endLog()
            return copy.outcome
        }
    }
}

// MARK: - Rows

extension InventoryCopy {
    /// Copies every row, as they are at one time, into a file that has no tables.
    static func copyRows(
        from connection: any Connection, at place: String, into database: Database, at path: String
    ) throws {
        _ = try database.transaction { try InventorySchema.migrate(database) }
        let source = Side(connection: connection, place: place)
        var copy = InventoryCopy(from: source, to: Side(connection: database, place: path)) { _, _ in }
        try source.explaining { try connection.snapshot { try copy.copyTables() } }
    }

    /// Copies and compares all tables.
    private mutating func run() throws {
        let head = try changeNumber()
        try source.explaining { try source.connection.snapshot { try copyTables() } }
        guard case .postgreSQL = source.connection.dialect, let now = try changeNumber(), now != head else { return }
        throw AuthorityError(
            .storage, "the inventory \(source.place) was changed \(now - (head ?? 0)) times while it was copied",
            hint: "stop pki serve-ca on it and run the command again, which copies the changes")
    }

    /// The number of the last row of the audit, which every change adds to.
    private func changeNumber() throws -> Int64? {
        try source.query("SELECT max(id) FROM audit").first?.first?.integer
    }

    private mutating func copyTables() throws {
        outcome.tables = []
        total = try InventoryTable.all.reduce(0) { try $0 + count(of: $1.name) }
        // Of a directory, the files too.
        if target.connection.dialect == .sqlite { total += try count(of: "certificates WHERE place < 2") }
        try verifyAudit(source)
        if target.connection.dialect == .postgreSQL { try refuseDoubledNames() }
        for table in Self.tables {
            let copied = try copy(table)
            let (rows, digest) = try contents(of: table)
            guard (rows, digest) == copied else {
                throw AuthorityError(
                    .broken,
                    "the table \(table.name) has \(rows) rows in \(target.place) and \(copied.rows) in \(source.place), "
                        + "or they are not the same")
            }
            outcome.tables.append(.init(name: table.name, rows: rows, digest: hexadecimal(digest)))
        }
        try verifyAudit(target)
    }

    private func count(of table: String) throws -> Int {
        Int(try source.query("SELECT count(*) FROM \(table)").first?.first?.integer ?? 0)
    }

    private mutating func report(_ count: Int) {
        done += count
        progress(done, total)
    }

    /// A server accepts one current certificate of a name; inventories of earlier versions may have more.
    private func refuseDoubledNames() throws {
        let doubled = try source.query(
            "SELECT name FROM certificates WHERE place = 0 GROUP BY issuer_key, name HAVING count(*) > 1 LIMIT 1")
        guard let name = doubled.first?.first?.text else { return }
        throw AuthorityError(
            .broken, "\(source.place) has two current certificates of the name \(printable(name, limit: 100))",
            hint: "let one replace both: pki renew \(Quoting.shell(name))")
    }

    /// The audit comes first: it tells whether the target is a copy of this source.
    private static var tables: [InventoryTable] {
        InventoryTable.all.filter { $0.name == "audit" } + InventoryTable.all.filter { $0.name != "audit" }
    }

    private func verifyAudit(_ side: Side) throws {
        let chain = try side.explaining { try InventoryDatabase(side.connection).verifyAudit() }
        guard let found = chain.breaks.first else { return }
        throw AuthorityError(
            .broken, "the audit of \(side.place) is not intact: \(found)",
            hint: "compare it with a copy: pki audit --verify")
    }

    /// Whether the target has every row as it is in the source. Throws if it has others; a target with fewer rows is an earlier
    /// state, or empty.
    private mutating func isSame() throws -> Bool {
        let audit = Self.tables[0]
        var (mine, others) = (Rows(of: audit, in: source), Rows(of: audit, in: target))
        while let other = try others.next() {
            guard let row = try mine.next(), row == other else { throw refusal(audit, other) }
        }
        if others.count == 0 {
            for table in Self.tables {
                if let row = try target.query("SELECT \(table.list) FROM \(table.name) LIMIT 1").first {
                    throw refusal(table, row)
                }
            }
        }
        guard try mine.next() == nil else { return false }
        for table in Self.tables {
            var (mine, others) = (Rows(of: table, in: source), Rows(of: table, in: target))
            var digest = RowsDigest()
            while let row = try mine.next() {
                guard try others.next() == row else { return false }
                digest.add(row)
            }
            guard try others.next() == nil else { return false }
            outcome.tables.append(.init(name: table.name, rows: mine.count, digest: hexadecimal(digest.value)))
        }
        return true
    }

    private func refusal(_ table: InventoryTable, _ row: [SQLValue]) -> AuthorityError {
        AuthorityError(
            .exists,
            "\(target.place) has other rows than \(source.place): \(printable(table.description(of: row), limit: 100))",
            hint: "copy into empty tables: another database, or another schema in the URL's search_path")
    }

    /// Copies the rows of a table that the target does not have, or has otherwise. Returns their number and digest in the
    /// source.
    private mutating func copy(_ table: InventoryTable) throws -> (rows: Int, digest: [UInt8]) {
        var (mine, others) = (Rows(of: table, in: source), Rows(of: table, in: target))
        var digest = RowsDigest()
        var changes = Changes()
        var other = try others.next()
        while let row = try mine.next() {
            digest.add(row)
            while let before = other, table.order(before, row) < 0 {
                changes.removed.append(try removable(table, before))
                other = try others.next()
            }
            if let same = other, table.order(same, row) == 0 {
                if same != row {
                    guard table.name != "audit" else { throw refusal(table, same) }
                    changes.changed.append(row)
                }
                other = try others.next()
            } else {
                changes.added.append(row)
            }
            if mine.count % Self.batch == 0 { try apply(&changes, to: table, rows: Self.batch) }
        }
        while let rest = other {
            changes.removed.append(try removable(table, rest))
            other = try others.next()
        }
        try apply(&changes, to: table, rows: mine.count % Self.batch)
        return (mine.count, digest.value)
    }

    /// A row that only the target has: an order of ACME that the source has deleted since, or a row of its own.
    private func removable(_ table: InventoryTable, _ row: [SQLValue]) throws -> [SQLValue] {
        guard table.name == "acme_orders", table.columns.firstIndex(of: "certificate").map({ row[$0] }) == .null else {
            throw refusal(table, row)
        }
        return row
    }

    private mutating func apply(_ changes: inout Changes, to table: InventoryTable, rows: Int) throws {
        if changes.count > 0 {
            let (changes, target) = (changes, target)
            try target.commit { try changes.apply(to: table, in: target.connection) }
        }
        outcome.changes += changes.count
        report(rows)
        changes = Changes()
    }

    private func contents(of table: InventoryTable) throws -> (rows: Int, digest: [UInt8]) {
        var rows = Rows(of: table, in: target)
        var digest = RowsDigest()
        while let row = try rows.next() { digest.add(row) }
        return (rows.count, digest.value)
    }
}

/// The rows of a table in the order of its primary key, read in batches.
private struct Rows {
    private let table: InventoryTable
    private let side: InventoryCopy.Side
    private var rows: ArraySlice<[SQLValue]> = []
    private var last: [SQLValue]?
    private var isAtEnd = false
    /// How many were returned.
    private(set) var count = 0

    init(of table: InventoryTable, in side: InventoryCopy.Side) { (self.table, self.side) = (table, side) }

    mutating func next() throws -> [SQLValue]? {
        if rows.isEmpty {
            guard !isAtEnd else { return nil }
            try read()
        }
        guard let row = rows.popFirst() else { return nil }
        count += 1
        return row
    }

    private mutating func read() throws {
        let key = table.key.map { table.columns[$0] }.joined(separator: ", ")
        let places = table.key.map { _ in "?" }.joined(separator: ", ")
        let condition = last == nil ? "" : "WHERE (\(key)) > (\(places)) "
        let found = try side.query(
            "SELECT \(table.list) FROM \(table.name) \(condition)ORDER BY \(key) LIMIT \(InventoryCopy.batch)",
            last.map { last in table.key.map { last[$0] } } ?? [])
        rows = found[...]
        last = found.last ?? last
        isAtEnd = found.count < InventoryCopy.batch
    }
}

/// What must be done to the rows of a table.
private struct Changes {
    var added: [[SQLValue]] = []
    var changed: [[SQLValue]] = []
    var removed: [[SQLValue]] = []
    var count: Int { added.count + changed.count + removed.count }

    func apply(to table: InventoryTable, in connection: any Connection) throws {
        let key = table.key.map { "\(table.columns[$0]) = ?" }.joined(separator: " AND ")
        for row in removed {
            try run("DELETE FROM \(table.name) WHERE \(key)", table.key.map { row[$0] }, in: connection)
        }
        let columns = table.columns.map { "\($0) = ?" }.joined(separator: ", ")
        for row in changed {
            try run(
                "UPDATE \(table.name) SET \(columns) WHERE \(key)", row + table.key.map { row[$0] }, in: connection)
        }
        let places = "(\(table.columns.map { _ in "?" }.joined(separator: ", ")))"
        // A server is far away; a file has a prepared statement.
        let size = connection.dialect == .sqlite ? 1 : 500
        for start in stride(from: 0, to: added.count, by: size) {
            let rows = added[start..<min(start + size, added.count)]
            try run(
                "INSERT INTO \(table.name) (\(table.list)) VALUES \(rows.map { _ in places }.joined(separator: ", "))",
                Array(rows.joined()), in: connection)
        }
    }

    private func run(_ sql: String, _ values: [SQLValue], in connection: any Connection) throws {
        try connection.visit(sql, values) { _ in }
    }
}

extension InventoryTable {
    /// The columns, separated by commas.
    fileprivate var list: String { columns.joined(separator: ", ") }

    /// Lets a server count on from the last row.
    fileprivate func countOn(in server: any Connection) throws {
        guard let counter else { return }
        _ = try server.query(
            "SELECT setval(pg_get_serial_sequence('\(name)', '\(counter)'), max(\(counter))) FROM \(name) "
                + "HAVING max(\(counter)) IS NOT NULL")
    }
}
