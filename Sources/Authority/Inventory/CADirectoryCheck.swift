// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
import SystemSupport

/// Compares the directory with what the inventory says of it.
struct CADirectoryCheck {
    let directory: CADirectory
    let records: InventoryDatabase
    let now: Date

    /// Runs every check.
    ///
    /// - Returns: What was found, in the order of the checks.
    /// - Throws: ``AuthorityError`` when the inventory cannot be read.
    func findings() throws -> [CADirectoryFinding] {
        try integrity() + unfinished() + audit() + permissions() + certificates() + strangers() + lists()
    }

    private func integrity() throws -> [CADirectoryFinding] {
        try records.damages().map { damage in
            CADirectoryFinding(
                "inventory",
                .failure,
                "the inventory \(directory.path(of: Inventory.fileName)) is damaged: \(damage)",
                hint: "pki import reads the directory's files into a new one and keeps the old one in the archive"
            )
        }
    }

    /// What a process that was killed has not finished.
    private func unfinished() throws -> [CADirectoryFinding] {
        try waiting().prefix(1).map { name in
            CADirectoryFinding(
                "inventory",
                .warning,
                "a command was ended before it could write \(directory.path(of: name))",
                hint: "the next command that writes finishes it: pki doctor --repair",
                isRepairable: true
            )
        }
    }

    /// What does not fit together in the audit.
    private func audit() throws -> [CADirectoryFinding] {
        try records.verifyAudit().breaks.map { found in
            switch found {
            case .noChain: CADirectoryFinding("audit", .notice, "\(found)")
            case .missingTrigger:
                CADirectoryFinding("audit", .failure, "\(found)", hint: "pki doctor --repair", isRepairable: true)
            case .row, .missingHead:
                CADirectoryFinding(
                    "audit",
                    .failure,
                    "\(found)",
                    hint: "compare it with a copy: pki audit --format json"
                )
            }
        }
    }

