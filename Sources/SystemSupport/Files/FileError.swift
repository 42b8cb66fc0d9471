// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Why a file or a directory could not be read, made, written or trusted.
package struct FileError: ExplainedError, Equatable {
    /// The kind of failure.
    package enum Code: Sendable {
        /// There is no such file.
        case missing
        /// Something has the name already.
        case exists
        /// It is a link, a pipe, a device or a directory where a file is wanted, or the other way round.
        case kind
        /// Others than its owner can use it, and it is to be a secret.
        case unprotected
        /// It belongs to somebody else, or others can change it.
        case foreign
        /// Whatever else the system says.
        case system
    }

    package let code: Code

    /// What is wrong, with the name of the file.
    package let message: String

    /// The way out, when there is one to name.
    package let remedy: String?

    /// The system's number for the failure; 0 when it is none of the system's.
    package let number: CInt

    /// Whether the file could be read, and must not be, because others can read it too.
    package var isUnprotected: Bool { code == .unprotected }

    /// Whether there is no such file.
    package var isMissing: Bool { code == .missing }

    package init(_ code: Code, _ message: String, remedy: String? = nil, number: CInt = 0) {
        self.code = code
        self.message = message
        self.remedy = remedy
        self.number = number
    }

    /// A failure that the system names.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - verb: What could not be done with it: `read`.
    ///   - number: The system's number.
    package init(_ path: String, cannotBe verb: String, _ number: CInt) {
        let code: Code =
            switch number {
            case ENOENT: .missing
            case EEXIST: .exists
            case ELOOP, ENOTDIR, EISDIR, ENXIO: .kind
            default: .system
            }
        let reason = number == ELOOP ? "it is a symbolic link" : systemErrorText(number)
        self.init(code, "\"\(printable(path))\" cannot be \(verb): \(reason)", number: number)
    }
}
