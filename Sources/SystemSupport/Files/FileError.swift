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

    /// How to fix it, if there is one way to name.
    package let hint: String?

    /// The system's number for the failure; 0 when it is none of the system's.
    package let number: CInt

    /// Whether the file could be read, and must not be, because others can read it too.
    package var isUnprotected: Bool { code == .unprotected }

    /// Whether there is no such file.
    package var isMissing: Bool { code == .missing }

    package init(_ code: Code, _ message: String, hint: String? = nil, number: CInt = 0) {
        self.code = code
        self.message = message
        self.hint = hint
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
        guard Self.looksLikeKey(path) else {
            self.init(code, "\"\(printable(path))\" cannot be \(verb): \(reason)", number: number)
            return
        }
        self.init(
            code, "a text of \(path.utf8.count) bytes that looks like a key was given where a path is expected",
            hint: "put it into a file, or name the variable that holds it: env:NAME", number: number
        )
    }

    /// Whether a text that was given as a path is more likely a key itself, which is not repeated: PEM, or base64 of PEM or of
    /// DER.
    package static func looksLikeKey(_ path: String) -> Bool {
        let bytes = Array(path.utf8)
        if bytes.count >= 11, (0...bytes.count - 11).contains(where: { bytes[$0...].starts(with: "-----BEGIN ".utf8) })
        {
            return true
        }
        return bytes.count >= 60 && (bytes[0] == UInt8(ascii: "M") || bytes.starts(with: "LS0t".utf8))
            && bytes.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: "+/=\r\n ".utf8.contains(byte)
                }
            }
    }
}
