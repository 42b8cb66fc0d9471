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
    /// More than this in one piece is no memory of ours but AddressSanitizer's book about it.
    private static let largest: UInt = 1 << 34
    private static let chunk = 1 << 20

    /// How often bytes lie there. It is read as a file is, because AddressSanitizer reports whoever looks at freed memory.
    static func occurrences(ofMasked needle: MaskedBytes) throws -> Int {
        let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
        let memory = unsafe open("/proc/self/mem", O_RDONLY | O_CLOEXEC)
        guard memory >= 0 else { throw POSIXError(.EACCES) }
        defer { close(memory) }
        // Taken from the system and given back to it, so that nothing that is copied here is searched next time.
        guard let buffer = unsafe mmap(nil, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            unsafe buffer != MAP_FAILED
        else { throw POSIXError(.ENOMEM) }
        defer { unsafe munmap(buffer, chunk) }
        var count = 0
        for line in maps.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count >= 5, fields[1].hasPrefix("rw"), !line.hasSuffix("[vvar]") else { continue }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[1] - ends[0] < largest else { continue }
            var position = ends[0]
            while position < ends[1] {
                let length = unsafe pread(memory, buffer, min(chunk, Int(ends[1] - position)), off_t(position))
                guard length > 0 else {
                    position += 4096
                    continue
                }
                let bytes = unsafe UnsafeRawBufferPointer(start: buffer, count: length)
                count += unsafe occurrences(of: needle.bytes, in: bytes)
                // What lies across the end of a chunk is found at the beginning of the next.
                position += UInt(length < chunk ? length : length - needle.bytes.count + 1)
            }
        }
        return count
    }

    private static func occurrences(of masked: [UInt8], in bytes: UnsafeRawBufferPointer) -> Int {
        guard let start = bytes.baseAddress else { return 0 }
        let first = CInt(masked[0] ^ MaskedBytes.mask)
        let end = bytes.count - masked.count + 1
        var position = 0
        var count = 0
        while position < end, let found = unsafe memchr(start + position, first, end - position) {
            position = unsafe UnsafeRawPointer(found) - start
            let isHere = (1..<masked.count).allSatisfy { unsafe bytes[position + $0] ^ MaskedBytes.mask == masked[$0] }
            if isHere { count += 1 }
            position += 1
        }
        return count
    }
}
