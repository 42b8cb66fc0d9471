// SPDX-License-Identifier: Apache-2.0

internal import CSQLite

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

    /// The current row, good until the next step.
    var row: Row { unsafe Row(handle) }

    /// The columns of the current row.
    var columns: [SQLiteValue] {
        unsafe (0..<sqlite3_column_count(handle)).map { index in
            switch unsafe sqlite3_column_type(handle, index) {
            case SQLITE_INTEGER: return .integer(unsafe sqlite3_column_int64(handle, index))
            case SQLITE_NULL: return .null
            case SQLITE_BLOB: return .blob(unsafe bytes(at: index, sqlite3_column_blob(handle, index)))
            default:
                let text = unsafe UnsafeRawPointer(sqlite3_column_text(handle, index))
                return .text(String(decoding: unsafe bytes(at: index, text), as: UTF8.self))
            }
        }
    }

    private func bytes(at index: Int32, _ start: UnsafeRawPointer?) -> [UInt8] {
        let count = Int(unsafe sqlite3_column_bytes(handle, index))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
    }
}
