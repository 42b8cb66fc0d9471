// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL
internal import Glibc
internal import SQL

/// The rows of a statement, in the binary format.
@safe final class QueryResult: RowSource {
    private enum Kind: Oid {
        case boolean = 16
        case bytes = 17
        case integer8 = 20
        case integer2 = 21
        case integer4 = 23
    }

    private let handle: OpaquePointer
    private var row: Int32 = -1

    /// Takes over a result.
    @unsafe init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe PQclear(handle) }

    /// Moves to the next row; `false` if there is none.
    func next() -> Bool {
        row += 1
        return unsafe row < PQntuples(handle)
    }

    private func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            start: PQgetvalue(handle, row, column), count: Int(PQgetlength(handle, row, column)))
    }

    var values: [SQLValue] {
        unsafe (0..<PQnfields(handle)).map { column in
            if isNull(column) { return .null }
            return switch Kind(rawValue: unsafe PQftype(handle, column)) {
            case .boolean, .integer2, .integer4, .integer8: .integer(integer(column))
            case .bytes: .blob(blob(column))
            case nil: .text(text(column))
            }
        }
    }

    func isNull(_ column: Int32) -> Bool { unsafe PQgetisnull(handle, row, column) != 0 }

    func integer(_ column: Int32) -> Int64 {
        let bytes = unsafe bytes(column)
        // The most significant byte has the sign.
        guard let first = unsafe bytes.first else { return 0 }
        let start: Int64 = bytes.count > 1 && first >= 0x80 ? -1 : 0
        return unsafe bytes.prefix(8).reduce(start) { $0 << 8 | Int64($1) }
    }

    func text(_ column: Int32) -> String { unsafe String(decoding: bytes(column), as: UTF8.self) }

    func blob(_ column: Int32) -> [UInt8] { unsafe Array(bytes(column)) }

    func isBlob(_ column: Int32, equalTo other: [UInt8]) -> Bool {
        unsafe !isNull(column) && bytes(column).elementsEqual(other)
    }
}

/// The values of a statement, in the binary format.
struct Parameters {
    private static let (bytes, integer, text): (Oid, Oid, Oid) = (17, 20, 25)

    /// 0 where the statement tells the type.
    private(set) var types: [Oid] = []
    private var lengths: [Int32] = []
    /// Where each value begins in ``buffer``; `nil` for NULL.
    private var starts: [Int?] = []
    private var buffer: [UInt8] = []

    init(_ values: [SQLValue]) {
        for value in values {
            let (type, bytes): (Oid, [UInt8]?) =
                switch value {
                // The statement tells the type.
                case .null: (0, nil)
                case .integer(let integer):
                    (Self.integer, (0..<8).map { UInt8(truncatingIfNeeded: integer >> (56 - 8 * $0)) })
                case .text(let text): (Self.text, Array(text.utf8))
                case .blob(let bytes): (Self.bytes, bytes)
                }
            types.append(type)
            lengths.append(Int32(clamping: bytes?.count ?? 0))
            starts.append(bytes == nil ? nil : buffer.count)
            buffer += bytes ?? []
        }
        // An empty array has no address.
        buffer.append(0)
    }

    /// Sends a statement on a connection, which belongs to the caller.
    @unsafe func send(_ sql: String, on connection: OpaquePointer?) -> Int32 {
        unsafe withPointers { values in
            unsafe PQsendQueryParams(connection, sql, count, types, values, lengths, types.map { _ in 1 }, 1)
        }
    }

    /// Sends a statement to be prepared for values of these types.
    @unsafe func prepare(_ sql: String, name: String, on connection: OpaquePointer?) -> Int32 {
        unsafe PQsendPrepare(connection, name, sql, count, types)
    }

    /// Sends the values of a statement that was prepared.
    @unsafe func send(prepared name: String, on connection: OpaquePointer?) -> Int32 {
        unsafe withPointers { values in
            unsafe PQsendQueryPrepared(connection, name, count, values, lengths, types.map { _ in 1 }, 1)
        }
    }

    private var count: Int32 { Int32(types.count) }

    @unsafe private func withPointers(
        _ body: ([UnsafePointer<CChar>?]) -> Int32
    ) -> Int32 {
        unsafe buffer.withUnsafeBytes { buffer in
            unsafe body(
                starts.map { start in
                    unsafe start.flatMap {
                        unsafe buffer.baseAddress?.advanced(by: $0).assumingMemoryBound(to: CChar.self)
                    }
                })
        }
    }
}
