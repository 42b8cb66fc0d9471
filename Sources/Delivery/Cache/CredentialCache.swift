// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import SystemSupport

/// Credentials on the disk, for programs that ask each time they start, such as users of `credential_process`.
///
/// One process obtains credentials while others that need the same wait for it. Files and directories are used only if
/// they belong to the user and no other user can read or write them.
package struct CredentialCache: Sendable {
    /// Everything that the credentials depend on.
    package struct Key: Hashable, Sendable, ExpressibleByDictionaryLiteral {
        /// In order. None holds a secret; names are single words.
        package let parts: [Part]

        package struct Part: Hashable, Sendable {
            package let name: String
            package let value: String
        }

        package init(dictionaryLiteral elements: (String, String)...) {
            parts = elements.map { Part(name: $0.0, value: $0.1) }
        }

        /// SHA-256 over all parts with their lengths, in hexadecimal.
        var fileName: String {
            let text = parts.map { "\($0.name)=\($0.value.utf8.count):\($0.value)\n" }.joined()
            return hexadecimal(contentDigest(Array(text.utf8)))
        }
    }

    package enum Outcome: Sendable {
        case cached(Credentials)
        case refreshed(Credentials)
        /// New ones could not be obtained; these are still valid.
        case stale(Credentials, any Error)

        package var credentials: Credentials {
            switch self {
            case .cached(let credentials), .refreshed(let credentials), .stale(let credentials, _): credentials
            }
        }
    }

    package struct Entry: Sendable {
        package var path: String
        package var parts: [Key.Part]
        package var credentials: Credentials
        /// Whether they last long enough to be used.
        package var isFresh: Bool
    }

    /// The directory. It and the one above it have to be the user's own; they are made with the first credentials.
    package let path: String

    private let schedule: RefreshSchedule
    private let now: @Sendable () -> Date

    package init(path: String, schedule: RefreshSchedule = RefreshSchedule(), now: @escaping @Sendable () -> Date) {
        self.path = path
        self.schedule = schedule
        self.now = now
    }

    /// Where a user's cache is (XDG Base Directory Specification): below `XDG_CACHE_HOME`, else below `~/.cache`.
    package static func standardPath(environment: [String: String], home: String) -> String {
        // The specification says to ignore relative paths.
        let base = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "\(home)/.cache"
        return "\(base)/pki/credentials"
    }

    /// Cached credentials; `nil` if none last long enough.
    package func cached(for key: Key) throws(DeliveryError) -> Credentials? {
        guard let directory = try directory(creates: false) else { return nil }
        return fresh(key, in: directory)
    }

    /// Cached credentials, or new ones when none last long enough.
    ///
    /// - Parameters:
    ///   - status: The exit status of an error, for processes that wait and share the failure.
    ///   - obtain: Called by one process at a time for a key.
    /// - Throws: What the closure throws, ``SharedFailure`` when that was another process's, or ``DeliveryError`` when the
    ///   cache cannot be used; then the closure was not called.
    package func credentials(
        for key: Key, status: (any Error) -> Int32, obtain: () throws -> Credentials
    ) throws -> Outcome {
        let began = now()
        let name = key.fileName
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
            // Credentials that could not be stored are still returned.
            write(CacheEntry(parts: key.parts, credentials: credentials), "\(name).credentials", in: directory)
            forgetExpired(in: directory)
            return .refreshed(credentials)
        } catch {
            lock.note = SharedFailure(error, status: status(error), at: now()).text
            guard let older, schedule.isValid(older, at: now()) else { throw error }
            return .stale(older, error)
        }
    }

    /// The entries in the order of expiration; other files are skipped.
    package func entries() throws(DeliveryError) -> [Entry] {
        guard let directory = try directory(creates: false) else { return [] }
        let date = now()
        return try names(in: directory).compactMap { name in
            guard name.hasSuffix(".credentials"), let entry = entry(name, in: directory) else { return nil }
            return Entry(
                path: directory.path(of: name), parts: entry.parts, credentials: entry.credentials,
                isFresh: schedule.isFresh(entry.credentials, at: date))
        }.sorted { $0.credentials.expiration < $1.credentials.expiration }
    }

    /// Removes entries, and returns how many. Copies of valid credentials can still be used.
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

    /// The directory, opened without following links, and checked to be the user's own like the one above it; `nil` if it is
    /// missing and not created.
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

    /// Removes expired entries: a certificate that is renewed every day would leave an entry a day.
    private func forgetExpired(in directory: Directory) {
        let date = now()
        for file in (try? directory.names()) ?? [] where file.hasSuffix(".lock") {
            let name = file.dropLast(".lock".count) + ".credentials"
            // Under its lock, so that no process is writing new ones.
            directory.removeUnlocked(file) {
                guard let entry = entry(String(name), in: directory), !schedule.isValid(entry.credentials, at: date)
                else {
                    return false
                }
                return directory.unlink(String(name))
            }
        }
    }

    /// An entry; `nil` if it is missing, not the user's own, or readable by others.
    private func entry(_ name: String, in directory: Directory) -> CacheEntry? {
        // Entries have two or three thousand bytes.
        (try? directory.read(name, .ownerOnly, limit: 1 << 18)).flatMap { CacheEntry($0.bytes.array) }
    }

    private func write(_ entry: CacheEntry, _ name: String, in directory: Directory) {
        // Nothing is written through a link, so it would stay forever.
        if directory.status(of: name)?.kind == .link { directory.unlink(name) }
        try? NewFile.write(name, in: directory, SecretBytes(entry.bytes), replacing: .always)
    }

    /// Credentials for a key that have not expired, and do not claim to last longer than possible.
    private func read(_ key: Key, in directory: Directory) -> Credentials? {
        guard let entry = entry("\(key.fileName).credentials", in: directory), entry.parts == key.parts,
            schedule.isValid(entry.credentials, at: now())
        else { return nil }
        return entry.credentials
    }

    private func fresh(_ key: Key, in directory: Directory) -> Credentials? {
        guard let credentials = read(key, in: directory) else { return nil }
        let date = now()
        // Issued in the future means a wrong clock, whose expiration is not trusted either.
        guard credentials.issued.timeIntervalSince(date) < 300 else { return nil }
        return schedule.isFresh(credentials, at: date) ? credentials : nil
    }
}

