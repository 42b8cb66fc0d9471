// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date
import Certificates
import Synchronization

/// What became of a batch.
public struct BatchOutcome: Sendable {
    /// The names that were issued by this run, in the order of the requests.
    public internal(set) var issued: [String] = []
    /// The names that were there before and were left as they are.
    public internal(set) var skipped: [String] = []
    /// What the user should know and may not expect, each a sentence without a full stop.
    public internal(set) var notices: [String] = []
}

extension CertificateAuthority {
    /// How many certificates count together: enough that the disk is waited for seldom, and few enough that another process
    /// gets its turn soon.
    static let batchSize = 128

    /// Issues many certificates. A host's key and certificate are there together or not at all; names that stand in the
    /// inventory already are left as they are, so that an interrupted batch is taken up by doing it again.
    ///
    /// - Parameters:
    ///   - requests: What the certificates are to be; every name once.
    ///   - jobs: How many threads make keys and sign.
    ///   - now: Tells the moment.
    ///   - generator: The source of the serial numbers' random bits.
    ///   - progress: Called with the number of requests that are done, after every batch that counts.
    /// - Returns: What became of it.
    /// - Throws: ``AuthorityError`` or `CertificateError` naming the host; what was done until then stays, and is reported
    ///   by `progress`.
    public func issue(
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
        let waiting = requests.filter { request in
            if request.archivesExisting || !known.contains(request.name) { return true }
            outcome.skipped.append(request.name)
            return false
        }
        for request in waiting where !request.archivesExisting {
            try directory.checkDoesNotExist(AuthorityFiles.certificate(of: request.name))
        }
        var names = CommonNames()
        var done = outcome.skipped.count
        progress(done)
        var rest = waiting[...]
        while !rest.isEmpty {
            let chunk = Array(rest.prefix(Self.batchSize))
            rest = rest.dropFirst(chunk.count)
            let moment = now()
            let chances = chunk.map { IssuanceRandomness(for: $0, using: &generator) }
            let prepared = try prepare(chunk, chances: chances, jobs: jobs, now: moment)
            try inventory.change(now: moment, jobs: Self.diskJobs) { change in
                for one in prepared {
                    // Another process was faster.
                    if !one.archivesExisting, try !change.records.current(one.name).isEmpty {
                        outcome.skipped.append(one.name)
                        continue
                    }
                    _ = try one.commit(to: &change, in: directory, &names)
                    outcome.issued.append(one.name)
                    for notice in one.notices where !outcome.notices.contains(notice) { outcome.notices.append(notice) }
                }
            }
            done += chunk.count
            progress(done)
        }
        return outcome
    }

    /// How many threads wait for the disk at once, which serves many waiters by one write of its journal.
    private static let diskJobs = 16

    private func prepare(
        _ requests: [ClientRequest],
        chances: [IssuanceRandomness],
        jobs: Int,
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
            let prepared = try self.prepare(
                requests[index],
                chances[index],
                now: now,
                verifiesPath: verified[index]
            )
            made.withLock { $0[index] = prepared }
        }
        if let failure { throw failure }
        return made.withLock { $0.compactMap(\.self) }
    }
}
