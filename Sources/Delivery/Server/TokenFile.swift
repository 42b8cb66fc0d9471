// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
import SystemSupport

/// The file with the token of the container credentials endpoint, which the SDKs read at each request.
///
/// Whoever may read the file may have the credentials, so it has to be the user's own. A new token may be put into it at
/// any time.
package final class TokenFile: Sendable {
    /// The path.
    package let path: String

    private struct State {
        var token: String
        var seen: FileStamp?
    }

    private let state: Mutex<State>

    /// Reads a token, or makes a file with a random one when there is none.
    ///
    /// - Parameters:
    ///   - path: The file. Its directory is made with mode 0700 when it is missing.
    ///   - randomBytes: Draws so many random bytes.
    /// - Throws: ``DeliveryError`` naming the file and the rule.
    package init(path: String, randomBytes: (Int) -> [UInt8]) throws(DeliveryError) {
        self.path = path
        if FileStatus(at: path) == nil { try Self.make(path, randomBytes) }
        let (token, stamp) = try Self.read(path)
        state = Mutex(State(token: token, seen: stamp))
    }

    /// The token.
    package var token: String { state.withLock { $0.token } }

    /// Reads the file again when it has changed. While it cannot be read, or others could, the token stays as it is.
    ///
    /// - Returns: Whether there is a new token.
    /// - Throws: ``DeliveryError`` naming the file and the rule.
    package func update() throws(DeliveryError) -> Bool {
        if let stamp = FileStamp(at: path), stamp == state.withLock({ $0.seen }) { return false }
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
        do {
            let target = try FilePath.followingLinks(path)
            let directory = FilePath.parent(of: target)
            try Directory.make(directory)
            try NewFile.write(
                FilePath.name(of: target),
                in: Directory(directory, for: .output),
                SecretBytes(token),
                replacing: .never
            )
        } catch {
            // Another server may have made the file meanwhile; then its token counts.
            if error.code == .exists { return }
            throw DeliveryError(
                .storage,
                "the token file \(error.message)",
                hint: error.hint ?? "name another with --token-file"
            )
        }
    }

    private static func read(_ path: String) throws(DeliveryError) -> (String, FileStamp?) {
        let contents: FileContents
        do {
            let target = try FilePath.followingLinks(path)
            contents = try Directory(FilePath.parent(of: target), for: .output)
                .read(FilePath.name(of: target), .ownerOnly, limit: 4096)
        } catch {
            throw DeliveryError(error, "the token file")
        }
        let line = contents.bytes.array
        guard line.last != 0x0a else {
            throw DeliveryError(
                .malformed,
                "the token file \(path) ends with a line end, which the AWS SDK for Python takes for a part of the token",
                hint: "write it with printf instead of echo, or remove the file: a new one is made"
            )
        }
        guard line.count >= 16, line.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw DeliveryError(
                .malformed,
                "the token file \(path) does not hold one token of 16 or more printable characters",
                hint: "remove the file: a new one is made"
            )
        }
        return (String(decoding: line, as: UTF8.self), contents.stamp)
    }
}