    /// The files that a process which was killed has recorded and not written yet.
    private func waiting() throws -> [String] {
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
            // The directory itself may be shown to others, who must not be able to change what is in it.
            let forbidden: UInt32 = name == "." ? 0o022 : 0o077
            if let mode = mode(of: name, in: directory), mode & forbidden != 0 { open.append((name, 0o700)) }
        }
        let files =
            directory.names().map { $0 }
            + directory.names(in: CADirectory.archiveDirectory).map { "\(CADirectory.archiveDirectory)/\($0)" }
        for name in files where Self.isPrivate(name) {
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

    /// The first thing here that belongs to another user. Commands that write refuse it.
    private func foreignOwner() -> CADirectoryFinding? {
        let beside = ["", "-wal", "-shm"].map { Inventory.fileName + $0 }
        let keys = directory.names().filter(Self.isPrivate)
        for name in [".", CADirectory.archiveDirectory, CADirectory.draftDirectory] + beside + keys {
            guard let owner = directory.status(of: name)?.owner, owner != Self.ownUser else { continue }
            let path = name == "." ? directory.path : directory.path(of: name)
            return CADirectoryFinding(
                "permissions",
                .failure,
                "\(path) belongs to user \(owner), and this is user \(Self.ownUser): no command that writes uses it",
                hint: "run the commands as user \(owner), or make all of it yours: chown -R \(Self.ownUser) "
                    + Quoting.shell(directory.path)
            )
        }
        return nil
    }

    private static let ownUser = FileStatus.ownUser

    private func permissions() throws -> [CADirectoryFinding] {
        (foreignOwner().map { [$0] } ?? [])
            + Self.openFiles(in: directory).map { name, mode in
                let found = String(Self.mode(of: name, in: directory) ?? 0, radix: 8)
                return CADirectoryFinding(
                    "permissions",
                    .failure,
                    "\(name == "." ? "the directory \(directory.path)" : directory.path(of: name)) has mode \(found), and others than its owner can use it",
                    hint: "pki doctor --repair sets mode \(String(mode, radix: 8))"
                        + (name.contains("-key")
                            ? "; the key may have been read: consider replacing it" : ""),
                    isRepairable: true
                )
            }
    }

    // MARK: - Certificates

    private func certificates() throws -> [CADirectoryFinding] {
        var findings: [CADirectoryFinding] = []
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
                CADirectoryFinding(
                    "issuer",
                    .warning,
                    "the CA that issued \(first)\(others) is revoked, or not here any more: no CA of today vouches for that",
                    hint: "have it issued by a CA of today: pki renew \(first) --issuer NAME"
                )
            )
        }
        if ending > 0 {
            findings.append(
                CADirectoryFinding(
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

    /// What is under a name that files have, and is none: nothing that mends replaces it.
    private func irregular(_ name: String) -> CADirectoryFinding? {
        guard let kind = directory.status(of: name)?.kind, kind != .regular else { return nil }
        let path = directory.path(of: name)
        return CADirectoryFinding(
            "certificate-file",
            .failure,
            "\(path) is \(kind.noun), where a file is wanted",
            hint: "take it away: rm \(Quoting.shell(path)); then: pki doctor --repair"
        )
    }

    private func findings(of entry: InventoryEntry) throws -> [CADirectoryFinding] {
        if let finding = irregular(entry.certificateFile) { return [finding] }
        let path = directory.path(of: entry.certificateFile)
        let isFormer = entry.place == .replaced
        let found: Certificate
        switch try state(ofFileOf: entry) {
        case .right(let certificate): found = certificate
        case .missing:
            return [
                CADirectoryFinding(
                    "certificate-file",
                    isFormer ? .notice : .failure,
                    "\(path), the certificate \(entry.name) of serial number \(entry.serialNumber), is gone",
                    hint: "pki doctor --repair writes it anew from the inventory",
                    isRepairable: true
                )
            ]
        case .unknown(let other):
            return [
                CADirectoryFinding(
                    "certificate-file",
                    .failure,
                    "\(path) is another certificate than the inventory says, of serial number \(other.serialNumber)",
                    hint: "pki import \(directory.path) takes it into the inventory"
                )
            ]
        case .wrong:
            return [
                CADirectoryFinding(
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
        if let chainFile = entry.chainFile, !directory.contains(chainFile) {
            findings.append(
                CADirectoryFinding(
                    "chain-file",
                    .failure,
                    "\(directory.path(of: chainFile)) is gone, and AWS needs it to find the way from \(entry.name) to the root",
                    hint: "pki doctor --repair writes it anew",
                    isRepairable: true
                )
            )
        }
        if entry.isCA, entry.revocation == nil { findings += authorityFindings(of: entry) }
        return findings
    }

    private func keyFindings(of entry: InventoryEntry, _ certificate: Certificate) throws -> [CADirectoryFinding] {
        guard let keyFile = entry.keyFile, !AuthorityFiles.isAddress(keyFile) else { return [] }
        let path = directory.path(of: keyFile)
        guard directory.contains(keyFile) else {
            // A CA's key is meant to leave.
            return [
                CADirectoryFinding(
                    "key-file",
                    .notice,
                    "\(path) is not here"
                        + (entry.isCA ? ": \(entry.name) cannot issue until it is back" : ", the key of \(entry.name)")
                )
            ]
        }
        guard let file = try? directory.read(keyFile, isPrivate: false) else {
            return [
                CADirectoryFinding(
                    "key-file",
                    .failure,
                    "\(path) cannot be read",
                    hint: "see who owns it: ls -l \(path)"
                )
            ]
        }
        do throws(CertificateError) {
            guard try PrivateKey(reading: file).publicKey == certificate.publicKey else {
                return [
                    CADirectoryFinding(
                        "key-file",
                        .failure,
                        "\(path) is not the key of the certificate \(entry.name)",
                        hint:
                            "look for the right one in \(directory.path(of: CADirectory.archiveDirectory)), or issue anew: "
                            + "pki renew \(entry.name) --rekey"
                    )
                ]
            }
        } catch {
            // Encrypted: what opens it is not known here.
            if error.code == .missingPassphrase { return [] }
            return [
                CADirectoryFinding(
                    "key-file",
                    .failure,
                    "\(path) is no key that can be read: \(error.message)",
                    hint: "look for it in \(directory.path(of: CADirectory.archiveDirectory)), or issue anew: "
                        + "pki renew \(entry.name) --rekey"
                )
            ]
        }
        return []
    }

    private func authorityFindings(of entry: InventoryEntry) -> [CADirectoryFinding] {
        let days = entry.daysLeft(at: now)
        guard days < 90 else { return [] }
        let isOver = now > entry.notAfter
        let isRoot = entry.isSelfSigned
        return [
            CADirectoryFinding(
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

    private func strangers() throws -> [CADirectoryFinding] {
        let known = try records.certificateFiles()
        return directory.names().filter { $0.hasSuffix("-cert.pem") && !known.contains($0) }.sorted().map { name in
            CADirectoryFinding(
                "unknown-file",
                .warning,
                "\(directory.path(of: name)) is a certificate that the inventory does not know",
                hint: "pki import \(directory.path) reads it, when a CA of this directory issued it"
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

    private func lists() throws -> [CADirectoryFinding] {
        var findings: [CADirectoryFinding] = []
        for entry in try records.entries(where: "is_ca = 1 AND place = 0 ORDER BY id") {
            let last = try records.lastRevocationList(issuerKey: entry.subjectKey)
            let newest = try records.lastRevocation(issuerKey: entry.subjectKey)
            let command = "pki crl\(entry.name == CertificateAuthority.rootName ? "" : " --issuer \(entry.name)")"
            if let newest, try isUntold(newest, by: entry, last) {
                findings.append(
                    CADirectoryFinding(
                        "crl",
                        .warning,
                        "\(entry.name) has revoked certificates since its last list, and nobody knows",
                        hint: "make a list and import it into AWS: \(command)"
                    )
                )
            } else if let last, now > last.nextUpdate {
                findings.append(
                    CADirectoryFinding(
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
