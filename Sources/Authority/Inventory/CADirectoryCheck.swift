// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
import SQL
import SystemSupport

/// A problem in a CA directory, now or soon.
package struct CADirectoryFinding: Hashable, Sendable {
    package enum Severity: String, Sendable {
        /// Nothing is wrong.
        case fine
        /// Nothing is wrong, but it should be known.
        case notice
        /// The CA still works.
        case warning
        /// A file is missing, accessible to others or inconsistent.
        case failure
    }

    /// The check's name for programs, such as `certificate-file`.
    package let check: String
    package let severity: Severity
    /// In lower case, with the file's name and without a full stop.
    package let message: String
    package let hint: String?
    /// Whether ``Inventory/repair(in:by:now:)`` fixes it.
    package let isRepairable: Bool
}

extension Inventory {
    /// Compares the directory with the inventory without changing anything.
    package func check(now: Date) throws -> [CADirectoryFinding] {
        try withDatabase { records in
            var check = CADirectoryCheck(directory: directory, records: records, now: now, keepsFiles: isInDirectory)
            try check.run()
            return check.findings
        }
    }

    /// Checks the server that has the inventory. `clock` tells the time.
    package func checkServer(clock: () -> Date) throws -> [CADirectoryFinding] {
        try withDatabase { records in
            var check = InventoryServerCheck(records.database, at: place)
            try check.run(clock: clock)
            return check.findings
        }
    }

    /// Repairs permissions, triggers, and missing or wrong certificates and chains. Returns what was done, each a
    /// sentence without a full stop. Files with wrong contents go to the archive; missing keys cannot be restored.
    package static func repair(in directory: String, by who: String, now: Date) throws -> [String] {
        let directory = try open(directory, for: .repairing)
        // First, so that no file is used that others could change.
        let narrowed = try CADirectoryCheck.openFiles(in: directory).map { name, mode in
            try directory.setMode(of: name, mode)
            return "\(name == "." ? directory.path : directory.path(of: name)) now has mode \(String(mode, radix: 8))"
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
                done.append("restored the trigger \(name)")
            }
            var wrong: [InventoryEntry] = []
            try change.records.visit(where: "place < 2 ORDER BY id") { entry in
                guard entry.hasFile else { return }
                // Anything but a file is not replaced, but reported by the check.
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
                    "restored \(directory.path(of: entry.certificateFile)), the certificate \(entry.serialNumber)"
                        + (archived.map { "; the other file is now \(directory.path(of: $0))" } ?? ""))
            }
            let chained = try change.records.entries(where: "place = 0 AND chain_path IS NOT NULL")
            let broken = chained.filter { !directory.contains($0.chainFile ?? "") }
            if !broken.isEmpty {
                try change.refreshChains(below: Array(Set(broken.map(\.issuerKey))))
                done += broken.map { "restored \(directory.path(of: $0.chainFile ?? ""))" }
            }
            return done
        }
    }
}

/// Compares the directory with the inventory.
struct CADirectoryCheck {
    let directory: CADirectory
    let records: InventoryDatabase
    let now: Date
    /// Whether the directory has the files of what was issued: an inventory on a server has none.
    let keepsFiles: Bool
    private(set) var findings: [CADirectoryFinding] = []

    init(directory: CADirectory, records: InventoryDatabase, now: Date, keepsFiles: Bool = true) {
        (self.directory, self.records, self.now, self.keepsFiles) = (directory, records, now, keepsFiles)
    }

    mutating func run() throws {
        for damage in try keepsFiles ? records.damages() : [] {
            report(
                "inventory", .failure, "the inventory \(directory.path(of: Inventory.fileName)) is damaged: \(damage)",
                "archive it and create another from the files: pki import \(Quoting.shell(directory.path))")
        }
        var first: AuditRecord?
        try records.visitAudit(atMost: 1) { first = $0 }
        if findings.isEmpty, let first {
            let since = timestamp(first.date)
            let isAdopted = first.action == .adopt && first.detail?.hasPrefix(ImportedCA.Kind.pki.rawValue) == true
            report(
                "inventory", isAdopted ? .notice : .fine,
                isAdopted
                    ? "made from the directory's files at \(since): of what was revoked before, only what a CRL there lists is known"
                    : "the inventory is complete since \(since)")
        }
        if findings.allSatisfy({ $0.severity == .fine || $0.severity == .notice }),
            let restored = try records.lastRestore()
        {
            report(
                "inventory", .notice,
                "restored at \(timestamp(restored.date)) from a \(restored.detail): what was issued or revoked in between is not known"
            )
        }
        let unfinished = try keepsFiles ? unfinishedFiles() : []
        if let name = unfinished.first {
            let text = "a command was interrupted before it wrote \(directory.path(of: name))"
            report("inventory", .warning, text, "complete the change: pki doctor --repair", true)
        }
        for found in try records.verifyAudit().breaks {
            switch found {
            case .noChain: report("audit", .notice, "\(found)")
            case .missingTrigger where keepsFiles: report("audit", .failure, "\(found)", "pki doctor --repair", true)
            case .missingTrigger:
                report("audit", .failure, "\(found)", "have the tables' owner run pki inventory init --inventory URL")
            case .row, .missingHead:
                report("audit", .failure, "\(found)", "compare it with a copy: pki audit --format json")
            }
        }
        checkPermissions()
        try checkCertificates(except: Set(unfinished))
        if keepsFiles { try checkStrangers() }
        try checkLists()
    }

