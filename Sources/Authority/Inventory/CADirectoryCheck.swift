// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
import SQLite
import SystemSupport

/// A problem in a CA directory, or one that is to come soon.
package struct CADirectoryFinding: Hashable, Sendable {
    package enum Severity: String, Sendable {
        /// Worth knowing.
        case notice
        /// It still works.
        case warning
        /// Something is lost, open to others or does not fit.
        case failure
    }

    /// The check's name, for programs: `certificate-file`.
    package let check: String
    package let severity: Severity
    /// What was found, naming the file; lower case, without a full stop.
    package let message: String
    package let hint: String?
    /// Whether ``Inventory/repair(in:by:now:)`` fixes it.
    package let isRepairable: Bool
}

extension Inventory {
    /// Compares the directory with the inventory. Nothing is changed.
    package func check(now: Date) throws -> [CADirectoryFinding] {
        try withDatabase { records in
            var check = CADirectoryCheck(directory: directory, records: records, now: now)
            try check.run()
            return check.findings
        }
    }

    /// Fixes what can be fixed without asking: permissions, certificates and chains that are missing or wrong. Returns
    /// what was done, each a sentence without a full stop. What is in the way goes to the archive; a missing key stays
    /// missing.
    package static func repair(in directory: String, by who: String, now: Date) throws -> [String] {
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
                change.replace(with: .certificates([certificate], entry.certificateFile))
                try change.audit(.restore, entry.name, entry.serialNumber, detail: entry.certificateFile)
                done.append(
                    "\(directory.path(of: entry.certificateFile)) is the certificate \(entry.serialNumber) again"
                        + (archived.map { "; what was there is \(directory.path(of: $0))" } ?? "")
                )
            }
            let chained = try change.records.entries(where: "place = 0 AND chain_path IS NOT NULL")
            let broken = chained.filter { !directory.contains($0.chainFile ?? "") }
            if !broken.isEmpty {
                try change.refreshChains(below: Array(Set(broken.map(\.issuerKey))))
                done += broken.map { "\(directory.path(of: $0.chainFile ?? "")) is there again" }
            }
            return done
        }
    }
}

/// Compares the directory with what the inventory says of it.
struct CADirectoryCheck {
    let directory: CADirectory
    let records: InventoryDatabase
    let now: Date
    private(set) var findings: [CADirectoryFinding] = []

    init(directory: CADirectory, records: InventoryDatabase, now: Date) {
        (self.directory, self.records, self.now) = (directory, records, now)
    }

    mutating func run() throws {
        for damage in try records.damages() {
            report(
                "inventory", .failure, "the inventory \(directory.path(of: Inventory.fileName)) is damaged: \(damage)",
                "pki import reads the directory's files into a new one and keeps the old one in the archive")
        }
        let unfinished = try unfinishedFiles()
        if let name = unfinished.first {
            let text = "a command was ended before it could write \(directory.path(of: name))"
            report("inventory", .warning, text, "the next command that writes finishes it: pki doctor --repair", true)
        }
        for found in try records.verifyAudit().breaks {
            switch found {
            case .noChain: report("audit", .notice, "\(found)")
            case .missingTrigger: report("audit", .failure, "\(found)", "pki doctor --repair", true)
            case .row, .missingHead:
                report("audit", .failure, "\(found)", "compare it with a copy: pki audit --format json")
            }
        }
        checkPermissions()
        try checkCertificates(except: Set(unfinished))
        try checkStrangers()
        try checkLists()
    }

    private mutating func report(
        _ check: String, _ severity: CADirectoryFinding.Severity, _ message: String, _ hint: String? = nil,
        _ isRepairable: Bool = false
    ) {
        findings.append(
            .init(check: check, severity: severity, message: message, hint: hint, isRepairable: isRepairable))
    }

    /// The files that a process which was killed has recorded and not written yet.
    private func unfinishedFiles() throws -> [String] {
        try records.moves().compactMap { move in
            if case .place(let draft, _) = move.kind { return directory.contains(draft) ? move.name : nil }
            return nil
        }
    }

    // MARK: - Permissions

    /// The files and directories whose permissions give others too much, with what they should be.
    static func openFiles(in directory: CADirectory) -> [(name: String, mode: UInt32)] {
        var open: [(String, UInt32)] = []
        for name in [".", CADirectory.archiveDirectory, CADirectory.draftDirectory] {
            // Others may see the directory itself, but must not be able to change what is in it.
            let forbidden: UInt32 = name == "." ? 0o022 : 0o077
            if let mode = mode(of: name, in: directory), mode & forbidden != 0 { open.append((name, 0o700)) }
        }
        let archived = directory.names(in: CADirectory.archiveDirectory).map { "\(CADirectory.archiveDirectory)/\($0)" }
        for name in directory.names() + archived where Self.isPrivate(name) {
            if let mode = mode(of: name, in: directory), mode & 0o077 != 0 { open.append((name, 0o600)) }
        }
        return open.sorted { $0.0 < $1.0 }
    }

