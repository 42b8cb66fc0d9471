// SPDX-License-Identifier: Apache-2.0

internal import Certificates
package import struct FoundationEssentials.Date
import SystemSupport

/// Credentials on the disk, for programs that ask anew each time they start, as those do that use `credential_process`.
///
/// One process obtains credentials while all others that want the same wait for them, and the wait ends with its holder.
/// A file is used only when it is the user's own and nobody else's to read or write, in directories of which the same is true.
package struct CredentialCache: Sendable {
    /// What credentials are obtained with: for equal keys they are the same.
    package struct Key: Hashable, Sendable, ExpressibleByDictionaryLiteral {
        /// The parts by their names, in order. None holds a secret.
        package let parts: [Part]

        /// A part of a key.
        package struct Part: Hashable, Sendable {
            /// The name, one word.
            package let name: String
            /// The value.
            package let value: String
        }

        /// Makes a key.
        ///
        /// - Parameter elements: Names, of one word each, and values.
        package init(dictionaryLiteral elements: (String, String)...) {
            parts = elements.map { Part(name: $0.0, value: $0.1) }
        }

        /// SHA-256 over all parts with their lengths, in hexadecimal.
        var fileName: String {
            let text = parts.map { "\($0.name)=\($0.value.utf8.count):\($0.value)\n" }.joined()
            return hexadecimal(Digest.sha256.hash(Array(text.utf8)))
        }
    }

    /// How credentials came about.
    package enum Outcome: Sendable {
        /// They were there.
        case cached(Credentials)
        /// They were obtained, and will be there.
        case refreshed(Credentials)
        /// New ones could not be obtained; these are valid for a while yet.
        case stale(Credentials, any Error)

        /// The credentials.
        package var credentials: Credentials {
            switch self {
            case .cached(let credentials), .refreshed(let credentials), .stale(let credentials, _): credentials
            }
        }
    }

    /// Credentials that are in the cache.
    package struct Entry: Sendable {
        /// The file they are in.
        package var path: String
        /// What they were obtained with.
        package var parts: [Key.Part]
        /// The credentials.
        package var credentials: Credentials
        /// Whether they would be handed out.
        package var isFresh: Bool
    }

    /// The directory.
    package let path: String

    private let schedule: RefreshSchedule
    private let now: @Sendable () -> Date

    /// Names a cache. Its directory is made with the first credentials.
    ///
    /// - Parameters:
    ///   - path: The directory. It and the one above it have to be the user's own.
    ///   - schedule: How long credentials have to last to be handed out.
    ///   - now: The time.
    package init(path: String, schedule: RefreshSchedule = RefreshSchedule(), now: @escaping @Sendable () -> Date) {
        self.path = path
        self.schedule = schedule
        self.now = now
    }

    /// Where a user's cache is (XDG Base Directory Specification): below `XDG_CACHE_HOME`, else below `~/.cache`.
    ///
    /// - Parameters:
    ///   - environment: The variables.
    ///   - home: The user's home directory.
    /// - Returns: The directory's path.
    package static func standardPath(environment: [String: String], home: String) -> String {
        // The specification has relative paths ignored.
        let base = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "\(home)/.cache"
        return "\(base)/pki/credentials"
    }

    /// Hands out credentials that are there.
    ///
    /// - Parameter key: What they were obtained with.
    /// - Returns: The credentials; nothing when there are none that last long enough.
    /// - Throws: ``DeliveryError`` when the cache cannot be used.
    package func cached(for key: Key) throws(DeliveryError) -> Credentials? {
        guard let directory = try directory(creates: false) else { return nil }
        return fresh(key, in: directory)
    }

    /// Hands out credentials, and obtains them first when there are none that last long enough.
    ///
    /// - Parameters:
    ///   - key: What they are obtained with.
    ///   - status: The exit status that an error means, for those who wait and share the failure.
    ///   - obtain: Obtains credentials. It is called by one process at a time for a key.
    /// - Returns: Credentials, and how they came about.
    /// - Throws: What the closure throws, ``SharedFailure`` when that was another process's, or ``DeliveryError`` when the
    ///   cache cannot be used; then the closure was not called.
    package func credentials(
        for key: Key,
        status: (any Error) -> Int32,
        obtain: () throws -> Credentials
    ) throws -> Outcome {
        let began = now()
        let name = key.fileName
        // Without a directory there is nothing in it.
        if let directory = try directory(creates: false), let found = fresh(key, in: directory) {
            return .cached(found)
        }
        guard let directory = try directory(creates: true) else {
            throw DeliveryError(.storage, "the directory \(path) vanished while it was made")
        }
        let lock: LockFile
        do { lock = try directory.lock("\(name).lock") } catch { throw DeliveryError(error, "the cache's") }
        if let found = fresh(key, in: directory) { return .cached(found) }
        let older = read(key, in: directory)
        if let failure = SharedFailure(lock.note), failure.date >= began {
            guard let older else { throw failure }
            return .stale(older, failure)
        }
        do {
            let credentials = try obtain()
            // Credentials that could not be kept are credentials all the same.
            write(CacheEntry(parts: key.parts, credentials: credentials), "\(name).credentials", in: directory)
            forgetExpired(in: directory)
            return .refreshed(credentials)
        } catch {
            lock.note = SharedFailure(error, status: status(error), at: now()).text
            guard let older, schedule.isValid(older, at: now()) else { throw error }
            return .stale(older, error)
        }
    }

    /// What is in the cache, in the order of expiration.
    ///
    /// - Returns: The entries; files that are none are left out.
    /// - Throws: ``DeliveryError`` when the directory cannot be used.
    package func entries() throws(DeliveryError) -> [Entry] {
        guard let directory = try directory(creates: false) else { return [] }
        let date = now()
        return try names(in: directory).compactMap { name in
            guard name.hasSuffix(".credentials"), let entry = entry(name, in: directory) else { return nil }
            return Entry(
                path: directory.path(of: name),
                parts: entry.parts,
                credentials: entry.credentials,
                isFresh: schedule.isFresh(entry.credentials, at: date)
            )
        }.sorted { $0.credentials.expiration < $1.credentials.expiration }
    }

    /// Removes credentials.
    ///
    /// - Parameter onlyExpired: Whether to leave those that are still valid.
    /// - Returns: How many were removed. The files are gone; whoever holds a copy of valid credentials can still use them.
    /// - Throws: ``DeliveryError`` when the directory cannot be used.
    package func clear(onlyExpired: Bool) throws(DeliveryError) -> Int {
        guard let directory = try directory(creates: false) else { return 0 }
        let date = now()
        var count = 0
        for name in try names(in: directory) {
            if name.hasSuffix(".credentials") {
                if onlyExpired, let entry = entry(name, in: directory), schedule.isValid(entry.credentials, at: date) {
                    continue
                }
                if directory.unlink(name) { count += 1 }
            } else if !onlyExpired || name.hasPrefix(NewFile.temporaryPrefix) {
                directory.removeUnlocked(name)
            }
        }
        return count
    }

    /// The directory, opened without following a link, and found to be the user's own, as the one above it.
    ///
    /// - Parameter creates: Whether to make both, with mode 0700, when they are not there.
    /// - Returns: The directory; nothing when it is not there and is not to be made.
    /// - Throws: ``DeliveryError`` naming the directory and the rule.
    private func directory(creates: Bool) throws(DeliveryError) -> Directory? {
        guard path.hasPrefix("/") else {
            throw DeliveryError(.invalidArgument, "the cache directory \"\(printable(path))\" is not an absolute path")
        }
        let above = FilePath.parent(of: path)
        let base = FilePath.parent(of: above)
        do {
            if creates { try Directory.make(base) }
            var directory = try Directory(base, for: .output)
            for name in [FilePath.name(of: above), FilePath.name(of: path)] {
                guard let next = try directory.directory(name, for: .writing, creates: creates) else { return nil }
                if next.status?.mode != 0o700 { try next.setMode(of: ".", 0o700) }
                directory = next
            }
            return directory
        } catch {
            if error.isMissing, !creates { return nil }
            throw DeliveryError(
                .init(
                    error.code,
                    error.message,
                    hint: error.hint.map { "\($0); or set XDG_CACHE_HOME to a directory of your own" },
                    number: error.number
                ),
                "credentials are not kept:"
            )
        }
    }

    private func names(in directory: Directory) throws(DeliveryError) -> [String] {
        do { return try directory.names() } catch { throw DeliveryError(error) }
    }

    /// Removes what nobody can use any more: a certificate that is renewed every day would leave an entry a day.
    private func forgetExpired(in directory: Directory) {
        let date = now()
        for file in (try? directory.names()) ?? [] where file.hasSuffix(".lock") {
            let name = file.dropLast(".lock".count) + ".credentials"
            // Under its lock, so that nobody has just put new ones there.
            directory.removeUnlocked(file) {
                guard let entry = entry(String(name), in: directory), !schedule.isValid(entry.credentials, at: date)
                else {
                    return false
                }
                return directory.unlink(String(name))
            }
        }
    }

    /// An entry; nothing when it is not there, is not the user's own, or others may read it.
    private func entry(_ name: String, in directory: Directory) -> CacheEntry? {
        // One has two or three thousand bytes.
        (try? directory.read(name, .ownerOnly, limit: 1 << 18)).flatMap { CacheEntry($0.bytes.array) }
    }

    private func write(_ entry: CacheEntry, _ name: String, in directory: Directory) {
        // A link, through which nothing is written, would be in the way for ever.
        if directory.status(of: name)?.kind == .link { directory.unlink(name) }
        try? NewFile.write(name, in: directory, SecretBytes(entry.bytes), replacing: .always)
    }

    /// Credentials for a key that have not expired, and do not say that they last longer than any can.
    private func read(_ key: Key, in directory: Directory) -> Credentials? {
        guard let entry = entry("\(key.fileName).credentials", in: directory), entry.parts == key.parts,
            schedule.isValid(entry.credentials, at: now())
        else { return nil }
        return entry.credentials
    }

    private func fresh(_ key: Key, in directory: Directory) -> Credentials? {
        guard let credentials = read(key, in: directory) else { return nil }
        let date = now()
        // Credentials from the future are from a clock that was wrong; what it says of their end is not to be trusted.
        guard credentials.issued.timeIntervalSince(date) < 300 else { return nil }
        return schedule.isFresh(credentials, at: date) ? credentials : nil
    }
}
