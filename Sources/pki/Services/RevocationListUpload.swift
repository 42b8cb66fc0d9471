// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import AWSModel
import Certificates
import Dispatch
import FoundationEssentials
import RolesAnywhere
import Synchronization
import SystemSupport
import TrustAnchors

/// Gives the CRL of `pki serve-ca` to the trust anchors of IAM Roles Anywhere that have the CA, whenever it has changed.
///
/// It assumes a recorded role by a client certificate of its own.
final class RevocationListUpload: Sendable {
    private struct State {
        var stamp: RevocationListStamp?
        var identity: Identity?
        var credentials: SessionCredentials?
        /// Not to be tried before.
        var next: ContinuousClock.Instant?
        var failure: String?
        var isNearLimit = false
    }

    /// The shortest time between two uploads, in which the service gets two requests for each trust anchor.
    private static let pause: Duration = .seconds(10)
    /// The time after a failure, whose retries are over.
    private static let pauseAfterFailure: Duration = .seconds(30)

    private let authority: CertificateAuthority
    private let anchors: [AmazonResourceName]
    private let request: SessionRequest
    private let session: SessionClient
    private let clients: [String: RevocationListClient]
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "upload")

    /// - Parameters:
    ///   - authority: The CA whose CRL it is.
    ///   - directory: The CA's directory, with the recorded ARNs.
    ///   - role: The name of the recorded role; `nil` if there is only one.
    ///   - console: For warnings.
    init(
        of authority: CertificateAuthority, in directory: DirectoryOption, role: String?, console: Console
    ) throws {
        self.authority = authority
        let found = try AnchorsOfCA(
            of: authority.name, key: authority.certificate.publicKey.digest, in: directory.path)
        guard !found.holding.isEmpty else {
            throw InputError(
                message: "\(authority.name) is in no recorded trust anchor, and AWS takes a CRL only from a CA in it",
                hint: found.recorded.isEmpty ? "record it with its ARN: pki help set-arns" : found.hint)
        }
        anchors = found.holding.map(\.arn)
        let role = try ClientSource.recordedRole(role, in: directory.path)
        request = try SessionRequest(
            trustAnchorARN: "\(role.trustAnchorArn)", profileARN: "\(role.profileArn)", roleARN: "\(role.roleArn)")
        let environment = ProcessInfo.processInfo.environment
        let aws = try ServiceSettings(
            profile: "default", found: nil, config: nil, files: AWSFiles(environment), environment: environment)
        let network = try NetworkOptions.parse([])
        let transport = try network.transport(aws, console: console)
        session = network.client(
            at: try network.address(region: request.region, aws), region: request.region, console: console,
            transport: transport)
        var clients: [String: RevocationListClient] = [:]
        for region in Set(anchors.map(\.region)) {
            clients[region] = RevocationListClient(
                endpoint: try network.address(region: region, aws), region: region, transport: transport,
                dependencies: NetworkOptions.dependencies)
        }
        self.clients = clients
    }

    /// Looks at the CRL's file every second until the task is cancelled.
    func keepCurrent(_ console: Console) async {
        while !Task.isCancelled {
            await withCheckedContinuation { continuation in
                queue.async {
                    self.look(console)
                    continuation.resume()
                }
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private func look(_ console: Console) {
        let now = Date.now
        let (known, next) = state.withLock { ($0.stamp, $0.next) }
        guard next.map({ $0 <= .now }) ?? true,
            let stamp = try? authority.inventory.revocationListStamp(of: authority.name), stamp != known
        else { return }
        do {
            guard let list = try authority.inventory.revocationList(of: authority.name) else { return }
            let text = Array(list.pemEncoded.utf8)
            try check(text.count, console)
            let credentials = try credentials(at: now, console)
            for anchor in anchors {
                try clients[anchor.region]?.publish(
                    text, named: "\(authority.name)-crl", for: anchor, with: credentials)
            }
            state.withLock { state in
                (state.stamp, state.next, state.failure) = (stamp, .now + Self.pause, nil)
            }
            let count = anchors.count == 1 ? "" : " (\(anchors.count) trust anchors)"
            console.note("AWS has CRL \(list.number?.decimal ?? "") of \(authority.name)\(count)")
        } catch {
            let reason = (error as? any ExplainedError)?.message ?? "\(error)"
            let isNew = state.withLock { state in
                state.next = .now + Self.pauseAfterFailure
                defer { state.failure = reason }
                return state.failure != reason
            }
            if isNew { console.warning("AWS does not have the CRL of \(authority.name): \(reason)") }
        }
    }

    /// Warns of a CRL that AWS will not take for much longer, and refuses one that it does not take.
    private func check(_ length: Int, _ console: Console) throws {
        let limit = AWSLimit.crlLength.maximum
        let hint = "spread the clients over several intermediate CAs, each with its own CRL: pki issue-intermediate"
        guard length <= limit else {
            throw InputError(message: "it has \(length) bytes, and AWS accepts at most \(limit)", hint: hint)
        }
        let isNear = length > limit / 10 * 9
        let wasNear = state.withLock { state in
            defer { state.isNearLimit = isNear }
            return state.isNearLimit
        }
        guard isNear, !wasNear else { return }
        console.warning("the CRL of \(authority.name) has \(length) bytes, and AWS accepts at most \(limit)")
        console.hint(hint)
    }

    /// The session's credentials, obtained again five minutes before they expire.
    private func credentials(at now: Date, _ console: Console) throws -> SessionCredentials {
        let identity = try identity(at: now, console)
        if let known = state.withLock(\.credentials), known.expiration.timeIntervalSince(now) > 300 { return known }
        let made = try session.createSession(request, as: identity)
        state.withLock { $0.credentials = made }
        return made
    }

    /// The client certificate with its key, renewed when a third of its lifetime is left. When it was revoked, the credentials that it
    /// got are not used either.
    private func identity(at now: Date, _ console: Console) throws -> Identity {
        if let known = state.withLock(\.identity) {
            let isRevoked = try authority.inventory.isRevoked(known.certificate)
            if !isRevoked, OwnCertificate.aws.isFresh(known.certificate, of: authority, at: now) { return known }
            if isRevoked {
                console.warning("the server's certificate for AWS was revoked")
                state.withLock { $0.credentials = nil }
            }
        }
        var generator = SystemRandomNumberGenerator()
        let (certificate, key) = try authority.certificate(.aws, now: now, using: &generator)
        let made = try Identity(key: key, certificates: [certificate] + authority.chain)
        state.withLock { $0.identity = made }
        return made
    }
}
