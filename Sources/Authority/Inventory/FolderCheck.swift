// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SystemSupport

/// Compares the folder with what the inventory says of it.
struct FolderCheck {
    let folder: Folder
    let records: InventoryDatabase
    let now: Date

    /// Runs every check.
    ///
    /// - Returns: What was found, in the order of the checks.
    /// - Throws: ``AuthorityError`` when the inventory cannot be read.
    func findings() throws -> [FolderFinding] {
        try integrity() + unfinished() + audit() + permissions() + certificates() + strangers() + lists()
    }

    private func integrity() throws -> [FolderFinding] {
        try records.damages().map { damage in
            FolderFinding(
                "inventory",
                .failure,
                "the inventory \(folder.path(of: Inventory.fileName)) is damaged: \(damage)",
                hint: "pki import reads the folder's files into a new one and keeps the old one in the archive"
            )
        }
    }

    /// What a process that was killed has not finished.
    private func unfinished() throws -> [FolderFinding] {
        try waiting().prefix(1).map { name in
            FolderFinding(
                "inventory",
                .warning,
                "a command was ended before it could write \(folder.path(of: name))",
                hint: "the next command that writes finishes it: pki doctor --repair",
                isRepairable: true
            )
        }
    }

    /// What does not fit together in the audit.
    private func audit() throws -> [FolderFinding] {
        try records.verifyAudit().breaks.map { found in
            switch found {
            case .noChain: FolderFinding("audit", .notice, "\(found)")
            case .missingTrigger:
                FolderFinding("audit", .failure, "\(found)", hint: "pki doctor --repair", isRepairable: true)
            case .row, .missingHead:
                FolderFinding("audit", .failure, "\(found)", hint: "compare it with a copy: pki audit --format json")
            }
        }
    }

    /// The files that a process which was killed has recorded and not written yet.
    private func waiting() throws -> [String] {
        try records.moves().compactMap { move in
            if case .place(let draft, _) = move.kind { return folder.contains(draft) ? move.name : nil }
            return nil
        }
    }

    // MARK: - Permissions

    /// The files and folders whose permissions give others too much, with what they should be.
    static func openFiles(in folder: Folder) -> [(name: String, mode: UInt32)] {
        var open: [(String, UInt32)] = []
        for name in [".", Folder.archiveFolder, Folder.draftFolder] {
            // The folder itself may be shown to others, who must not be able to change what is in it.
            let forbidden: UInt32 = name == "." ? 0o022 : 0o077
            if let mode = mode(of: name, in: folder), mode & forbidden != 0 { open.append((name, 0o700)) }
        }
        let files =
            folder.names().map { $0 } + folder.names(in: Folder.archiveFolder).map { "\(Folder.archiveFolder)/\($0)" }
        for name in files where Self.isPrivate(name) {
            if let mode = mode(of: name, in: folder), mode & 0o077 != 0 { open.append((name, 0o600)) }
        }
        return open.sorted { $0.0 < $1.0 }
    }

    /// The permissions of a file or a directory; `nil` for anything else.
    private static func mode(of name: String, in folder: Folder) -> UInt32? {
        guard let status = folder.status(of: name), status.kind == .regular || status.kind == .directory else {
            return nil
        }
        return status.mode & 0o777
    }

    private static func isPrivate(_ name: String) -> Bool {
        let file = name.split(separator: "/").last ?? ""
        return file.contains("-key") && (file.hasSuffix(".pem") || file.hasSuffix(".uri"))
            || file.hasPrefix(Inventory.fileName) || file.hasSuffix(".p12")
    }

    /// The first thing here that belongs to another user. Commands that write refuse it.
    private func foreignOwner() -> FolderFinding? {
        let beside = ["", "-wal", "-shm"].map { Inventory.fileName + $0 }
        let keys = folder.names().filter(Self.isPrivate)
        for name in [".", Folder.archiveFolder, Folder.draftFolder] + beside + keys {
            guard let owner = folder.status(of: name)?.owner, owner != Self.ownUser else { continue }
            let path = name == "." ? folder.path : folder.path(of: name)
            return FolderFinding(
                "permissions",
                .failure,
                "\(path) belongs to user \(owner), and this is user \(Self.ownUser): no command that writes uses it",
                hint: "run the commands as user \(owner), or make all of it yours: chown -R \(Self.ownUser) "
                    + Quoting.shell(folder.path)
            )
        }
        return nil
    }

    private static let ownUser = FileStatus.ownUser

    private func permissions() throws -> [FolderFinding] {
        (foreignOwner().map { [$0] } ?? [])
            + Self.openFiles(in: folder).map { name, mode in
                let found = String(Self.mode(of: name, in: folder) ?? 0, radix: 8)
                return FolderFinding(
                    "permissions",
                    .failure,
                    "\(name == "." ? "the folder \(folder.path)" : folder.path(of: name)) has mode \(found), and others than its owner can use it",
                    hint: "pki doctor --repair sets mode \(String(mode, radix: 8))"
                        + (name.contains("-key")
                            ? "; the key may have been read: consider replacing it" : ""),
                    isRepairable: true
                )
            }
    }

