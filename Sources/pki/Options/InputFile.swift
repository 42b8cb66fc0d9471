// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// Something that a command was to read could not be read.
struct InputError: ExplainedError {
    var message: String
    var hint: String?
}

/// The command line asks for something that does not go together.
struct UsageError: ExplainedError {
    var message: String
    var hint: String?

    /// Something is needed and was given neither by option nor by profile.
    static func missing(_ option: String) -> UsageError {
        UsageError(
            message: "\(option) is missing",
            hint: "give it, or --profile NAME for one that pki configure wrote; --help shows an example"
        )
    }
}

/// A file that the user named.
enum InputFile {
    /// Reads a file whole.
    ///
    /// - Parameter path: The path.
    /// - Returns: The contents, at most 4 MiB.
    /// - Throws: `FileError` naming the file and what the system says.
    static func read(_ path: String) throws -> [UInt8] {
        unsafe try FileContents(of: path).bytes.withUnsafeBytes { unsafe Array($0) }
    }
}
