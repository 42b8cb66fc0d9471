// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
import Glibc

/// A parameter or a result of a statement.
package enum SQLiteValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    package var text: String? { if case .text(let text) = self { text } else { nil } }
    package var integer: Int64? { if case .integer(let integer) = self { integer } else { nil } }
    package var blob: [UInt8]? { if case .blob(let bytes) = self { bytes } else { nil } }
}

extension SQLiteValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(nilLiteral: ()) { self = .null }
}

/// Why a database cannot be opened, read or written, as SQLite reports it.
package struct SQLiteError: Error, Hashable, CustomStringConvertible {
    /// SQLite's primary result code, such as 13 for a full disk.
    package let code: Int32
    /// SQLite's message in lower case, with the system's where that is the cause.
    package let message: String

    /// Whether another process held the lock until the timeout.
    package var isBusy: Bool { code == 5 || code == 6 }

    /// Whether the file is damaged, or is no database.
    package var isDamaged: Bool { code == 11 || code == 26 }

    /// Whether the disk is full, or the process has reached its limit.
    package var isFull: Bool { code == 13 }

    package var description: String { message }

    init(code: Int32, message: String) {
        self.code = code & 0xff
        self.message = message.prefix(1).lowercased() + message.dropFirst()
    }
}

/// The current row of a statement, lent to a closure.
@safe package struct Row: ~Copyable {
    private let handle: OpaquePointer

    @unsafe init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    /// The column's integer; 0 for NULL. Columns are counted from 0.
    /// All columns.
    package var values: [SQLiteValue] {
        unsafe (0..<sqlite3_column_count(handle)).map { index in
            switch unsafe sqlite3_column_type(handle, index) {
            case SQLITE_INTEGER: .integer(integer(index))
            case SQLITE_NULL: .null
            case SQLITE_BLOB: .blob(blob(index))
            default: .text(text(index))
            }
        }
    }

    package func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    /// Whether the column is NULL.
    package func isNull(_ column: Int32) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// The column's text; empty for NULL.
    package func text(_ column: Int32) -> String {
        let start = unsafe UnsafeRawPointer(sqlite3_column_text(handle, column))
        let count = unsafe start == nil ? 0 : Int(sqlite3_column_bytes(handle, column))
        return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }

    /// Whether the column has these bytes; `false` for NULL.
    package func isBlob(_ column: Int32, equalTo bytes: [UInt8]) -> Bool {
        guard let start = unsafe sqlite3_column_blob(handle, column) else { return false }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe count == bytes.count && memcmp(start, bytes, count) == 0
    }

    /// The column's bytes; empty for NULL.
    package func blob(_ column: Int32) -> [UInt8] {
        let start = unsafe sqlite3_column_blob(handle, column)
        let count = unsafe start == nil ? 0 : Int(sqlite3_column_bytes(handle, column))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }
}

/// A prepared statement, kept as long as its database.
@safe final class Statement {
    private let handle: OpaquePointer

    /// Takes over a statement that was just prepared.
    @unsafe init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe sqlite3_finalize(handle) }

    func step() -> Int32 { unsafe sqlite3_step(handle) }

    /// Makes the statement ready for the next time; values that were bound are forgotten.
    func reset() {
        unsafe sqlite3_reset(handle)
        unsafe sqlite3_clear_bindings(handle)
    }

    func bind(_ value: SQLiteValue, at index: Int32) -> Int32 {
        switch value {
        case .null: return unsafe sqlite3_bind_null(handle, index)
        case .integer(let integer): return unsafe sqlite3_bind_int64(handle, index, integer)
        case .text(let text):
            let bytes = Array(text.utf8CString)
            return unsafe pki_sqlite3_bind_text(handle, index, bytes, Int32(clamping: bytes.count - 1))
        case .blob(let bytes): return unsafe pki_sqlite3_bind_blob(handle, index, bytes, Int32(clamping: bytes.count))
        }
    }

    /// The current row, valid until the next step.
    var row: Row { unsafe Row(handle) }

    var columns: [SQLiteValue] { row.values }
}

/// Ends statements that run longer than a valid file needs: a damaged or malicious one can make them run for ever.
@safe final class StepLimit {
    /// The number of steps of SQLite's machine between two checks.
    private static let interval: Int32 = 10_000
    /// The checks that are left for the current statement.
    // SAFETY: allocated in `init`, freed in `deinit`, after the connection has been closed.
    private let remaining = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    /// The number of checks that each statement has.
    private let allowance: Int

    /// Allows 50 million steps, a second or two, and 50 more for each byte of the file when it is opened.
    init(fileSize size: Int) {
        allowance = 5_000 + size / 200
        unsafe remaining.initialize(to: .max)
    }

    deinit { unsafe remaining.deallocate() }

    /// Watches a connection, which must be closed before this value is released.
    @unsafe func install(on handle: OpaquePointer) {
        unsafe sqlite3_progress_handler(
            handle, Self.interval,
            { counter in
                guard let counter = unsafe counter?.assumingMemoryBound(to: Int.self) else { return 0 }
                unsafe counter.pointee -= 1
                return unsafe counter.pointee < 0 ? 1 : 0
            }, remaining)
    }

    /// To be called before a statement runs.
    func begin() { unsafe remaining.pointee = allowance }
}
