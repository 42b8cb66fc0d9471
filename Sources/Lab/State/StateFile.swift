// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SQL
import SQLite
import Synchronization
import SystemSupport

/// The file in which the lab remembers what was set up and who was seen. Every SQL statement of the lab is here.
///
/// What was set up outlives a loss of power; who was seen outlives the end of the process at any time, and makes no session
/// wait for the disk.
package final class StateFile: Sendable {
    struct Contents {
        var account = Account()
        var subjects: [Subject] = []
        var sessions: [SessionRecord] = []
        var sessionKey: [UInt8]
    }

    private static let schemaVersion: Int64 = 1

    /// "pkiL": what `file` and SQLite's own tools show of the file.
    private static let applicationIdentifier: Int32 = 0x706b_694c

    private let path: String
    private let database: Mutex<Database>
    /// Keeps a second lab from the file, whose changes this one would not see.
    private let lock: LockFile

    /// Opens a file, or creates it private to its owner.
    package init(path: String) throws(LabError) {
        self.path = path
        do {
            try Self.checkFiles(path)
            let opened = try Database(path: path, applicationIdentifier: Self.applicationIdentifier)
            let directory = try Directory(FilePath.parent(of: path), for: .output)
            guard let lock = try directory.tryLock(FilePath.name(of: path)) else {
                throw LabError(
                    .stateUnavailable, "another lab uses the state file \(printable(path))",
                    hint: "stop it, or name another file with --state")
            }
            self.lock = lock
            try Self.migrate(opened, path)
            database = Mutex(opened)
        } catch let error as SQLError {
            throw Self.failure(path, error)
        } catch let error as LabError {
            throw error
        } catch {
            throw LabError(
                .stateUnavailable, "the state file \(path) cannot be opened: \(error)",
                hint: (error as? any ExplainedError)?.hint)
        }
    }

    /// The largest file that is opened.
    private static let sizeLimit = 1 << 30

    /// Refuses links, pipes, devices, files of other users and files that others can write to, which SQLite would follow,
    /// wait for or read; the journals beside the file included.
    private static func checkFiles(_ path: String) throws {
        let directory = try Directory(FilePath.parent(of: path), for: .output)
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let name = FilePath.name(of: path) + suffix
            guard let status = directory.status(of: name) else { continue }
            try directory.checkReplaceable(name)
            let shown = printable(path + suffix)
            guard status.isOwnedAndUnshared else {
                throw LabError(
                    .stateUnavailable,
                    "others can change the state file \(shown): its owner is user \(status.owner), its mode "
                        + status.modeText, hint: "name another file with --state")
            }
            guard status.size <= sizeLimit else {
                throw LabError(.stateUnavailable, "the state file \(shown) is larger than \(sizeLimit >> 30) GiB")
            }
        }
    }

    private static func migrate(_ database: Database, _ path: String) throws {
        let version = try database.schemaVersion()
        guard version <= schemaVersion else {
            throw LabError(
                .stateUnavailable,
                "the state file \(path) was written by a newer pki (schema \(version), this one knows \(schemaVersion))",
                hint: "use that pki, or name another file with --state")
        }
        guard version < schemaVersion else { return }
        try database.transaction {
            // Another process may have been first.
            guard try database.schemaVersion() < schemaVersion else { return }
            try database.execute("CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL)")
            try database.execute(
                "CREATE TABLE resource (kind TEXT, identifier TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, identifier))"
            )
            try database.execute("CREATE TABLE session (number INTEGER PRIMARY KEY, body BLOB NOT NULL)")
            try database.setSchemaVersion(schemaVersion)
        }
    }

    /// Reads everything, and makes the settings of a new file.
    func load(_ environment: LabEnvironment) throws(LabError) -> Contents {
        try explained {
            try database.withLock { database in
                try database.transaction {
                    try claim(database, environment)
                    return try contents(database, environment)
                }
            }
        }
    }

    /// Stores what was touched in an account.
    func keep(_ account: Account) throws(LabError) {
        try explained {
            try database.withLock { database in
                try database.transaction {
                    try keep(account.trustAnchors, "trust-anchor", database)
                    try keep(account.profiles, "profile", database)
                    try keep(account.revocationLists, "crl", database)
                    try keep(account.roles, "role", database)
                    try keep(account.planted, "planted", database)
                }
            }
        }
    }

    /// Stores a subject, and the session that it got.
    func keep(_ subject: Subject, _ session: SessionRecord? = nil) throws(LabError) {
        try explained {
            try database.withLock { database in
                try database.transaction(.process) {
                    try Self.put("subject", subject.identifier, subject, database)
                    guard let session else { return }
                    let body = try JSONEncoder().encode(session)
                    try database.execute("INSERT INTO session (body) VALUES (?)", .blob(Array(body)))
                    try database.execute(
                        "DELETE FROM session WHERE number <= (SELECT MAX(number) FROM session) - ?",
                        .integer(Int64(Activity.sessionLimit)))
                }
            }
        }
    }

    private func explained<Result>(_ body: () throws -> Result) throws(LabError) -> Result {
        do {
            return try body()
        } catch let error as LabError {
            throw error
        } catch let error as SQLError {
            throw Self.failure(path, error)
        } catch {
            throw LabError(
                .stateUnavailable, "\(path) holds something that this pki cannot read: \(error)",
                hint: "name another file with --state")
        }
    }

    private func keep<Resource>(_ table: Table<Resource>, _ kind: String, _ database: Database) throws {
        for identifier in table.touched {
            if let resource = table[identifier] {
                try Self.put(kind, identifier, resource, database)
            } else {
                try database.execute(
                    "DELETE FROM resource WHERE kind = ? AND identifier = ?", .text(kind), .text(identifier))
            }
        }
    }

    private static func put(_ kind: String, _ identifier: String, _ body: some Encodable, _ database: Database) throws {
        try database.execute(
            """
            INSERT INTO resource (kind, identifier, body) VALUES (?, ?, ?)
            ON CONFLICT (kind, identifier) DO UPDATE SET body = excluded.body
            """,
            .text(kind),
            .text(identifier),
            .blob(Array(try JSONEncoder().encode(body)))
        )
    }

    /// Binds a new file to this account and region, and refuses one of another.
    private func claim(_ database: Database, _ environment: LabEnvironment) throws {
        for (name, value) in [("region", environment.region), ("account", environment.account)] {
            let kept = try setting(name, database).map { String(decoding: $0, as: UTF8.self) }
            guard let kept else {
                try database.execute("INSERT INTO setting VALUES (?, ?)", .text(name), .blob(Array(value.utf8)))
                continue
            }
            guard kept == value else {
                throw LabError(
                    .stateUnavailable, "\(path) is the state of the \(name) \(kept), not of \(value)",
                    hint:
                        "start the lab with \(Quoting.command(["--\(name)", kept])), or name another file with --state")
            }
        }
        if try setting("session-key", database) == nil {
            try database.execute("INSERT INTO setting VALUES ('session-key', ?)", .blob(environment.randomBytes(32)))
        }
    }

    private func setting(_ name: String, _ database: Database) throws -> [UInt8]? {
        try database.query("SELECT value FROM setting WHERE name = ?", .text(name)).first?.first?.blob
    }

    private func contents(_ database: Database, _ environment: LabEnvironment) throws -> Contents {
        var contents = Contents(sessionKey: try setting("session-key", database) ?? environment.randomBytes(32))
        for row in try database.query("SELECT kind, identifier, body FROM resource") {
            guard let kind = row[0].text, let identifier = row[1].text, let body = row[2].blob.map({ Data($0) })
            else { continue }
            let decoder = JSONDecoder()
            switch kind {
            case "trust-anchor": contents.account.trustAnchors[identifier] = try decoder.decode(from: body)
            case "profile": contents.account.profiles[identifier] = try decoder.decode(from: body)
            case "crl": contents.account.revocationLists[identifier] = try decoder.decode(from: body)
            case "role": contents.account.roles[identifier] = try decoder.decode(from: body)
            case "planted": contents.account.planted[identifier] = try decoder.decode(from: body)
            case "subject": contents.subjects.append(try decoder.decode(from: body))
            default: continue
            }
        }
        contents.account.settle()
        for row in try database.query("SELECT body FROM session ORDER BY number") {
            guard let body = row[0].blob else { continue }
            contents.sessions.append(try JSONDecoder().decode(from: Data(body)))
        }
        return contents
    }

    private static func failure(_ path: String, _ error: SQLError) -> LabError {
        LabError(
            .stateUnavailable, "the state file \(path) cannot be used: \(error.message)",
            hint: error.isBusy ? "another pki lab may be using it: end that one, or name another file" : nil)
    }
}

extension JSONDecoder {
    fileprivate func decode<Value: Decodable>(from data: Data) throws -> Value { try decode(Value.self, from: data) }
}
