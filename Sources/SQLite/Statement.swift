// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
import Glibc
internal import SQL

extension SQLError {
    /// What SQLite reports: a result code, such as 13 for a full disk, and its message.
    init(code: Int32, message: String) {
        let kind: Kind =
            switch code & 0xff {
            case SQLITE_BUSY, SQLITE_LOCKED: .busy
            case SQLITE_CORRUPT, SQLITE_NOTADB: .damaged
            case SQLITE_FULL: .full
            case _ where code == SQLITE_CONSTRAINT | (8 << 8) || code == SQLITE_CONSTRAINT | (6 << 8): .duplicate
            default: .other
            }
        self.init(kind, message)
    }
}

/// A prepared statement, kept as long as its database, and its current row.
@safe final class Statement: RowSource {
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

    func bind(_ value: SQLValue, at index: Int32) -> Int32 {
        switch value {
        case .null: return unsafe sqlite3_bind_null(handle, index)
        case .integer(let integer): return unsafe sqlite3_bind_int64(handle, index, integer)
        case .text(let text):
            let bytes = Array(text.utf8CString)
            return unsafe pki_sqlite3_bind_text(handle, index, bytes, Int32(clamping: bytes.count - 1))
        case .blob(let bytes): return unsafe pki_sqlite3_bind_blob(handle, index, bytes, Int32(clamping: bytes.count))
        }
    }

    // MARK: - The current row, valid until the next step

    var values: [SQLValue] {
        unsafe (0..<sqlite3_column_count(handle)).map { index in
            switch unsafe sqlite3_column_type(handle, index) {
            case SQLITE_INTEGER: .integer(integer(index))
            case SQLITE_NULL: .null
            case SQLITE_BLOB: .blob(blob(index))
            default: .text(text(index))
            }
        }
    }

    func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    func isNull(_ column: Int32) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }

    func text(_ column: Int32) -> String {
        let start = unsafe UnsafeRawPointer(sqlite3_column_text(handle, column))
        let count = unsafe start == nil ? 0 : Int(sqlite3_column_bytes(handle, column))
        return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }

    func isBlob(_ column: Int32, equalTo bytes: [UInt8]) -> Bool {
        guard let start = unsafe sqlite3_column_blob(handle, column) else { return false }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe count == bytes.count && memcmp(start, bytes, count) == 0
    }

    func blob(_ column: Int32) -> [UInt8] {
        let start = unsafe sqlite3_column_blob(handle, column)
        let count = unsafe start == nil ? 0 : Int(sqlite3_column_bytes(handle, column))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }
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
