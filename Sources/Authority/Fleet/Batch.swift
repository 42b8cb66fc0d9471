// SPDX-License-Identifier: Apache-2.0

import Certificates
package import FoundationEssentials
import Synchronization
import SystemSupport

/// The result of a batch.
package struct BatchOutcome: Sendable {
    /// The names that this run issued, in the order of the requests.
    package internal(set) var issued: [String] = []
    /// The names that existed before.
    package internal(set) var skipped: [String] = []
    /// Warnings, each a sentence without a full stop.
    package internal(set) var notices: [String] = []
    /// Whether it ended early because it was to stop.
    package internal(set) var wasStopped = false
}

extension CertificateAuthority {
    /// The number of certificates in one change: many, to sync seldom, but few enough that other processes need not
    /// wait long.
    static let batchSize = 128
    /// After how many seconds a change is made with fewer: slow keys are not lost, and the user sees progress.
    static let batchTime = 2.0
    /// The number of threads that write files: the file system syncs many files with one write of its journal.
    static let diskJobs = 32

    /// Issues many certificates on `jobs` threads. A host gets both key and certificate or neither. Names in the
    /// inventory are skipped, so an interrupted batch can be run again.
    ///
    /// `progress` is called with the number of completed requests after every change. Changes before an error are kept.
    /// Once `isStopped` returns true, what is under way is completed, and nothing else is begun.
    package func issue(
        _ requests: [ClientRequest], jobs: Int, now: @Sendable () -> Date,
        using generator: inout some RandomNumberGenerator, isStopped: @Sendable () -> Bool = { false },
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
        var done = outcome.skipped.count
        progress(done)
        var start = 0
        while start < waiting.count {
            let chunk = Array(waiting[start..<min(start + Self.batchSize, waiting.count)])
            let time = now()
            let random = chunk.map { Self.random(for: $0, using: &generator) }
            let prepared = try prepare(chunk, random, jobs: jobs, now: time) {
                isStopped() || now().timeIntervalSince(time) >= Self.batchTime
            }
            if isStopped(), start + prepared.count < waiting.count { outcome.wasStopped = true }
            try inventory.change(now: time, jobs: Self.diskJobs) { change in
                for one in prepared {
                    // Another process has issued it meanwhile.
                    if !one.archivesExisting, try !change.records.current(one.name).isEmpty {
                        outcome.skipped.append(one.name)
                        continue
                    }
                    _ = try one.commit(to: &change)
                    outcome.issued.append(one.name)
                    for notice in one.notices where !outcome.notices.contains(notice) { outcome.notices.append(notice) }
                }
            }
            start += prepared.count
            done += prepared.count
            progress(done)
            if outcome.wasStopped { break }
        }
        return outcome
    }

    /// Whether the path of a certificate depends on its names.
    var hasNameConstraints: Bool { (chain + anchors + [certificate]).contains { $0.nameConstraints != nil } }

    private func prepare(
        _ requests: [ClientRequest], _ random: [(serialNumber: SerialNumber, passphrase: SecretBytes?)], jobs: Int,
        now: Date, until isOver: @Sendable () -> Bool
    ) throws -> [PreparedCertificate] {
        // Without name constraints, one path for each template is enough.
        let hasConstraints = hasNameConstraints
        var seen: Set<CertificateTemplate> = []
        let verified = requests.map { request in
            hasConstraints || request.lifetime != nil || request.certificateRequest != nil
                || seen.insert(request.template).inserted
        }
        let made = Mutex<[PreparedCertificate?]>(Array(repeating: nil, count: requests.count))
        // The first is always made: a clock that was set ahead must not stop the batch.
        let hasBegun = Atomic(false)
        let failure = Workers.firstFailure(
            of: requests.count, jobs: jobs,
            until: { hasBegun.exchange(true, ordering: .relaxed) && isOver() }
        ) { index in
            let prepared = try self.prepare(requests[index], random[index], now: now, verifiesPath: verified[index])
            made.withLock { $0[index] = prepared }
        }
        if let failure { throw failure }
        return made.withLock { $0.compactMap(\.self) }
    }
}

/// The files of many hosts in one archive, a directory for each host, in the format `ustar` of POSIX.1.
///
/// All files belong to root, and the archive depends only on the files and their times of issue. No temporary copy of a
/// secret is written, as tar(1) would need.
package enum FleetArchive {
    /// Writes the archive with mode 0600, completely or not at all. Hosts without a certificate are left out.
    package static func write(_ names: [String], of inventory: Inventory, to path: String, replaces: Bool) throws {
        let directory = inventory.directory
        let rootName = AuthorityFiles.certificate(of: CertificateAuthority.rootName)
        let root = try? directory.read(rootName, isPrivate: false)
        try AtomicFile.write(path, replaces: replaces) { descriptor in
            var size = 0
            func write(_ contents: SecretBytes) throws(AuthorityError) {
                // Files are padded to whole blocks.
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
            // Two empty blocks end the archive, which is padded to 20 blocks as by other programs.
            try write(SecretBytes([UInt8](repeating: 0, count: (size + 1024 + 10239) / 10240 * 10240 - size)))
        }
    }

    /// The header block of a file.
    private static func header(
        of file: String, in directory: String, _ size: Int, mode: Int, modified: Date
    ) throws(AuthorityError) -> [UInt8] {
        // Both names are from the inventory, and satisfy AuthorityFiles.isPath.
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
