// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService

/// The operation CreateSession: decides from the bytes received, and says why.
struct CreateSession: Sendable {
    /// How far a request's date may be from the lab's. AWS: "within five minutes of the time stamp in the request"
    /// (IAM User Guide, "Elements of an AWS API request signature"). 15 minutes are S3's.
    static let tolerance = 300.0

    private struct PathKey: Hashable, Sendable {
        var leaf: Certificate
        var chain: [Certificate]
        var anchors: [Certificate]
    }

    /// A path that was found, and when it holds.
    private struct VerifiedPath: Sendable {
        let text: String
        private let certificates: [Certificate]

        init(_ key: PathKey, at date: Date) throws(CertificateError) {
            certificates = try CertificateVerifier(anchors: key.anchors)
                .path(for: key.leaf, intermediates: key.chain, at: date)
            text = certificates.map { "\($0.subject)" }.joined(separator: " ← ")
        }

        func isValid(at date: Date) -> Bool { certificates.allSatisfy { $0.isValid(at: date) } }
    }

    /// What a request is known to be once its signature was found valid.
    struct AuthenticRequest {
        var client: ClientCertificate
        var chain: [Certificate]
        var query: [QueryParameter]
    }

    let environment: LabEnvironment
    let store: ResourceStore
    let leaves = BoundedCache<String, ClientCertificate>(capacity: 512)
    let chains = BoundedCache<String, [Certificate]>(capacity: 128)
    private let paths = BoundedCache<PathKey, VerifiedPath>(capacity: 512)

    init(environment: LabEnvironment, store: ResourceStore) {
        self.environment = environment
        self.store = store
    }

    /// Answers a request.
    ///
    /// - Parameter request: A request for the operation.
    /// - Returns: The answer, and how it came about.
    func answer(_ request: HTTPRequest) -> (response: HTTPResponse, trace: SessionTrace) {
        let now = environment.now()
        var trace = SessionTrace(
            requestIdentifier: environment.requestIdentifier(),
            date: now,
            remoteAddress: request.remoteAddress
        )
        do {
            let output = try session(for: request, at: now, &trace)
            trace.status = HTTPStatus.created.code
            let response = ServiceAnswer.success(.created, output, requestIdentifier: trace.requestIdentifier)
            return (response, trace)
        } catch let refusal as ServiceRefusal {
            trace.status = refusal.code.status.code
            trace.code = refusal.code.rawValue
            return (ServiceAnswer.failure(refusal, requestIdentifier: trace.requestIdentifier), trace)
        } catch {
            return (HTTPResponse(status: .internalServerError), trace)
        }
    }

    private func session(
        for request: HTTPRequest,
        at now: Date,
        _ trace: inout SessionTrace
    ) throws -> CreateSessionOutput {
        let authentic = try authenticate(request, at: now, &trace)
        let parameters = try trace.run(.parameters) {
            (try SessionParameters(query: authentic.query, body: request.body), "three ARNs")
        }
        try trace.run(.duration) { try parameters.checkDuration() }
        try trace.run(.sessionName) { try parameters.checkNames() }
        let (anchor, profile, role) = try resources(parameters, &trace)
        try trace.run(.certificateRules) { try authentic.client.check(at: now) }
        try trace.run(.path) { try checkPath(authentic, anchor, at: now) }
        return try grant(parameters, authentic.client, profile, role, at: now, &trace)
    }

    // MARK: What is asked for

    private func resources(
        _ parameters: SessionParameters,
        _ trace: inout SessionTrace
    ) throws -> (TrustAnchor, Profile, Role) {
        let anchor = try trace.run(.trustAnchor) {
            guard let anchor = store.trustAnchor(parameters.trustAnchor) else {
                throw ServiceRefusal.notFound("there is no trust anchor \(parameters.trustAnchor)")
            }
            guard anchor.isEnabled else { throw ServiceRefusal.notFound("the trust anchor \(anchor.name) is disabled") }
            return (anchor, anchor.name)
        }
        let profile = try trace.run(.profile) {
            guard let profile = store.profile(parameters.profile) else {
                throw ServiceRefusal.notFound("there is no profile \(parameters.profile)")
            }
            guard profile.isEnabled else { throw ServiceRefusal.notFound("the profile \(profile.name) is disabled") }
            return (profile, profile.name)
        }
        let role = try trace.run(.role) {
            guard let role = store.role(parameters.role) else {
                throw ServiceRefusal.notFound("there is no role \(parameters.role)")
            }
            return (role, role.name)
        }
        return (anchor, profile, role)
    }

    private func checkPath(_ request: AuthenticRequest, _ anchor: TrustAnchor, at now: Date) throws -> String {
        let key = PathKey(leaf: request.client.leaf, chain: request.chain, anchors: anchor.certificates)
        do {
            // Time is the only thing that can change between two verifications of the same certificates.
            let known = try paths.value(for: key) { try VerifiedPath(key, at: now) }
            let path = known.isValid(at: now) ? known : try VerifiedPath(key, at: now)
            return path.text
        } catch let error as CertificateError {
            throw ServiceRefusal.untrusted(
                error.message,
                remedy: "send the intermediates, or use the trust anchor of the certificate's CA"
            )
        }
    }

    // MARK: What is granted

    private func grant(
        _ parameters: SessionParameters,
        _ client: ClientCertificate,
        _ profile: Profile,
        _ role: Role,
        at now: Date,
        _ trace: inout SessionTrace
    ) throws -> CreateSessionOutput {
        try trace.run(.roleInProfile) {
            guard profile.roleARNs.contains(role.arn.description) else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the role \(role.name) is not one of the profile \(profile.name)"
                )
            }
            return "\(role.name) in \(profile.name)"
        }
        try trace.run(.namingAllowed) {
            guard parameters.roleSessionName == nil || profile.acceptsRoleSessionName else {
                throw ServiceRefusal.denied(
                    "Not authorized to set roleSessionName.",
                    "the profile \(profile.name) does not let a request name its session",
                    remedy: "leave roleSessionName out, or set acceptRoleSessionName on the profile"
                )
            }
            return parameters.roleSessionName == nil ? "not asked for" : "allowed"
        }
        let seconds = min(profile.durationSeconds, parameters.durationSeconds ?? profile.durationSeconds)
        try trace.run(.roleDuration) {
            guard seconds <= role.maximumSessionDuration else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the session would last \(seconds) s, the role's MaxSessionDuration is \(role.maximumSessionDuration) s",
                    remedy: "ask for a shorter session, or raise the role's MaxSessionDuration"
                )
            }
            return "\(seconds) s"
        }
        let sessionName = parameters.roleSessionName ?? client.leaf.serialNumber.hexadecimal
        let user = AmazonResourceName(
            global: "sts",
            "assumed-role/\(role.name)/\(sessionName)",
            region: environment.region,
            account: environment.account
        )
        trace.assumedRole = user.description
        let credentials = SessionCredentials(
            drawnFrom: environment,
            expiration: now.addingTimeInterval(Double(seconds))
        )
        let set = CreateSessionOutput.CredentialSet(
            assumedRoleUser: .init(arn: user.description, assumedRoleId: "\(role.identifier):\(sessionName)"),
            credentials: .init(credentials),
            packedPolicySize: 10,
            roleArn: role.arn.description,
            sourceIdentity: client.sourceIdentity
        )
        let subject = store.recordSubject(of: client.leaf, at: now)
        return CreateSessionOutput(credentialSet: [set], subjectArn: subject.arn.description)
    }
}
