// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
import Synchronization
import SystemSupport

/// The result of a batch.
package struct BatchOutcome: Sendable {
    /// The names that this run issued, in the order of the requests.
    package internal(set) var issued: [String] = []
    /// The names that existed before and were not changed.
    package internal(set) var skipped: [String] = []
    /// What the user should know and may not expect, each a sentence without a full stop.
    package internal(set) var notices: [String] = []
}

extension CertificateAuthority {
    /// How many certificates are one change: enough that the disk is waited for seldom, and few enough that another process
    /// gets its turn soon.
    static let batchSize = 128
    /// How many threads wait for the disk at once, which serves many waiters by one write of its journal.
    private static let diskJobs = 16

    /// Issues many certificates, on `jobs` threads. A host gets key and certificate together or neither; names that are
    /// in the inventory already are skipped, so that running an interrupted batch again completes it.
    ///
    /// `progress` is called with the number of requests that are done, after every change. An error leaves what was
    /// done before.
    package func issue(
        _ requests: [ClientRequest],
        jobs: Int,
        now: () -> Date,
        using generator: inout some RandomNumberGenerator,
        progress: (Int) -> Void = { _ in }
    ) throws -> BatchOutcome {
        for request in requests { try ClientPolicy.check(request) }
        try checkIsNotRevoked()
        var outcome = BatchOutcome()
        let known = try inventory.withDatabase { try $0.currentNames() }
        let waiting = requests.filter { $0.archivesExisting || !known.contains($0.name) }
        outcome.skipped = requests.filter { !$0.archivesExisting && known.contains($0.name) }.map(\.name)
        for request in waiting where !request.archivesExisting {
            try directory.checkDoesNotExist(AuthorityFiles.certificate(of: request.name))
        }
        var names = CommonNames()
        var done = outcome.skipped.count
        progress(done)
        for start in stride(from: 0, to: waiting.count, by: Self.batchSize) {
            let chunk = Array(waiting[start..<min(start + Self.batchSize, waiting.count)])
            let time = now()
            let random = chunk.map { Self.random(for: $0, using: &generator) }
            let prepared = try prepare(chunk, random, jobs: jobs, now: time)
            try inventory.change(now: time, jobs: Self.diskJobs) { change in
                for one in prepared {
                    // Another process was faster.
                    if !one.archivesExisting, try !change.records.current(one.name).isEmpty {
                        outcome.skipped.append(one.name)
                        continue
                    }
                    _ = try one.commit(to: &change, &names)
                    outcome.issued.append(one.name)
                    for notice in one.notices where !outcome.notices.contains(notice) { outcome.notices.append(notice) }
                }
            }
            done += chunk.count
            progress(done)
        }
        return outcome
    }

    private func prepare(
        _ requests: [ClientRequest], _ random: [(serialNumber: SerialNumber, passphrase: SecretBytes?)], jobs: Int,
        now: Date
    ) throws -> [PreparedCertificate] {
        // One of each kind shows that the path is right, unless names decide about it.
        let hasConstraints = (chain + anchors + [certificate]).contains { $0.nameConstraints != nil }
        var seen: Set<CertificateTemplate> = []
        let verified = requests.map { request in
            hasConstraints || request.lifetime != nil || request.certificateRequest != nil
                || seen.insert(request.template).inserted
        }
        let made = Mutex<[PreparedCertificate?]>(Array(repeating: nil, count: requests.count))
        let failure = Workers.firstFailure(of: requests.count, jobs: jobs) { index in
            let prepared = try self.prepare(requests[index], random[index], now: now, verifiesPath: verified[index])
            made.withLock { $0[index] = prepared }
        }
        if let failure { throw failure }
        return made.withLock { $0.compactMap(\.self) }
    }
}

/// The files of many hosts in one archive, a directory for each host, in the format `ustar` of POSIX.1.
///
/// All files belong to root, and equal files at equal times make an equal archive. Secrets go from the CA directory to the
/// descriptor without a copy on the disk, which a run of tar(1) would need.
package enum FleetArchive {
    /// Writes the archive: mode 0600, whole or not at all. Hosts that have no certificate under their name are left out.
    package static func write(_ names: [String], of inventory: Inventory, to path: String, replaces: Bool) throws {
        let directory = inventory.directory
        let rootName = AuthorityFiles.certificate(of: CertificateAuthority.rootName)
        let root = try? directory.read(rootName, isPrivate: false)
        try AtomicFile.write(path, replaces: replaces) { descriptor in
            var size = 0
            func write(_ contents: SecretBytes) throws(AuthorityError) {
                // Files fill whole blocks.
                let rest = [UInt8](repeating: 0, count: (512 - contents.count % 512) % 512)
                for bytes in [contents, SecretBytes(rest)] {
                    let reason = writeAll(bytes, to: descriptor)
                    guard reason == 0 else {
                        let text = "the archive \(printable(path)) cannot be written: \(systemErrorText(reason))"
                        throw AuthorityError(.storage, text)
                    }
                    size += bytes.count
                }
            }
            for name in names {
                guard let entry = try inventory.withDatabase({ try $0.current(name).first }) else { continue }
                func add(_ file: String, _ contents: SecretBytes, mode: Int) throws(AuthorityError) {
                    let header = try header(of: file, in: name, contents.count, mode: mode, modified: entry.issuedAt)
                    try write(SecretBytes(header))
                    try write(contents)
                }
                for (file, mode) in [
                    (entry.certificateFile, 0o644), (entry.keyFile, 0o600), (entry.chainFile, 0o644),
                    (AuthorityFiles.bundle(of: name), 0o600), (AuthorityFiles.bundlePassphrase(of: name), 0o600),
                ] {
                    guard let file, !AuthorityFiles.isAddress(file), directory.contains(file) else { continue }
                    try add(file, directory.read(file, isPrivate: mode == 0o600), mode: mode)
                }
                if let root { try add(rootName, root, mode: 0o644) }
            }
            // Two blocks end the archive, which is filled up to a multiple of 20 as by other programs.
            try write(SecretBytes([UInt8](repeating: 0, count: (size + 1024 + 10239) / 10240 * 10240 - size)))
        }
    }

    /// The block before a file.
    private static func header(
        of file: String, in directory: String, _ size: Int, mode: Int, modified: Date
    ) throws(AuthorityError) -> [UInt8] {
        // Both are names of the inventory, which lead nowhere else: AuthorityFiles.isPath.
        guard file.utf8.count <= 100, directory.utf8.count <= 155 else {
            throw AuthorityError(.invalidRequest, "the name \(printable(file)) is too long for an archive")
        }
        func text(_ text: String, _ width: Int) -> [UInt8] {
            Array(text.utf8) + [UInt8](repeating: 0, count: width - text.utf8.count)
        }
        func octal(_ number: Int, _ width: Int) -> [UInt8] {
            let digits = String(number, radix: 8)
            return text(String(repeating: "0", count: width - 1 - digits.count) + digits, width)
        }
        let time = Int(min(max(0, modified.timeIntervalSince1970), Double(0o77_777_777_777)))
        let start = text(file, 100) + octal(mode, 8) + octal(0, 8) + octal(0, 8) + octal(size, 12) + octal(time, 12)
        let owner = text("root", 32) + text("root", 32) + octal(0, 8) + octal(0, 8)
        let end = text("0", 1) + text("", 100) + text("ustar", 6) + text("00", 2) + owner + text(directory, 167)
        let sum = (start + end).reduce(8 * 0x20) { $0 + Int($1) }
        return start + octal(sum, 7) + [0x20] + end
    }
}