    // MARK: - Certificates

    private func certificates() throws -> [FolderFinding] {
        var findings: [FolderFinding] = []
        var ending = 0
        var orphans: [String] = []
        let authorities = try records.entries(where: "is_ca = 1 AND place = 0").map(\.subjectKey)
        let issuers = Set(authorities.filter { (try? records.refuseRevokedAuthority(withKey: $0)) != nil })
        let waiting = Set(try waiting())
        try records.visit(where: "place < 2 ORDER BY id") { entry in
            let files = [entry.certificateFile, entry.keyFile, entry.chainFile].compactMap(\.self)
            if waiting.isDisjoint(with: files) { findings += try self.findings(of: entry) }
            guard entry.place == .current, entry.revocation == nil, !entry.isCA else { return }
            if (0..<30).contains(entry.daysLeft(at: now)) { ending += 1 }
            if now <= entry.notAfter, !issuers.contains(entry.issuerKey) { orphans.append(entry.name) }
        }
        if let first = orphans.first {
            let others = orphans.count == 1 ? "" : " and \(orphans.count - 1) more"
            findings.append(
                FolderFinding(
                    "issuer",
                    .warning,
                    "the CA that issued \(first)\(others) is revoked, or not here any more: no CA of today vouches for that",
                    hint: "have it issued by a CA of today: pki renew \(first) --issuer NAME"
                )
            )
        }
        if ending > 0 {
            findings.append(
                FolderFinding(
                    "expiry",
                    .warning,
                    "\(ending) certificate\(ending == 1 ? "" : "s") will end within 30 days",
                    hint: "see which: pki list --expiring 30d; renew them: pki renew --all --if-expires-within 30d"
                )
            )
        }
        return findings
    }

    /// What the file of a certificate turns out to be.
    enum FileState {
        /// The certificate.
        case right(Certificate)
        /// It cannot be read.
        case missing
        /// Another certificate under a name of today, of which the inventory has never heard: somebody put it there, and
        /// may have meant it.
        case unknown(Certificate)
        /// Anything else.
        case wrong
    }

    /// Compares the file of a certificate with the inventory.
    func state(ofFileOf entry: InventoryEntry) throws -> FileState {
        let found: Certificate
        do {
            found = try folder.certificates(in: entry.certificateFile)[0]
        } catch let error as AuthorityError where error.code != .broken {
            return .missing
        } catch {
            return .wrong
        }
        let fingerprint = Digest.sha256.hash(found.derEncoded)
        if fingerprint == entry.fingerprintBytes { return .right(found) }
        return try entry.place == .current && !records.contains(fingerprint: fingerprint) ? .unknown(found) : .wrong
    }

    /// What is under a name that files have, and is none: nothing that mends replaces it.
    private func irregular(_ name: String) -> FolderFinding? {
        guard let kind = folder.status(of: name)?.kind, kind != .regular else { return nil }
        let path = folder.path(of: name)
        return FolderFinding(
            "certificate-file",
            .failure,
            "\(path) is \(kind.noun), where a file is wanted",
            hint: "take it away: rm \(Quoting.shell(path)); then: pki doctor --repair"
        )
    }

    private func findings(of entry: InventoryEntry) throws -> [FolderFinding] {
        if let finding = irregular(entry.certificateFile) { return [finding] }
        let path = folder.path(of: entry.certificateFile)
        let isFormer = entry.place == .replaced
        let found: Certificate
        switch try state(ofFileOf: entry) {
        case .right(let certificate): found = certificate
        case .missing:
            return [
                FolderFinding(
                    "certificate-file",
                    isFormer ? .notice : .failure,
                    "\(path), the certificate \(entry.name) of serial number \(entry.serialNumber), is gone",
                    hint: "pki doctor --repair writes it anew from the inventory",
                    isRepairable: true
                )
            ]
        case .unknown(let other):
            return [
                FolderFinding(
                    "certificate-file",
                    .failure,
                    "\(path) is another certificate than the inventory says, of serial number \(other.serialNumber)",
                    hint: "pki import \(folder.path) takes it into the inventory"
                )
            ]
        case .wrong:
            return [
                FolderFinding(
                    "certificate-file",
                    .failure,
                    "\(path) is not the certificate of serial number \(entry.serialNumber) that the inventory says it is",
                    hint: "pki doctor --repair moves it to the archive and writes the right one",
                    isRepairable: true
                )
            ]
        }
        if isFormer { return [] }
        var findings = try keyFindings(of: entry, found)
        if let chainFile = entry.chainFile, !folder.contains(chainFile) {
            findings.append(
                FolderFinding(
                    "chain-file",
                    .failure,
                    "\(folder.path(of: chainFile)) is gone, and AWS needs it to find the way from \(entry.name) to the root",
                    hint: "pki doctor --repair writes it anew",
                    isRepairable: true
                )
            )
        }
        if entry.isCA, entry.revocation == nil { findings += authorityFindings(of: entry) }
        return findings
    }

