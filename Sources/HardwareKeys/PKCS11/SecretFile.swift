// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc

/// A file that holds a PIN.
enum SecretFile {
    /// Reads the first line.
    ///
    /// - Parameter path: The file; a pipe will do.
    /// - Returns: The line without its end, which is a line feed with or without a carriage return.
    /// - Throws: ``HardwareKeyError`` with ``HardwareKeyError/Code/pinNeeded``.
    static func firstLine(of path: String) throws(HardwareKeyError) -> SecretBytes {
        let name = "the pin-source \(printable(path, limit: 200))"
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard file >= 0 else { throw HardwareKeyError(.pinNeeded, "\(name) cannot be read: \(systemErrorText(errno))") }
        defer { close(file) }

        var buffer = [UInt8](repeating: 0, count: limit)
        defer { wipe(&buffer) }
        var count = 0
        while count < limit, !buffer[..<count].contains(UInt8(ascii: "\n")) {
            let got = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe read(file, bytes.baseAddress.map { unsafe $0 + count }, limit - count)
            }
            if got < 0 {
                if errno == EINTR { continue }
                throw HardwareKeyError(.pinNeeded, "\(name) cannot be read: \(systemErrorText(errno))")
            }
            if got == 0 { break }
            count += got
        }
        var end = buffer[..<count].firstIndex(of: UInt8(ascii: "\n")) ?? count
        if end > 0, buffer[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        guard end > 0 else { throw HardwareKeyError(.pinNeeded, "\(name) has an empty first line") }
        guard end < limit else {
            throw HardwareKeyError(.pinNeeded, "the first line of \(name) is no PIN: it is too long")
        }
        return SecretBytes(buffer[..<end])
    }

    /// Longer than any PIN.
    private static let limit = 1024
}

/// Overwrites bytes in a way that the compiler cannot remove. They must have no other owner, who would keep them.
func wipe(_ bytes: inout [UInt8]) {
    unsafe bytes.withUnsafeMutableBytes { bytes in
        if let base = bytes.baseAddress { unsafe explicit_bzero(base, bytes.count) }
    }
}