/// A file of the cache: a line `name value` for each value, between a heading and a last line `end`, without which the file is
/// incomplete. Values are percent-encoded, so that none ends its line or is taken for another.
struct CacheEntry {
    var parts: [CredentialCache.Key.Part]
    var credentials: Credentials

    /// Version 1, whose sessions were not compared with the request, is not read.
    private static let heading = "pki-credentials 2"
    private static let keyPrefix = "for."

    init(parts: [CredentialCache.Key.Part], credentials: Credentials) {
        self.parts = parts
        self.credentials = credentials
    }

    /// Reads a file; `nil` if it is not a complete entry.
    init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).map(Substring.init)[...]
        guard lines.popFirst() == Self.heading[...], lines.popLast() == "", lines.popLast() == "end" else { return nil }
        var values: [Substring: String] = [:]
        parts = []
        for line in lines {
            let pair = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, let value = PercentEncoding.decode(pair[1]) else { return nil }
            if pair[0].hasPrefix(Self.keyPrefix) {
                parts.append(.init(name: String(pair[0].dropFirst(Self.keyPrefix.count)), value: value))
            } else {
                values[pair[0]] = value
            }
        }
        guard let accessKeyID = values["access-key-id"], let secretAccessKey = values["secret-access-key"],
            let sessionToken = values["session-token"], let accountID = values["account-id"],
            let roleARN = values["role-arn"], let issued = values["issued"].flatMap(CivilTime.date(fromISO8601:)),
            let expiration = values["expiration"].flatMap(CivilTime.date(fromISO8601:))
        else { return nil }
        credentials = Credentials(
            accessKeyID: accessKeyID, secretAccessKey: secretAccessKey, sessionToken: sessionToken, issued: issued,
            expiration: expiration, accountID: accountID, roleARN: roleARN, assumedRoleARN: values["assumed-role-arn"],
            subjectARN: values["subject-arn"], sourceIdentity: values["source-identity"])
    }

    var bytes: [UInt8] {
        let values: [(String, String?)] =
            parts.map { (Self.keyPrefix + $0.name, $0.value) } + [
                ("role-arn", credentials.roleARN), ("account-id", credentials.accountID),
                ("assumed-role-arn", credentials.assumedRoleARN), ("subject-arn", credentials.subjectARN),
                ("source-identity", credentials.sourceIdentity),
                ("access-key-id", credentials.accessKeyID), ("secret-access-key", credentials.secretAccessKey),
                ("session-token", credentials.sessionToken),
            ]
        let lines =
            values.compactMap { name, value in value.map { "\(name) \(PercentEncoding.encode($0))" } } + [
                "issued \(CivilTime(credentials.issued).extended)",
                "expiration \(CivilTime(credentials.expiration).extended)",
            ]
        return Array(([Self.heading] + lines + ["end", ""]).joined(separator: "\n").utf8)
    }
}

/// The failure of another process to obtain the same credentials, for which this one waited; the request is not repeated.
package struct SharedFailure: ExplainedError, Equatable {
    package let message: String
    package let hint: String?
    /// The exit status.
    package let status: Int32
    let date: Date

    init(_ error: any Error, status: Int32, at date: Date) {
        let explained = error as? any ExplainedError
        message = explained?.message ?? "\(error)"
        hint = explained?.hint
        self.status = status
        self.date = date
    }

    /// Reads ``text``.
    init?(_ text: String) {
        let lines = text.utf8.split(separator: 0x0a, omittingEmptySubsequences: false).map(Substring.init)
        guard lines.count == 5, lines[4].isEmpty, let microseconds = Int(lines[0]), let status = Int32(lines[1]) else {
            return nil
        }
        date = Date(timeIntervalSince1970: Double(microseconds) / 1_000_000)
        self.status = status
        message = String(lines[2])
        hint = lines[3].isEmpty ? nil : String(lines[3])
    }

    /// The time in microseconds since 1970, the status, the message and the hint, a line each.
    var text: String {
        let time = Int((date.timeIntervalSince1970 * 1_000_000).rounded(.up))
        return [
            String(time), String(status), printable(message, limit: 4096), printable(hint ?? "", limit: 4096), "",
        ]
        .joined(separator: "\n")
    }
}
