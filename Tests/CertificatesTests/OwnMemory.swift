// SPDX-License-Identifier: Apache-2.0

import Certificates
import Foundation

/// Bytes to be searched for, which do not themselves lie in memory as what they are.
struct MaskedBytes {
    let name: String
    fileprivate let bytes: [UInt8]
    fileprivate static let mask: UInt8 = 0xa5

    init(name: String, hiding secret: UnsafeRawBufferPointer) {
        self.name = name
        bytes = unsafe secret.map { $0 ^ Self.mask }
    }

    /// The same bytes from the last to the first, as libcrypto keeps big numbers.
    var reversed: MaskedBytes { MaskedBytes(name: name + ", reversed", masked: bytes.reversed()) }

    private init(name: String, masked: [UInt8]) {
        self.name = name
        bytes = masked
    }
}

/// All that this process can write to: heap, stacks, data.
enum OwnMemory {
    /// How often bytes lie there.
    static func occurrences(ofMasked needle: MaskedBytes) throws -> Int {
        let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        var count = 0
        for line in maps.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 5, fields[1].hasPrefix("rw"), !line.hasSuffix("[vvar]") else { continue }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2 else { continue }
            count += occurrences(of: needle.bytes, from: ends[0], to: ends[1])
        }
        return count
    }

    private static func occurrences(of masked: [UInt8], from start: UInt, to end: UInt) -> Int {
        guard var position = unsafe UnsafeRawPointer(bitPattern: start), end - start > UInt(masked.count) else {
            return 0
        }
        let first = CInt(masked[0] ^ MaskedBytes.mask)
        var count = 0
        var rest = Int(end - start) - masked.count
        while rest > 0, let found = unsafe memchr(position, first, rest) {
            let isHere = (1..<masked.count).allSatisfy {
                unsafe found.load(fromByteOffset: $0, as: UInt8.self) ^ MaskedBytes.mask == masked[$0]
            }
            if isHere { count += 1 }
            rest -= unsafe UnsafeRawPointer(found) - position + 1
            unsafe position = UnsafeRawPointer(found) + 1
        }
        return count
    }
}
