// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A file or directory that could not be read, created, written or trusted.
package struct FileError: ExplainedError, Equatable {
    package enum Code: Sendable {
        case missing, exists
        /// It is a link, a pipe, a device or a directory where a file is expected, or the other way round.
        case kind
        /// It is a secret, and others than its owner can use it.
        case unprotected
        /// It belongs to another user, or others can change it.
        case foreign
        /// Any other failure of a system call.
        case system
    }

    package let code: Code

    package let message: String
    package let hint: String?

    /// The value of `errno`; 0 if no system call failed.
    package let number: CInt

    package var isUnprotected: Bool { code == .unprotected }

    package var isMissing: Bool { code == .missing }

    /// Whether the file system has no hard links, or no more for this file.
    package var isWithoutLinks: Bool { [EPERM, EOPNOTSUPP, EMLINK].contains(number) }

    /// Whether the file is a mount point, which cannot be replaced.
    package var isMountPoint: Bool { [EBUSY, EXDEV].contains(number) }

    /// Whether the user has no permission, or the file system is read-only.
    package var isDenied: Bool { [EACCES, EPERM, EROFS].contains(number) }

    package init(_ code: Code, _ message: String, hint: String? = nil, number: CInt = 0) {
        self.code = code
        self.message = message
        self.hint = hint
        self.number = number
    }

    /// A failed system call. The verb is what could not be done: `read`.
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
            let hint =
                code == .missing && "/\(path)".contains("/~/") ? "write the whole path: only a shell expands ~" : nil
            self.init(code, "\"\(printable(path))\" cannot be \(verb): \(reason)", hint: hint, number: number)
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

/// A failure of a system call.
package struct SystemError: Error, Hashable, CustomStringConvertible {
    /// The value of `errno`.
    package let number: CInt

    package static let exists = SystemError(number: EEXIST)
    package static let addressInUse = SystemError(number: EADDRINUSE)
    package static let connectionRefused = SystemError(number: ECONNREFUSED)
    package static let timedOut = SystemError(number: ETIMEDOUT)

    package init(number: CInt) { self.number = number }

    static var last: SystemError { SystemError(number: errno) }

    package var description: String { systemErrorText(number) }
}

/// The text of a value of `errno`, in lower case.
package func systemErrorText(_ number: CInt) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.prefix(1).lowercased() + text.dropFirst()
}

/// Whether an error means that the reader of a pipe has gone.
package func isBrokenPipe(_ number: CInt) -> Bool { number == EPIPE }