    private func keyFindings(of entry: InventoryEntry, _ certificate: Certificate) throws -> [FolderFinding] {
        guard let keyFile = entry.keyFile, !AuthorityFiles.isAddress(keyFile) else { return [] }
        let path = folder.path(of: keyFile)
        guard folder.contains(keyFile) else {
            // A CA's key is meant to leave.
            return [
                FolderFinding(
                    "key-file",
                    .notice,
                    "\(path) is not here"
                        + (entry.isCA ? ": \(entry.name) cannot issue until it is back" : ", the key of \(entry.name)")
                )
            ]
        }
        guard let file = try? folder.read(keyFile, isPrivate: false) else {
            return [
                FolderFinding("key-file", .failure, "\(path) cannot be read", hint: "see who owns it: ls -l \(path)")
            ]
        }
        do throws(CertificateError) {
            guard try PrivateKey(reading: file).publicKey == certificate.publicKey else {
                return [
                    FolderFinding(
                        "key-file",
                        .failure,
                        "\(path) is not the key of the certificate \(entry.name)",
                        hint: "look for the right one in \(folder.path(of: Folder.archiveFolder)), or issue anew: "
                            + "pki renew \(entry.name) --rekey"
                    )
                ]
            }
        } catch {
            // Encrypted: what opens it is not known here.
            if error.code == .missingPassphrase { return [] }
            return [
                FolderFinding(
                    "key-file",
                    .failure,
                    "\(path) is no key that can be read: \(error.message)",
                    hint: "look for it in \(folder.path(of: Folder.archiveFolder)), or issue anew: "
                        + "pki renew \(entry.name) --rekey"
                )
            ]
        }
        return []
    }

    private func authorityFindings(of entry: InventoryEntry) -> [FolderFinding] {
        let days = entry.daysLeft(at: now)
        guard days < 90 else { return [] }
        let isOver = now > entry.notAfter
        let isRoot = entry.isSelfSigned
        return [
            FolderFinding(
                "expiry",
                isOver ? .failure : .warning,
                isOver
                    ? "the CA \(entry.name) ended at \(timestamp(entry.notAfter))"
                    : "the CA \(entry.name) ends in \(days) days, at \(timestamp(entry.notAfter)), and with it all that it issues",
                hint: isRoot ? "begin its replacement: pki rotate-ca" : "pki renew \(entry.name)"
            )
        ]
    }

    // MARK: - What the inventory does not know

    private func strangers() throws -> [FolderFinding] {
        let known = try records.certificateFiles()
        return folder.names().filter { $0.hasSuffix("-cert.pem") && !known.contains($0) }.sorted().map { name in
            FolderFinding(
                "unknown-file",
                .warning,
                "\(folder.path(of: name)) is a certificate that the inventory does not know",
                hint: "pki import \(folder.path) reads it, when a CA of this folder issued it"
            )
        }
    }

    /// Whether a revocation stands in no list. In one second both can happen, and then their number tells.
    private func isUntold(
        _ newest: Date,
        by issuer: InventoryEntry,
        _ last: (number: Int64, thisUpdate: Date, nextUpdate: Date)?
    ) throws -> Bool {
        guard let last, newest <= last.thisUpdate else { return true }
        guard newest == last.thisUpdate else { return false }
        var count = 0
        try records.visitRevoked(issuerKey: issuer.subjectKey, endingAfter: last.thisUpdate) { _, _ in count += 1 }
        return try records.entryCount(ofList: last.number, issuerKey: issuer.subjectKey) < count
    }

    private func lists() throws -> [FolderFinding] {
        var findings: [FolderFinding] = []
        for entry in try records.entries(where: "is_ca = 1 AND place = 0 ORDER BY id") {
            let last = try records.lastRevocationList(issuerKey: entry.subjectKey)
            let newest = try records.lastRevocation(issuerKey: entry.subjectKey)
            let command = "pki crl\(entry.name == CertificateAuthority.rootName ? "" : " --issuer \(entry.name)")"
            if let newest, try isUntold(newest, by: entry, last) {
                findings.append(
                    FolderFinding(
                        "crl",
                        .warning,
                        "\(entry.name) has revoked certificates since its last list, and nobody knows",
                        hint: "make a list and import it into AWS: \(command)"
                    )
                )
            } else if let last, now > last.nextUpdate {
                findings.append(
                    FolderFinding(
                        "crl",
                        .warning,
                        "the last list of \(entry.name) ended at \(timestamp(last.nextUpdate))",
                        hint: "make the next one: \(command)"
                    )
                )
            }
        }
        return findings
    }
}
