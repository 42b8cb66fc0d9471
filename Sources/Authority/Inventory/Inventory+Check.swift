// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import SQLite
import SystemSupport

extension Inventory {
    /// Compares the directory with the inventory. Nothing is changed.
    ///
    /// - Parameter now: The current time.
    /// - Returns: What was found; nothing when all is as it should be.
    /// - Throws: ``AuthorityError`` when the inventory cannot be read at all.
    public func check(now: Date) throws -> [CADirectoryFinding] {
        try withDatabase { try CADirectoryCheck(directory: directory, records: $0, now: now).findings() }
    }

    /// Mends what can be mended without asking: permissions, certificates and chains that are gone or are not the right ones.
    /// What is in the way goes to the archive; a key that is gone stays gone.
    ///
    /// - Parameters:
    ///   - directory: The CA directory.
    ///   - who: Who is at work, for the audit.
    ///   - now: The current time.
    /// - Returns: What was done, each a sentence without a full stop.
    /// - Throws: ``AuthorityError``.
    public static func repair(in directory: String, by who: String, now: Date) throws -> [String] {
        let directory = try open(directory, for: .repairing)
        // First: nothing is used that others could still change.
        let narrowed = try CADirectoryCheck.openFiles(in: directory).map { name, mode in
            try directory.setMode(of: name, mode)
            return "\(name == "." ? directory.path : directory.path(of: name)) has mode \(String(mode, radix: 8)) now"
        }
        return try narrowed + Inventory(directory: directory, by: who, now: now, repairs: true).repair(now: now)
    }

    private func repair(now: Date) throws -> [String] {
        try change(now: now) { change in
            var done: [String] = []
            let check = CADirectoryCheck(directory: directory, records: change.records, now: now)
            for (name, text) in try InventorySchema.missingTriggers(in: change.records.database) {
                try change.records.database.execute(text)
                try change.audit(.restore, detail: "trigger \(name)")
                done.append("the trigger \(name) is there again")
            }
            var wrong: [InventoryEntry] = []
            try change.records.visit(where: "place < 2 ORDER BY id") { entry in
                // What is no file is not replaced; the check says so.
                if let kind = directory.status(of: entry.certificateFile)?.kind, kind != .regular { return }
                switch try check.state(ofFileOf: entry) {
                case .right, .unknown: break
                case .missing, .wrong: wrong.append(entry)
                }
            }
            for entry in wrong {
                let certificate = try change.records.certificate(of: entry)
                let archived = try change.archive(entry.certificateFile)
                change.replace(
                    with: .init(
                        name: entry.certificateFile,
                        contents: SecretBytes(certificate.pemEncoded.utf8),
                        mode: 0o644
                    )
                )
                try change.audit(.restore, entry.name, entry.serialNumber, detail: entry.certificateFile)
                done.append(
                    "\(directory.path(of: entry.certificateFile)) is the certificate \(entry.serialNumber) again"
                        + (archived.map { "; what was there is \(directory.path(of: $0))" } ?? "")
                )
            }
            let chained = try change.records.entries(where: "place = 0 AND chain_path IS NOT NULL")
            let broken = chained.filter { !directory.contains($0.chainFile ?? "") }
            if !broken.isEmpty {
                var files = ChainFiles()
                try files.refresh(below: Array(Set(broken.map(\.issuerKey))), in: &change)
                done += broken.map { "\(directory.path(of: $0.chainFile ?? "")) is there again" }
            }
            return done
        }
    }
}