    /// The permissions of a file or a directory; `nil` for anything else.
    private static func mode(of name: String, in directory: CADirectory) -> UInt32? {
        guard let status = directory.status(of: name), status.kind == .regular || status.kind == .directory else {
            return nil
        }
        return status.mode & 0o777
    }

    private static func isPrivate(_ name: String) -> Bool {
        let file = name.split(separator: "/").last ?? ""
        return file.contains("-key") && (file.hasSuffix(".pem") || file.hasSuffix(".uri"))
            || file.hasPrefix(Inventory.fileName) || file.hasSuffix(".p12")
    }

    private mutating func checkPermissions() {
        // The first thing that belongs to another user; commands that write refuse it.
        let user = FileStatus.ownUser
        let beside = ["", "-wal", "-shm"].map { Inventory.fileName + $0 }
        let directories = [".", CADirectory.archiveDirectory, CADirectory.draftDirectory]
        for name in directories + beside + directory.names().filter(Self.isPrivate) {
            guard let owner = directory.status(of: name)?.owner, owner != user else { continue }
            report(
                "permissions", .failure,
                "\(name == "." ? directory.path : directory.path(of: name)) belongs to user \(owner), and this is user "
                    + "\(user): no command that writes uses it",
                "run the commands as user \(owner), or make all of it yours: chown -R \(user) "
                    + Quoting.shell(directory.path))
            break
        }
        for (name, mode) in Self.openFiles(in: directory) {
            let path = name == "." ? "the directory \(directory.path)" : directory.path(of: name)
            let found = String(Self.mode(of: name, in: directory) ?? 0, radix: 8)
            let consequence = name.contains("-key") ? "; the key may have been read: consider replacing it" : ""
            report(
                "permissions", .failure, "\(path) has mode \(found), and others than its owner can use it",
                "pki doctor --repair sets mode \(String(mode, radix: 8))\(consequence)", true)
        }
    }

    // MARK: - Certificates

    private mutating func checkCertificates(except unfinished: Set<String>) throws {
        var ending = 0
        var orphans: [String] = []
        let authorities = try records.entries(where: "is_ca = 1 AND place = 0").map(\.subjectKey)
        let issuers = Set(authorities.filter { (try? records.refuseRevokedAuthority(withKey: $0)) != nil })
        try records.visit(where: "place < 2 ORDER BY id") { entry in
            let files = [entry.certificateFile, entry.keyFile, entry.chainFile].compactMap(\.self)
            if unfinished.isDisjoint(with: files) { try check(entry) }
            guard entry.place == .current, entry.revocation == nil, !entry.isCA else { return }
            if (0..<30).contains(entry.daysLeft(at: now)) { ending += 1 }
            if now <= entry.notAfter, !issuers.contains(entry.issuerKey) { orphans.append(entry.name) }
        }
        if let first = orphans.first {
            let names = orphans.count == 1 ? first : "\(first) and \(orphans.count - 1) more"
            report(
                "issuer", .warning,
                "the CA that issued \(names) is revoked, or not here any more: no CA of today vouches for that",
                "have it issued by a CA of today: pki renew \(first) --issuer NAME")
        }
        if ending > 0 {
            report(
                "expiry", .warning, "\(ending) certificate\(ending == 1 ? "" : "s") will end within 30 days",
                "see which: pki list --expiring 30d; renew them: pki renew --all --if-expires-within 30d")
        }
    }

    /// What the file of a certificate turns out to be.
    enum FileState {
        /// The certificate.
        case right(Certificate)
        /// It cannot be read.
        case missing
        /// Another certificate, under the name of a current one, that the inventory does not have: somebody may have put it
        /// there on purpose.
        case unknown(Certificate)
        /// Anything else.
        case wrong
    }

    /// Compares the file of a certificate with the inventory.
    func state(ofFileOf entry: InventoryEntry) throws -> FileState {
        let found: Certificate
        do {
            found = try directory.certificates(in: entry.certificateFile)[0]
        } catch let error as AuthorityError where error.code != .broken {
            return .missing
        } catch {
            return .wrong
        }
        let fingerprint = Digest.sha256.hash(found.derEncoded)
        if fingerprint == entry.fingerprintBytes { return .right(found) }
        return try entry.place == .current && !records.contains(fingerprint: fingerprint) ? .unknown(found) : .wrong
    }

