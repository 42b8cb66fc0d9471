// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
import PostgreSQL
import SQL
import SystemSupport

/// What servers on one inventory share besides its rows.
extension Inventory {
    /// Leaves a directory's inventory to a server, which has all of it now: the directory is marked, and the server knows the key
    /// of tokens.
    func goesOn(at address: String) throws {
        let server = try explained("on PostgreSQL", isServer: true) { try Server(address, isReading: false) }
        if let key = try tokenKey() {
            try explained(server.name, isServer: true) {
                let records = InventoryDatabase(server)
                try server.transaction { try records.record(tokenKey: key) }
                try records.check(tokenKey: key, at: directory.path(of: Self.tokenKeyFile))
            }
        }
        guard !directory.contains(Self.elsewhereFile) else { return }
        try rethrown { () throws(FileError) in try markElsewhere(at: server.name) }
    }

    /// Refuses a server's inventory without any CA: the directory's own was not copied.
    func checkHasAuthority() throws {
        guard !isInDirectory,
            try reading({ try $0.database.query("SELECT 1 FROM certificates WHERE is_ca = 1 LIMIT 1").isEmpty })
        else { return }
        throw AuthorityError(
            .missing, "the inventory \(place) has no CA",
            hint: "copy the CA's inventory first: pki inventory copy --from \(Quoting.shell(directory.path)) --to URL")
    }

    /// Takes a CA of the directory into an inventory on a server that does not have it yet.
    func take(_ authority: Certificate, named name: String, now: Date) throws {
        guard !isInDirectory, try reading({ try $0.authority(withKey: authority.publicKey.digest) }) == nil else {
            return
        }
        // Of another CA's inventory nothing is known here.
        let root = try? CertificateAuthority.certificate(of: CertificateAuthority.rootName, in: directory)
        guard let root, try reading({ try $0.authority(withKey: root.publicKey.digest) }) != nil else {
            throw AuthorityError(
                .missing,
                "the inventory \(place) does not have the CA \(printable(name)) of \(printable(directory.path))",
                hint: "name this CA's inventory, or copy it: pki inventory copy --from "
                    + "\(Quoting.shell(directory.path)) --to URL")
        }
        try change(now: now) { change in
            _ = try ImportWriter.adopt(directory, into: change.records, by: who, now: now)
        }
    }

    /// The key of the nonces that all servers take; `nil` if the inventory is in the directory, which has one server. Another one is
    /// made from these octets if the database has lost it.
    package func nonceKey(orMaking key: [UInt8]) throws -> [UInt8]? {
        guard !isInDirectory else { return nil }
        return try reading { database in
            let select = "SELECT key FROM acme_nonce_key"
            if let known = try database.database.query(select).first?.first?.blob { return known }
            try database.database.execute(
                "INSERT INTO acme_nonce_key (id, key) VALUES (1, ?) ON CONFLICT (id) DO NOTHING", .blob(key))
            return try database.database.query(select).first?.first?.blob
        }
    }

    /// Whether a nonce that was made with a key was not redeemed yet; it is then. `false` also if there is another key now.
    package func redeem(nonce: [UInt8], madeWith key: [UInt8], now: Date) throws -> Bool {
        try reading { database in
            try !database.database.query(
                """
                INSERT INTO acme_nonces (nonce, at) SELECT ?, ? FROM acme_nonce_key WHERE key = ? \
                ON CONFLICT (nonce) DO NOTHING RETURNING at
                """, .blob(nonce), .time(now), .blob(key)
            ).isEmpty
        }
    }

    /// Forgets nonces that were redeemed before a time.
    package func forgetNonces(before date: Date) throws {
        try reading { try $0.database.execute("DELETE FROM acme_nonces WHERE at < ?", .time(date)) }
    }
}

extension InventoryDatabase {
    private static let tokenKeySetting = "token-key"

    /// Refuses a key of tokens that is not the one with which the tokens of this server were made.
    func check(tokenKey: [UInt8]?, at path: String) throws {
        let known = try database.query(
            "SELECT value FROM inventory_settings WHERE name = ?", .text(Self.tokenKeySetting)
        ).first?.first?.blob
        let isWrong =
            if let known {
                known != tokenKey.map(Self.digest)
            } else {
                try tokenKey == nil && !database.query("SELECT 1 FROM tokens LIMIT 1").isEmpty
            }
        guard isWrong else { return }
        throw AuthorityError(
            tokenKey == nil ? .missing : .broken,
            tokenKey == nil
                ? "\(path) does not exist, but the inventory has tokens"
                : "\(path) is not the key of the tokens in the inventory",
            hint: "copy the file from the directory in which tokens were made before")
    }

    /// Records the key of tokens, if none is yet.
    func record(tokenKey: [UInt8]) throws {
        try database.execute(
            "INSERT INTO inventory_settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
            .text(Self.tokenKeySetting), .blob(Self.digest(tokenKey)))
    }

    private static func digest(_ key: [UInt8]) -> [UInt8] {
        Digest.sha256.hash(Array("pki token key\n".utf8) + key)
    }
}
