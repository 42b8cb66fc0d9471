// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// `pki issue-client --batch`: many hosts in one run.
struct IssueBatch {
    /// The hosts' file.
    var path: String
    /// What every request has that the file does not say.
    var pattern: ClientRequest
    /// How many threads make keys and sign.
    var jobs: Int
    /// Where an archive of all hosts' files goes.
    var archive: String?
    /// The archive may be there already.
    var replacesArchive: Bool

    /// Issues what is not there yet.
    ///
    /// - Parameter open: Opens the CA, once the file is known to be right.
    /// - Returns: What became of it.
    /// - Throws: An `ExplainedError`. What was issued until then stays, and the next run leaves it alone.
    func run(_ open: () throws -> CertificateAuthority) throws -> BatchReport {
        let hosts = try HostList(of: path, now: .now).hosts
        let requests = try hosts.map(request)
        for request in requests { try NameAcceptanceOptions.show(request) }
        if let archive { try AtomicFile.check(archive, replaces: replacesArchive) }
        let authority = try open()
        var bar: ProgressBar?
        var reported = 0
        var generator = SystemRandomNumberGenerator()
        let started = ContinuousClock.now
        let outcome: BatchOutcome
        do {
            outcome = try authority.issue(requests, jobs: jobs, now: { .now }, using: &generator) { done in
                // What is there already comes first.
                if let bar {
                    bar.advance(by: done - reported)
                } else {
                    bar = ProgressBar("issued", total: requests.count, done: done)
                }
                reported = done
            }
            if !outcome.issued.isEmpty { bar?.finish() }
        } catch {
            bar?.clear()
            if reported > 0 {
                Console.standard.note(
                    "\(reported) of \(requests.count) are issued; the same command goes on from there"
                )
            }
            throw error
        }
        for notice in outcome.notices { Console.standard.warning(notice) }
        if let archive {
            try FleetArchive.write(
                hosts.map(\.name),
                of: authority.inventory,
                to: archive,
                replaces: replacesArchive
            )
        }
        let seconds = ContinuousClock.now - started
        return BatchReport(
            issued: outcome.issued,
            skipped: outcome.skipped,
            directory: authority.inventory.directoryPath,
            archive: archive,
            seconds: Double(seconds.components.seconds) + Double(seconds.components.attoseconds) / 1e18
        )
    }

    private func request(for host: HostList.Host) throws -> ClientRequest {
        var request = pattern
        request.name = host.name
        request.nameIsCommonName = true
        if let profile = host.profile {
            guard let profile = Profile(rawValue: profile) else {
                throw InputError(
                    message: "\(path):\(host.line): there is no profile \(printable(profile))",
                    hint: "the profiles are \(Profile.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            request.template = try profile.template
        }
        if let subject = host.subject { request.subject = subject }
        if !host.subjectAlternativeNames.isEmpty { request.subjectAlternativeNames = host.subjectAlternativeNames }
        if let keyType = host.keyType { request.keyType = keyType }
        if let lifetime = host.lifetime { request.lifetime = lifetime }
        if let csr = host.certificateRequestPath {
            request.certificateRequest = try CertificateRequest(reading: InputFile.read(csr), name: csr)
            request.keyType = nil
            request.passphrase = nil
            request.bundle = nil
        }
        return request
    }
}

/// What a batch answers.
struct BatchReport: Report {
    /// The names that were issued.
    var issued: [String]
    /// The names that were there before.
    var skipped: [String]
    /// The CA's directory.
    var directory: String
    /// The archive of all hosts' files.
    var archive: String?
    /// How long it took.
    var seconds: Double

    var text: String {
        var lines = ["issued       \(issued.count) in \(directory)"]
        if !skipped.isEmpty { lines.append("skipped      \(skipped.count) that were issued before") }
        if let archive { lines.append("archive      \(archive) (readable by you alone)") }
        return lines.joined(separator: "\n")
    }
}
