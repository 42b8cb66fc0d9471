// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// A file that holds a PIN.
enum SecretFile {
    /// Reads the first line.
    ///
    /// - Parameter path: The file, which nobody but its owner may be able to read; a pipe will do.
    /// - Returns: The line without its end, which is a line feed, a carriage return, or both.
    /// - Throws: ``HardwareKeyError`` with ``HardwareKeyErrorCode/pinNeeded``.
    static func firstLine(of path: String) throws(HardwareKeyError) -> SecretBytes {
        let line: SecretBytes
        do {
            line = try FileContents(of: path, .ownerOnly).bytes.firstLine
        } catch {
            throw HardwareKeyError(.pinNeeded, "the pin-source \(error.message)", hint: error.hint)
        }
        guard line.count > 0 else {
            throw HardwareKeyError(.pinNeeded, "the pin-source \(printable(path, limit: 200)) has an empty first line")
        }
        guard line.count < limit else {
            throw HardwareKeyError(
                .pinNeeded,
                "the first line of the pin-source \(printable(path, limit: 200)) is no PIN: it is too long"
            )
        }
        return line
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
