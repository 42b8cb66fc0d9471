// SPDX-License-Identifier: Apache-2.0

internal import CSQLite
import Glibc

/// The current row of a statement, lent to a closure.
@safe package struct Row: ~Copyable {
    private let handle: OpaquePointer

    @unsafe init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    /// A column as a whole number; 0 when it is none.
    ///
    /// - Parameter column: The column, counted from 0.
    /// - Returns: The number.
    package func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

    /// Whether a column has no value.
    ///
    /// - Parameter column: The column, counted from 0.
    /// - Returns: `true` for NULL.
    package func isNull(_ column: Int32) -> Bool { unsafe sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// A column as text; empty when there is none.
    ///
    /// - Parameter column: The column, counted from 0.
    /// - Returns: The text.
    package func text(_ column: Int32) -> String {
        let start = unsafe UnsafeRawPointer(sqlite3_column_text(handle, column))
        let count = unsafe start == nil ? 0 : Int(sqlite3_column_bytes(handle, column))
        return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }

    /// Whether a column has certain bytes.
    ///
    /// - Parameters:
    ///   - column: The column, counted from 0.
    ///   - bytes: The bytes.
    /// - Returns: Whether it has them; `false` when there is no value.
    package func isBlob(_ column: Int32, equalTo bytes: [UInt8]) -> Bool {
        guard let start = unsafe sqlite3_column_blob(handle, column) else { return false }
        let count = Int(unsafe sqlite3_column_bytes(handle, column))
        return unsafe count == bytes.count && memcmp(start, bytes, count) == 0
    }

    /// A column as bytes; none when there is no value.
    ///
    /// - Parameter column: The column, counted from 0.
    /// - Returns: The bytes.
    package func blob(_ column: Int32) -> [UInt8] {
        let start = unsafe sqlite3_column_blob(handle, column)
        let count = unsafe start == nil ? 0 : Int(sqlite3_column_bytes(handle, column))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }
}
