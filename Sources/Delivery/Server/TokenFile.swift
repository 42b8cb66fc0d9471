// SPDX-License-Identifier: Apache-2.0

internal import Certificates
internal import Glibc
internal import Synchronization
import SystemSupport

/// The file with the token of the container credentials endpoint, which the SDKs read at each request.
///
/// Whoever may read the file may have the credentials, so it has to be the user's own. A new token may be put into it at
/// any time.
public final class TokenFile: Sendable {
    /// The path.
    public let path: String

    private struct State {
        var token: String
        var seen: Stamp
    }

    private let state: Mutex<State>

    /// Reads a token, or makes a file with a random one when there is none.
    ///
    /// - Parameters:
    ///   - path: The file. Its folder is made with mode 0700 when it is missing.
    ///   - randomBytes: Draws so many random bytes.
    /// - Throws: ``DeliveryError`` naming the file and the rule.
    public init(path: String, randomBytes: (Int) -> [UInt8]) throws(DeliveryError) {
        self.path = path
        if unsafe access(path, F_OK) != 0, errno == ENOENT { try Self.make(path, randomBytes) }
        let (token, stamp) = try Self.read(path)
        state = Mutex(State(token: token, seen: stamp))
    }

    /// The token.
    public var token: String { state.withLock { $0.token } }

    /// Reads the file again when it has changed. While it cannot be read, or others could, the token stays as it is.
    ///
    /// - Returns: Whether there is a new token.
    /// - Throws: ``DeliveryError`` naming the file and the rule.
    public func update() throws(DeliveryError) -> Bool {
        var status = stat()
        if unsafe stat(path, &status) == 0, Stamp(status) == state.withLock({ $0.seen }) { return false }
        let (token, stamp) = try Self.read(path)
        return state.withLock { state in
            defer { state = State(token: token, seen: stamp) }
            return state.token != token
        }
    }

    private static func make(_ path: String, _ randomBytes: (Int) -> [UInt8]) throws(DeliveryError) {
        // 32 characters of 64 each: 192 bits.
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let token = randomBytes(32).map { alphabet[Int($0 & 63)] }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if !folder.isEmpty { try PrivateFolder.make(folder) }
        let temporary = "\(path).pki-new.\(getpid())"
        unsafe unlink(temporary)
        let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        var isWritten = false
        if file >= 0 {
            isWritten = unsafe write(file, token, token.count) == token.count && fsync(file) == 0
            close(file)
        }
        // Another server may have made the file meanwhile; then its token counts.
        guard isWritten, unsafe link(temporary, path) == 0 || errno == EEXIST else {
            let reason = errno
            unsafe unlink(temporary)
            throw DeliveryError(
                .storage,
                "the token file \(path) cannot be made: \(systemErrorText(reason))",
                remedy: "name another with --token-file"
            )
        }
        unsafe unlink(temporary)
    }

    private static func read(_ path: String) throws(DeliveryError) -> (String, Stamp) {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            throw DeliveryError(.storage, "the token file \(path) cannot be read: \(systemErrorText(errno))")
        }
        defer { close(file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw DeliveryError(.unsafePlace, "the token file \(path) is no regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw DeliveryError(
                .unsafePlace,
                "the token file \(path) can be read by others (mode 0\(String(status.st_mode & 0o777, radix: 8)))",
                remedy: "chmod 600 \(path), and write another token into it"
            )
        }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe Glibc.read(file, &buffer, buffer.count)
        guard count >= 0 else {
            throw DeliveryError(.storage, "the token file \(path) cannot be read: \(systemErrorText(errno))")
        }
        let line = buffer.prefix(count)
        guard line.last != 0x0a else {
            throw DeliveryError(
                .malformed,
                "the token file \(path) ends with a line end, which the AWS SDK for Python takes for a part of the token",
                remedy: "write it with printf instead of echo, or remove the file: a new one is made"
            )
        }
        guard line.count >= 16, line.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw DeliveryError(
                .malformed,
                "the token file \(path) does not hold one token of 16 or more printable characters",
                remedy: "remove the file: a new one is made"
            )
        }
        return (String(decoding: line, as: UTF8.self), Stamp(status))
    }

    /// What changes when a file is replaced or written to.
    private struct Stamp: Equatable {
        let file: UInt64
        let size: Int64
        let seconds: Int
        let nanoseconds: Int

        init(_ status: stat) {
            file = UInt64(status.st_ino)
            size = Int64(status.st_size)
            (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }
    }
}
