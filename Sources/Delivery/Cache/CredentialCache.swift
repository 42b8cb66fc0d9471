// SPDX-License-Identifier: Apache-2.0

internal import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

/// Credentials on the disk, for programs that ask anew each time they start, as those do that use `credential_process`.
///
/// One process obtains credentials while all others that want the same wait for them, and the wait ends with its holder.
/// A file is used only when it is the user's own and nobody else's to read or write, in folders of which the same is true.
public struct CredentialCache: Sendable {
    /// What credentials are obtained with: for equal keys they are the same.
    public struct Key: Hashable, Sendable, ExpressibleByDictionaryLiteral {
        /// The parts by their names, in order. None holds a secret.
        public let parts: [Part]

        /// A part of a key.
        public struct Part: Hashable, Sendable {
            /// The name, one word.
            public let name: String
            /// The value.
            public let value: String
        }

        /// Makes a key.
        ///
        /// - Parameter elements: Names, of one word each, and values.
        public init(dictionaryLiteral elements: (String, String)...) {
            parts = elements.map { Part(name: $0.0, value: $0.1) }
        }

        /// SHA-256 over all parts with their lengths, in hexadecimal.
        var fileName: String {
            let text = parts.map { "\($0.name)=\($0.value.utf8.count):\($0.value)\n" }.joined()
            return hexadecimal(Digest.sha256.hash(Array(text.utf8)))
        }
    }

    /// How credentials came about.
    public enum Outcome: Sendable {
        /// They were there.
        case cached(Credentials)
        /// They were obtained, and will be there.
        case refreshed(Credentials)
        /// New ones could not be obtained; these are valid for a while yet.
        case stale(Credentials, any Error)

        /// The credentials.
        public var credentials: Credentials {
            switch self {
            case .cached(let credentials), .refreshed(let credentials), .stale(let credentials, _): credentials
            }
        }
    }

    /// Credentials that are in the cache.
    public struct Entry: Sendable {
        /// The file they are in.
        public var path: String
        /// What they were obtained with.
        public var parts: [Key.Part]
        /// The credentials.
        public var credentials: Credentials
        /// Whether they would be handed out.
        public var isFresh: Bool
    }

    /// The folder.
    public let path: String

    private let schedule: RefreshSchedule
    private let now: @Sendable () -> Date

    /// Names a cache. Its folder is made with the first credentials.
    ///
    /// - Parameters:
    ///   - path: The folder. It and the one above it have to be the user's own.
    ///   - schedule: How long credentials have to last to be handed out.
    ///   - now: The time.
    public init(path: String, schedule: RefreshSchedule = RefreshSchedule(), now: @escaping @Sendable () -> Date) {
        self.path = path
        self.schedule = schedule
        self.now = now
    }

    /// Where a user's cache is (XDG Base Directory Specification): below `XDG_CACHE_HOME`, else below `~/.cache`.
    ///
    /// - Parameters:
    ///   - environment: The variables.
    ///   - home: The user's home folder.
    /// - Returns: The folder's path.
    public static func standardPath(environment: [String: String], home: String) -> String {
        // The specification has relative paths ignored.
        let base = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "\(home)/.cache"
        return "\(base)/pki/credentials"
    }

    /// Hands out credentials that are there.
    ///
    /// - Parameter key: What they were obtained with.
    /// - Returns: The credentials; nothing when there are none that last long enough.
    /// - Throws: ``DeliveryError`` when the cache cannot be used.
    public func cached(for key: Key) throws(DeliveryError) -> Credentials? {
        guard let folder = try CacheFolder(path, creates: false) else { return nil }
        return fresh(key.fileName, in: folder)
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
    public func credentials(
        for key: Key,
        status: (any Error) -> Int32,
        obtain: () throws -> Credentials
    ) throws -> Outcome {
        let began = now()
        let name = key.fileName
        // Without a folder there is nothing in it.
        if let folder = try CacheFolder(path, creates: false), let found = fresh(name, in: folder) {
            return .cached(found)
        }
        guard let folder = try CacheFolder(path, creates: true) else {
            throw DeliveryError(.storage, "the folder \(path) vanished while it was made")
        }
        let lock = try folder.lock("\(name).lock")
        if let found = fresh(name, in: folder) { return .cached(found) }
        let older = read(name, in: folder).flatMap { $0.credentials.expiration > now() ? $0.credentials : nil }
        if let failure = SharedFailure(lock.text), failure.date >= began {
            guard let older else { throw failure }
            return .stale(older, failure)
        }
        do {
            let credentials = try obtain()
            // Credentials that could not be kept are credentials all the same.
            try? folder.write("\(name).credentials", CacheEntry(parts: key.parts, credentials: credentials).bytes)
            forgetExpired(in: folder)
            return .refreshed(credentials)
        } catch {
            lock.text = SharedFailure(error, status: status(error), at: now()).text
            guard let older, older.expiration > now() else { throw error }
            return .stale(older, error)
        }
    }

    /// What is in the cache, in the order of expiration.
    ///
    /// - Returns: The entries; files that are none are left out.
    /// - Throws: ``DeliveryError`` when the folder cannot be used.
    public func entries() throws(DeliveryError) -> [Entry] {
        guard let folder = try CacheFolder(path, creates: false) else { return [] }
        let date = now()
        return try folder.names().filter { $0.hasSuffix(".credentials") }.compactMap { name in
            guard let entry = folder.read(name).flatMap(CacheEntry.init) else { return nil }
            return Entry(
                path: "\(path)/\(name)",
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
    /// - Throws: ``DeliveryError`` when the folder cannot be used.
    public func clear(onlyExpired: Bool) throws(DeliveryError) -> Int {
        guard let folder = try CacheFolder(path, creates: false) else { return 0 }
        let date = now()
        var count = 0
        for name in try folder.names() {
            if name.hasSuffix(".credentials") {
                let entry = folder.read(name).flatMap(CacheEntry.init)
                if onlyExpired, let entry, entry.credentials.expiration > date { continue }
                if folder.remove(name) { count += 1 }
            } else if !onlyExpired || name.hasPrefix(CacheFolder.temporaryPrefix) {
                folder.removeUnlocked(name)
            }
        }
        return count
    }

    /// Removes what nobody can use any more: a certificate that is renewed every day would leave an entry a day.
    private func forgetExpired(in folder: CacheFolder) {
        let date = now()
        for file in (try? folder.names()) ?? [] where file.hasSuffix(".lock") {
            let name = String(file.dropLast(".lock".count))
            // Under its lock, so that nobody has just put new ones there.
            folder.removeUnlocked(file) {
                guard let entry = read(name, in: folder), entry.credentials.expiration <= date else { return false }
                return folder.remove("\(name).credentials")
            }
        }
    }

    private func read(_ name: String, in folder: CacheFolder) -> CacheEntry? {
        folder.read("\(name).credentials").flatMap(CacheEntry.init)
    }

    private func fresh(_ name: String, in folder: CacheFolder) -> Credentials? {
        guard let credentials = read(name, in: folder)?.credentials else { return nil }
        let date = now()
        // Credentials from the future are from a clock that was wrong; what it says of their end is not to be trusted.
        guard credentials.issued.timeIntervalSince(date) < 300 else { return nil }
        return schedule.isFresh(credentials, at: date) ? credentials : nil
    }
}
