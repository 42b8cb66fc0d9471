// SPDX-License-Identifier: Apache-2.0

internal import Certificates
internal import FoundationEssentials
internal import Synchronization
import SystemSupport

/// Makes and checks the tokens of the instance metadata service.
///
/// A token is its time of expiry with a code that only this process can make. There is no table of tokens that a client could
/// fill.
struct MetadataToken: Sendable {
    private let key: [UInt8]
    private let randomBytes: @Sendable (Int) -> [UInt8]

    /// The longest time that a token may be asked for, in seconds: six hours.
    static let longestTime = 21_600

    private static let sealed = 18
    private static let seal = 24

    init(randomBytes: @escaping @Sendable (Int) -> [UInt8]) {
        self.randomBytes = randomBytes
        key = randomBytes(32)
    }

    /// Makes a token: 42 bytes, as 56 characters of Base64 without padding.
    func make(seconds: Int, at date: Date) -> String {
        let expiry = UInt64(max(0, date.timeIntervalSince1970)) + UInt64(seconds)
        let content = (0..<8).map { UInt8(truncatingIfNeeded: expiry >> (56 - 8 * $0)) } + randomBytes(10)
        return Data(content + code(content)).base64EncodedString()
    }

    /// The number of seconds until a token expires; `nil` if this process did not make it, or it was altered or has expired.
    func secondsLeft(_ token: String, at date: Date) -> Int? {
        guard token.utf8.count == 56, let bytes = Data(base64Encoded: token), bytes.count == Self.sealed + Self.seal
        else {
            return nil
        }
        let content = Array(bytes.prefix(Self.sealed))
        guard areEqual(Array(bytes.suffix(Self.seal)), code(content)) else { return nil }
        let expiry = content.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let left = Int(clamping: expiry) - Int(date.timeIntervalSince1970)
        return left > 0 ? left : nil
    }

    private func code(_ content: [UInt8]) -> [UInt8] {
        Array(HMACSHA256.code(content, key: key).prefix(Self.seal))
    }
}

/// The file with the token of the container credentials endpoint, which the SDKs read at each request.
///
/// Who can read the file can get the credentials, so it must be the user's own. A new token may be written to it at any time.
package final class TokenFile: Sendable {
    /// `nil` if the token is in memory only.
    package let path: String?

    private struct State {
        var token: String
        var seen: FileStamp?
    }

    private let state: Mutex<State>

    /// Reads the token, or creates the file with a random one if it does not exist, and its directory with mode 0700.
    package init(path: String, randomBytes: (Int) -> [UInt8]) throws(DeliveryError) {
        self.path = path
        if FileStatus(at: path) == nil { try Self.make(path, randomBytes) }
        let (token, stamp) = try Self.read(path)
        state = Mutex(State(token: token, seen: stamp))
    }

    /// Makes a random token that is in memory only.
    package init(inMemory randomBytes: (Int) -> [UInt8]) {
        path = nil
        state = Mutex(State(token: Self.random(randomBytes), seen: nil))
    }

    package var token: String { state.withLock { $0.token } }

    /// Reads the file again if it has changed. While it cannot be read, or others could read it, the token stays the same.
    ///
    /// - Returns: Whether there is a new token.
    package func update() throws(DeliveryError) -> Bool {
        guard let path else { return false }
        if let stamp = FileStamp(at: path), stamp == state.withLock({ $0.seen }) { return false }
        let (token, stamp) = try Self.read(path)
        return state.withLock { state in
            defer { state = State(token: token, seen: stamp) }
            return state.token != token
        }
    }

    private static func random(_ randomBytes: (Int) -> [UInt8]) -> String {
        // 32 characters of 64 each: 192 bits.
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        return String(decoding: randomBytes(32).map { alphabet[Int($0 & 63)] }, as: UTF8.self)
    }

    private static func make(_ path: String, _ randomBytes: (Int) -> [UInt8]) throws(DeliveryError) {
        let token = Array(random(randomBytes).utf8)
        do {
            let target = try FilePath.followingLinks(path)
            let directory = FilePath.parent(of: target)
            try Directory.make(directory)
            try NewFile.write(
                FilePath.name(of: target), in: Directory(directory, for: .output), SecretBytes(token), replacing: .never
            )
        } catch {
            // Another server may have made the file meanwhile; then its token counts.
            if error.code == .exists { return }
            throw DeliveryError(
                .storage, "the token file \(error.message)", hint: error.hint ?? "name another with --token-file")
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
                hint: "write it with printf instead of echo, or remove the file: a new one is made")
        }
        guard line.count >= 16, line.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw DeliveryError(
                .malformed, "the token file \(path) does not hold one token of 16 or more printable characters",
                hint: "remove the file: a new one is made")
        }
        return (String(decoding: line, as: UTF8.self), contents.stamp)
    }
}