    private mutating func report(
        _ check: String, _ severity: CADirectoryFinding.Severity, _ message: String, _ hint: String? = nil,
        _ isRepairable: Bool = false
    ) {
        findings.append(
            .init(check: check, severity: severity, message: message, hint: hint, isRepairable: isRepairable))
    }

    /// The files that a killed process has recorded but not written.
    private func unfinishedFiles() throws -> [String] {
        try records.moves().compactMap { move in
            if case .place(let draft, _) = move.kind { return directory.contains(draft) ? move.name : nil }
            return nil
        }
    }

    // MARK: - Permissions

    /// The files and directories with permissions for others, with the modes that they should have.
    static func openFiles(in directory: CADirectory) -> [(name: String, mode: UInt32)] {
        var open: [(String, UInt32)] = []
        for name in [".", CADirectory.archiveDirectory, CADirectory.draftDirectory] {
            // Others may read the directory itself, but must not be able to write to it.
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
        // Only the first file of another user is reported.
        let user = FileStatus.ownUser
        let database = ["", "-wal", "-shm"].map { Inventory.fileName + $0 }
        let directories = [".", CADirectory.archiveDirectory, CADirectory.draftDirectory]
        for name in directories + database + directory.names().filter(Self.isPrivate) {
            guard let owner = directory.status(of: name)?.owner, owner != user else { continue }
            report(
                "permissions", .failure,
                "\(name == "." ? directory.path : directory.path(of: name)) belongs to user \(owner), not to you (\(user)): "
                    + "commands that write refuse it",
                "run pki as user \(owner), or change the owner: chown -R \(user) \(Quoting.shell(directory.path))")
            break
        }
        for (name, mode) in Self.openFiles(in: directory) {
            let path = name == "." ? "the directory \(directory.path)" : directory.path(of: name)
            let found = String(Self.mode(of: name, in: directory) ?? 0, radix: 8)
            let consequence = name.contains("-key") ? "; consider replacing the key, which others may have read" : ""
            report(
                "permissions", .failure, "\(path) has mode \(found), which gives other users access",
                "set mode \(String(mode, radix: 8)): pki doctor --repair\(consequence)", true)
        }
    }

    // MARK: - Certificates

    private mutating func checkCertificates(except unfinished: Set<String>) throws {
        var ending = 0
        var orphans: [String] = []
        let authorities = try records.entries(where: "is_ca = 1 AND place = 0").map(\.subjectKey)
        let issuers = Set(authorities.filter { (try? records.refuseRevokedAuthority(withKey: $0)) != nil })
        // A server's directory has the CAs that it needs.
        for authority in try keepsFiles ? [] : records.entries(where: "is_ca = 1 AND place = 0")
        where directory.contains(authority.certificateFile) { try check(authority) }
        try records.visit(where: keepsFiles ? "place < 2 ORDER BY id" : "place = 0") { entry in
            let files = [entry.certificateFile, entry.keyFile, entry.chainFile].compactMap(\.self)
            if keepsFiles, entry.hasFile, unfinished.isDisjoint(with: files) { try check(entry) }
            guard entry.place == .current, entry.revocation == nil, !entry.isCA else { return }
            // What lives shortly is renewed late: a third of its life is left then.
            let life = entry.lifetime ?? entry.notAfter.timeIntervalSince(entry.notBefore)
            if (0..<max(1, min(30, Int(life / 86_400 / 3)))).contains(entry.daysLeft(at: now)) { ending += 1 }
            if now <= entry.notAfter, !issuers.contains(entry.issuerKey) { orphans.append(entry.name) }
        }
        for root in try records.entries(where: "is_ca = 1 AND place = 0 AND subject_key = issuer_key") {
            guard let objection = try CertificateVerifier.objection(toRoot: records.certificate(of: root)) else {
                continue
            }
            report(
                "issuer", .failure, "nothing can be issued below \(root.name), which \(objection)",
                "make its certificate again, with the same key: pki renew \(root.name)")
        }
        if let first = orphans.first {
            let names = orphans.count == 1 ? first : "\(first) and \(orphans.count - 1) more"
            report(
                "issuer", .warning,
                "the CA that issued \(names) is revoked, or no longer in the directory",
                "issue it from another CA: pki renew \(first) --issuer NAME")
        }
        if ending > 0 {
            report(
                "expiry", .warning, "\(ending) certificate\(ending == 1 ? "" : "s") will expire soon",
                "renew them: pki renew --all --if-expires-within 30d")
        }
    }

    /// The result of comparing a certificate's file with the inventory.
    enum FileState {
        /// It contains the certificate.
        case right(Certificate)
        /// It cannot be read.
        case missing
        /// It contains a certificate that the inventory does not have, under the name of a current one: this may be
        /// intended.
        case unknown(Certificate)
        /// Anything else.
        case wrong
    }

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
            let hint = "remove it, then run pki doctor --repair: rm \(Quoting.shell(path))"
            return report("certificate-file", .failure, "\(path) is \(kind.noun), not a regular file", hint)
        }
        let isFormer = entry.place == .replaced
        switch try state(ofFileOf: entry) {
        case .right(let certificate):
            if isFormer { return }
            checkKey(of: entry, certificate)
        case .missing:
            return report(
                "certificate-file", isFormer ? .notice : .failure,
                "\(path), the certificate \(entry.name) with serial number \(entry.serialNumber), is missing",
                "restore it from the inventory: pki doctor --repair", true)
        case .unknown(let other):
            return report(
                "certificate-file", .failure,
                "\(path) is a certificate that is not in the inventory, with serial number \(other.serialNumber)",
                "add it to the inventory: pki import \(Quoting.shell(directory.path))")
        case .wrong:
            return report(
                "certificate-file", .failure,
                "\(path) is not the certificate with serial number \(entry.serialNumber) of the inventory",
                "archive it and restore the certificate: pki doctor --repair", true)
        }
        if let chainFile = entry.chainFile, !directory.contains(chainFile) {
            report(
                "chain-file", .failure,
                "\(directory.path(of: chainFile)) is missing; AWS needs it to verify \(entry.name)",
                "restore it: pki doctor --repair", true)
        }
        let days = entry.daysLeft(at: now)
        guard entry.isCA, entry.revocation == nil, days < 90 else { return }
        let isOver = now > entry.notAfter
        let end = timestamp(entry.notAfter)
        report(
            "expiry", isOver ? .failure : .warning,
            isOver
                ? "the CA \(entry.name) expired at \(end)"
                : "the CA \(entry.name) and its certificates expire in \(days) days, at \(end)",
            entry.isSelfSigned ? "replace it: pki rotate-ca" : "renew it: pki renew \(entry.name)")
    }

    private mutating func checkKey(of entry: InventoryEntry, _ certificate: Certificate) {
        guard let keyFile = entry.keyFile, !AuthorityFiles.isAddress(keyFile) else { return }
        let path = directory.path(of: keyFile)
        guard directory.contains(keyFile) else {
            // Keys may be stored elsewhere, and those of clients only on their hosts.
            let text = entry.isCA ? "\(entry.name) issues only where its key is" : "its host should have it"
            return report("key-file", .notice, "\(path) is not here: \(text)")
        }
        guard let file = try? directory.read(keyFile, isPrivate: false) else {
            return report(
                "key-file", .failure, "\(path) cannot be read", "check its owner: ls -l \(Quoting.shell(path))")
        }
        let archive = directory.path(of: CADirectory.archiveDirectory)
        let other = "or issue again: pki renew \(entry.name) --rekey"
        do throws(CertificateError) {
            guard try PrivateKey(reading: file).publicKey != certificate.publicKey else { return }
            let hint = "restore the right one from \(archive), \(other)"
            report("key-file", .failure, "\(path) is not the key of the certificate \(entry.name)", hint)
        } catch {
            // An encrypted key is not checked.
            if error.code == .missingPassphrase { return }
            let hint = "restore it from \(archive), \(other)"
            report("key-file", .failure, "\(path) is not a readable key: \(error.message)", hint)
        }
    }

    private mutating func checkStrangers() throws {
        let known = try records.certificateFiles()
        for name in directory.names().sorted() where name.hasSuffix("-cert.pem") && !known.contains(name) {
            report(
                "unknown-file", .warning,
                "\(directory.path(of: name)) is a certificate that is not in the inventory",
                "add it, if a CA of this directory issued it: pki import \(Quoting.shell(directory.path))")
        }
    }

    // MARK: - CRLs

    private mutating func checkLists() throws {
        for entry in try records.entries(where: "is_ca = 1 AND place = 0 ORDER BY id") {
            let last = try records.lastRevocationList(issuerKey: entry.subjectKey)
            let command = "pki crl\(entry.name == CertificateAuthority.rootName ? "" : " --issuer \(entry.name)")"
            if try records.hasUnlistedRevocations(of: entry, since: last) {
                let text = "\(entry.name) has revoked certificates that are not in its last CRL"
                report("crl", .warning, text, "create a CRL and import it into AWS: \(command)")
            } else if let last, now > last.nextUpdate {
                let text = "the last CRL of \(entry.name) expired at \(timestamp(last.nextUpdate))"
                report("crl", .warning, text, "create the next one: \(command)")
            }
        }
    }
}
