// SPDX-License-Identifier: Apache-2.0

/// A connection to a database that keeps an inventory: a file of SQLite, or a server of PostgreSQL.
///
/// A connection belongs to one owner at a time. Statements are written for both: with a `?` for each value, without
/// functions that one of the two lacks. What they must differ in, ``dialect`` tells.
package protocol Connection: AnyObject {
    /// Which database it is.
    var dialect: Dialect { get }

    /// Runs a statement and visits its rows, without copying columns that the body does not read. The body must not run
    /// a statement; an error that it throws ends the visit.
    func visit(_ sql: String, _ values: [SQLValue], _ body: (borrowing Row) throws -> Void) throws

    /// Runs the body in a transaction, which is rolled back if it throws. Transactions that write take turns.
    ///
    /// When it returns, the change survives a loss of power. If the connection is lost while the change is committed,
    /// what became of it is found out. The body is run again if the database asks for that, or was lost before: it must
    /// not change anything but the database.
    func transaction<Result>(_ body: () throws -> Result) throws -> Result

    /// Runs the body, which only reads, and sees the database as it was at its first statement.
    func snapshot<Result>(_ body: () throws -> Result) throws -> Result

    /// Runs the body within a transaction; what it changed is undone if it throws.
    func attempt<Result>(_ body: () throws -> Result) throws -> Result

    /// The version of the schema: 0 in a new database.
    func schemaVersion() throws -> Int64

    /// Sets the version of the schema, and the earliest one whose programs may go on with the tables, where several programs
    /// use them at a time.
    func setSchemaVersion(_ version: Int64, oldest: Int64) throws
}

/// The databases.
package enum Dialect: Sendable {
    case sqlite, postgreSQL
}

extension Connection {
    /// Sets the version of a schema that no other program can use.
    package func setSchemaVersion(_ version: Int64) throws { try setSchemaVersion(version, oldest: version) }

    /// Runs a statement and visits its rows.
    package func visit(_ sql: String, _ body: (borrowing Row) throws -> Void) throws { try visit(sql, [], body) }

    /// Runs a statement.
    package func execute(_ sql: String, _ values: SQLValue...) throws { try visit(sql, values) { _ in } }

    /// Runs a statement and returns its rows, each with its columns.
    package func query(_ sql: String, _ values: SQLValue...) throws -> [[SQLValue]] {
        var rows: [[SQLValue]] = []
        try visit(sql, values) { rows.append($0.values) }
        return rows
    }
}

/// A parameter or a result of a statement.
package enum SQLValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    package var text: String? { if case .text(let text) = self { text } else { nil } }
    package var integer: Int64? { if case .integer(let integer) = self { integer } else { nil } }
    package var blob: [UInt8]? { if case .blob(let bytes) = self { bytes } else { nil } }
}

extension SQLValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(nilLiteral: ()) { self = .null }
}

/// Where a row's columns are read from. Columns are counted from 0.
package protocol RowSource: AnyObject {
    var values: [SQLValue] { get }
    func isNull(_ column: Int32) -> Bool
    func integer(_ column: Int32) -> Int64
    func text(_ column: Int32) -> String
    func blob(_ column: Int32) -> [UInt8]
    func isBlob(_ column: Int32, equalTo bytes: [UInt8]) -> Bool
}

/// The current row of a statement, lent to a closure.
package struct Row: ~Copyable {
    private let source: any RowSource

    package init(_ source: any RowSource) { self.source = source }

    /// All columns.
    package var values: [SQLValue] { source.values }

    /// Whether the column is NULL.
    package func isNull(_ column: Int32) -> Bool { source.isNull(column) }

    /// The column's integer; 0 for NULL.
    package func integer(_ column: Int32) -> Int64 { source.integer(column) }

    /// The column's text; empty for NULL.
    package func text(_ column: Int32) -> String { source.text(column) }

    /// The column's bytes; empty for NULL.
    package func blob(_ column: Int32) -> [UInt8] { source.blob(column) }

    /// Whether the column has these bytes; `false` for NULL.
    package func isBlob(_ column: Int32, equalTo bytes: [UInt8]) -> Bool { source.isBlob(column, equalTo: bytes) }
}

/// Why a database cannot be opened, read or written.
package struct SQLError: Error, Hashable, CustomStringConvertible {
    /// What a caller may want to tell apart.
    package enum Kind: Hashable, Sendable {
        /// Another process held a lock until the timeout.
        case busy
        /// It is damaged, or is no database.
        case damaged
        /// The disk is full, or the process has reached its limit.
        case full
        /// The value of a column that must be unique is there already.
        case duplicate
        /// The login may not do this.
        case denied
        /// The server cannot be reached, ends the connection, or only reads.
        case unreachable
        case other
    }

    package let kind: Kind
    /// The database's message in lower case, with the system's where that is the cause.
    package let message: String

    package var description: String { message }

    package var isBusy: Bool { kind == .busy }
    package var isDamaged: Bool { kind == .damaged }
    package var isFull: Bool { kind == .full }

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        // A name in capitals stays.
        let isWord = message.dropFirst().first?.isLowercase ?? true
        self.message = isWord ? message.prefix(1).lowercased() + message.dropFirst() : message
    }
}