    private mutating func check(_ entry: InventoryEntry) throws {
        let path = directory.path(of: entry.certificateFile)
        if let kind = directory.status(of: entry.certificateFile)?.kind, kind != .regular {
            // It is neither archived nor replaced.
            let hint = "take it away: rm \(Quoting.shell(path)); then: pki doctor --repair"
            return report("certificate-file", .failure, "\(path) is \(kind.noun), where a file is wanted", hint)
        }
        let isFormer = entry.place == .replaced
        switch try state(ofFileOf: entry) {
        case .right(let certificate):
            if isFormer { return }
            checkKey(of: entry, certificate)
        case .missing:
            return report(
                "certificate-file", isFormer ? .notice : .failure,
                "\(path), the certificate \(entry.name) of serial number \(entry.serialNumber), is gone",
                "pki doctor --repair restores it from the inventory", true)
        case .unknown(let other):
            return report(
                "certificate-file", .failure,
                "\(path) is another certificate than the inventory says, of serial number \(other.serialNumber)",
                "pki import \(directory.path) takes it into the inventory")
        case .wrong:
            return report(
                "certificate-file", .failure,
                "\(path) is not the certificate of serial number \(entry.serialNumber) that the inventory says it is",
                "pki doctor --repair moves it to the archive and writes the right one", true)
        }
        if let chainFile = entry.chainFile, !directory.contains(chainFile) {
            let text = "AWS needs it to find the way from \(entry.name) to the root"
            report(
                "chain-file", .failure, "\(directory.path(of: chainFile)) is gone, and \(text)",
                "pki doctor --repair restores it", true)
        }
        let days = entry.daysLeft(at: now)
        guard entry.isCA, entry.revocation == nil, days < 90 else { return }
        let isOver = now > entry.notAfter
        let end = timestamp(entry.notAfter)
        report(
            "expiry", isOver ? .failure : .warning,
            isOver
                ? "the CA \(entry.name) ended at \(end)"
                : "the CA \(entry.name) ends in \(days) days, at \(end), and with it all that it issues",
            entry.isSelfSigned ? "begin its replacement: pki rotate-ca" : "pki renew \(entry.name)")
    }

    private mutating func checkKey(of entry: InventoryEntry, _ certificate: Certificate) {
        guard let keyFile = entry.keyFile, !AuthorityFiles.isAddress(keyFile) else { return }
        let path = directory.path(of: keyFile)
        guard directory.contains(keyFile) else {
            // A CA's key may be kept elsewhere.
            let text = entry.isCA ? ": \(entry.name) cannot issue until it is back" : ", the key of \(entry.name)"
            return report("key-file", .notice, "\(path) is not here\(text)")
        }
        guard let file = try? directory.read(keyFile, isPrivate: false) else {
            return report("key-file", .failure, "\(path) cannot be read", "see who owns it: ls -l \(path)")
        }
        let archive = directory.path(of: CADirectory.archiveDirectory)
        let other = "or issue again: pki renew \(entry.name) --rekey"
        do throws(CertificateError) {
            guard try PrivateKey(reading: file).publicKey != certificate.publicKey else { return }
            let hint = "look for the right one in \(archive), \(other)"
            report("key-file", .failure, "\(path) is not the key of the certificate \(entry.name)", hint)
        } catch {
            // Encrypted: the passphrase is not known here.
            if error.code == .missingPassphrase { return }
            let hint = "look for it in \(archive), \(other)"
            report("key-file", .failure, "\(path) is no key that can be read: \(error.message)", hint)
        }
    }

    private mutating func checkStrangers() throws {
        let known = try records.certificateFiles()
        for name in directory.names().sorted() where name.hasSuffix("-cert.pem") && !known.contains(name) {
            report(
                "unknown-file", .warning,
                "\(directory.path(of: name)) is a certificate that the inventory does not know",
                "pki import \(directory.path) reads it, when a CA of this directory issued it")
        }
    }

    // MARK: - CRLs

    private mutating func checkLists() throws {
        for entry in try records.entries(where: "is_ca = 1 AND place = 0 ORDER BY id") {
            let last = try records.lastRevocationList(issuerKey: entry.subjectKey)
            let newest = try records.lastRevocation(issuerKey: entry.subjectKey)
            let command = "pki crl\(entry.name == CertificateAuthority.rootName ? "" : " --issuer \(entry.name)")"
            if let newest, try isUnlisted(newest, by: entry, last) {
                let text = "\(entry.name) has revoked certificates that are not in its last CRL"
                report("crl", .warning, text, "make a list and import it into AWS: \(command)")
            } else if let last, now > last.nextUpdate {
                let text = "the last list of \(entry.name) ended at \(timestamp(last.nextUpdate))"
                report("crl", .warning, text, "make the next one: \(command)")
            }
        }
    }

    /// Whether a revocation is missing from the last CRL. Both may have happened in one second; then their number tells.
    private func isUnlisted(
        _ newest: Date, by issuer: InventoryEntry, _ last: (number: Int64, thisUpdate: Date, nextUpdate: Date)?
    ) throws -> Bool {
        guard let last, newest <= last.thisUpdate else { return true }
        guard newest == last.thisUpdate else { return false }
        var count = 0
        try records.visitRevoked(issuerKey: issuer.subjectKey, endingAfter: last.thisUpdate) { _, _ in count += 1 }
        return try records.entryCount(ofList: last.number, issuerKey: issuer.subjectKey) < count
    }
}
