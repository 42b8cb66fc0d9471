// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService
import SystemSupport

/// The operation CreateSession: decides from the bytes received, and says why.
struct CreateSession: Sendable {
    private struct PathKey: Hashable, Sendable {
        var leaf: Certificate
        var chain: [Certificate]
        var anchors: [Certificate]
    }

    /// A path that was found, and when it holds.
    private struct VerifiedPath: Sendable {
        let text: String
        let certificates: [Certificate]

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

    /// What a request names.
    struct NamedResources {
        var anchor: TrustAnchor
        var profile: Profile
        var role: Role
    }

    let environment: LabEnvironment
    let store: ResourceStore
    let rate: RateLimit?
    let leaves = BoundedCache<String, ClientCertificate>(capacity: 128)
    let chains = BoundedCache<String, [Certificate]>(capacity: 32)
    private let expiresIn: Int?
    private let paths = BoundedCache<PathKey, VerifiedPath>(capacity: 128)

    /// Makes the operation.
    ///
    /// - Parameters:
    ///   - environment: Where the lab stands in AWS, the time, and chance.
    ///   - store: The account.
    ///   - faults: What it is to do otherwise than the service.
    init(environment: LabEnvironment, store: ResourceStore, faults: LabFaults = LabFaults()) {
        self.environment = environment
        self.store = store
        rate = faults.sessionsPerSecond.map { RateLimit(perSecond: $0) }
        expiresIn = faults.expiresIn
    }

    /// Answers a request.
    ///
    /// - Parameters:
    ///   - request: A request for the operation.
    ///   - trace: Takes the checks.
    /// - Returns: The answer.
    /// - Throws: ``ServiceRefusal``.
    func answer(_ request: HTTPRequest, _ trace: inout Trace) throws -> HTTPResponse {
        let now = trace.date
        if let rate { try trace.run(.rate) { try rate.check(at: request.arrival) } }
        let authentic = try authenticate(request, at: now, &trace)
        let parameters = try trace.run(.parameters) {
            (try SessionParameters(query: authentic.query, body: request.body), "three ARNs")
        }
        do {
            let output = try session(parameters, authentic, request.remoteAddress, at: now, &trace)
            return ServiceAnswer.json(.created, output, requestIdentifier: trace.requestIdentifier)
        } catch let refusal as ServiceRefusal {
            // The subject is known to be who it says: that it was refused is worth remembering.
            let sighting = CertificateUse(
                certificate: authentic.client.leaf,
                date: now,
                instanceProperties: parameters.instanceProperties
            )
            if trace.entries.contains(where: { $0.check == .path && $0.passed }) { _ = try store.record(sighting) }
            throw refusal
        }
    }

    private func session(
        _ parameters: SessionParameters,
        _ request: AuthenticRequest,
        _ remoteAddress: String,
        at now: Date,
        _ trace: inout Trace
    ) throws -> JSONValue {
        try trace.run(.duration) { try parameters.checkDuration() }
        try trace.run(.sessionName) { try parameters.checkNames() }
        let account = store.snapshot
        let named = try resources(parameters, account, &trace)
        try trace.run(.certificateRules) { try request.client.check(at: now) }
        let path = try trace.run(.path) {
            let path = try self.path(request, named.anchor, at: now)
            return (path.certificates, path.text)
        }
        try trace.run(.revocation) { try checkRevocation(path, named.anchor, account, at: now) }
        return try grant(parameters, request.client, named, remoteAddress, at: now, &trace)
    }

    // MARK: What is asked for

    private func resources(
        _ parameters: SessionParameters,
        _ account: Account,
        _ trace: inout Trace
    ) throws -> NamedResources {
        let anchor = try trace.run(.trustAnchor) {
            try Self.enabled(account.find(TrustAnchor.self, parameters.trustAnchor), parameters.trustAnchor, account)
        }
        let profile = try trace.run(.profile) {
            try Self.enabled(account.find(Profile.self, parameters.profile), parameters.profile, account)
        }
        let role = try trace.run(.role) {
            guard let role = account.role(parameters.role) else {
                throw ServiceRefusal.notFound(
                    "there is no role \(parameters.role)",
                    hint: Self.choice(account.roles.values.map(\.arn.description))
                )
            }
            return (role, role.name)
        }
        return NamedResources(anchor: anchor, profile: profile, role: role)
    }

    private static func enabled<Resource: AnywhereResource>(
        _ resource: Resource?,
        _ arn: AmazonResourceName,
        _ account: Account
    ) throws -> (Resource, String) {
        guard let resource else {
            throw ServiceRefusal.notFound(
                "there is no \(Resource.noun) \(arn)",
                hint: choice(account.all(Resource.self).map(\.arn.description))
            )
        }
        guard resource.isEnabled else {
            throw ServiceRefusal.notFound(
                "the \(Resource.noun) \(resource.name) is disabled",
                hint:
                    "enable it: aws rolesanywhere enable-\(Resource.kind) --\(Resource.kind)-id \(resource.identifier)"
            )
        }
        return (resource, resource.name)
    }

    private static func choice(_ names: [String]) -> String {
        guard !names.isEmpty else { return "make one first" }
        let more = names.count > 3 ? ", and \(names.count - 3) more" : ""
        return "there is: \(names.sorted().prefix(3).joined(separator: ", "))\(more)"
    }

    // MARK: The certificate

    private func path(_ request: AuthenticRequest, _ anchor: TrustAnchor, at now: Date) throws -> VerifiedPath {
        let key = PathKey(leaf: request.client.leaf, chain: request.chain, anchors: anchor.certificates)
        do {
            // Time is the only thing that can change between two verifications of the same certificates.
            let known = try paths.value(for: key) { try VerifiedPath(key, at: now) }
            return known.isValid(at: now) ? known : try VerifiedPath(key, at: now)
        } catch let error as CertificateError {
            throw ServiceRefusal.untrusted(
                error.message,
                hint: "send the intermediates, or use the trust anchor of the certificate's CA"
            )
        }
    }

    private func checkRevocation(
        _ path: [Certificate],
        _ anchor: TrustAnchor,
        _ account: Account,
        at now: Date
    ) throws -> String {
        let lists = account.revocationLists(of: anchor)
        var words: [String] = []
        for list in lists {
            guard list.isEnabled else {
                words.append("the CRL \(list.name) is disabled")
                continue
            }
            let named = path.filter { $0.issuer == list.list.issuer }
            guard !named.isEmpty else {
                words.append("the CRL \(list.name) is of \(list.list.issuer), which issued none of these certificates")
                continue
            }
            for certificate in named {
                guard let entry = list.list.entry(for: certificate.serialNumber) else { continue }
                let reason = entry.reason.map { ", reason \($0.name)" } ?? ""
                throw ServiceRefusal.untrusted(
                    "the certificate \(certificate.subject) is revoked",
                    detail: "the CRL \(list.name) says that \(certificate.subject), serial number "
                        + "\(certificate.serialNumber), was revoked at \(timestamp(entry.revocationDate))\(reason)",
                    hint: "issue another with: pki issue-client"
                )
            }
            let isStale = list.list.nextUpdate.map { $0 < now } ?? false
            words.append(
                "not in the CRL \(list.name)"
                    + (isStale ? ", which should have been imported again by now" : "")
            )
        }
        if anchor.checksDistributionPoints == true {
            words.append("the lab does not fetch CRLs from distribution points")
        }
        return words.isEmpty ? "no CRL was imported" : words.joined(separator: "; ")
    }

    // MARK: What is granted

    private func grant(
        _ parameters: SessionParameters,
        _ client: ClientCertificate,
        _ named: NamedResources,
        _ remoteAddress: String,
        at now: Date,
        _ trace: inout Trace
    ) throws -> JSONValue {
        let (profile, role) = (named.profile, named.role)
        try checkProfile(parameters, profile, role, &trace)
        let tags = try trace.run(.sessionTags) {
            let tags = SessionTags(client.attributes, by: profile.attributeMappings)
            return (tags, tags.words)
        }
        let sessionName = parameters.roleSessionName ?? ClientCertificate.sessionName(of: client.leaf)
        let seconds = min(profile.durationSeconds, parameters.durationSeconds ?? profile.durationSeconds)
        try trace.run(.trustPolicy) {
            try TrustDecision(environment: environment, anchor: named.anchor, role: role).check(
                client,
                tags,
                sessionName: sessionName,
                duration: seconds,
                remoteAddress: remoteAddress,
                at: now
            )
        }
        try trace.run(.roleDuration) {
            guard seconds <= role.maximumSessionDuration else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the session would last \(seconds) s, the role's MaxSessionDuration is \(role.maximumSessionDuration) s",
                    hint: "ask for a shorter session, or raise the role's MaxSessionDuration"
                )
            }
            return "\(seconds) s"
        }
        let issuedAt = Int(now.timeIntervalSince1970)
        let claims = SessionClaims(
            roleARN: role.arn.description,
            roleName: role.name,
            roleIdentifier: role.identifier,
            sessionName: sessionName,
            issuedAt: issuedAt,
            expiration: issuedAt + (expiresIn ?? seconds),
            sourceIdentity: client.sourceIdentity,
            tags: tags.values,
            sessionPolicy: profile.sessionPolicy,
            sessionPolicyARNs: profile.managedPolicyARNs
        )
        return try output(claims, client, parameters, at: now, &trace)
    }

    private func checkProfile(
        _ parameters: SessionParameters,
        _ profile: Profile,
        _ role: Role,
        _ trace: inout Trace
    ) throws {
        try trace.run(.roleInProfile) {
            guard profile.roleARNs.contains(role.arn.description) else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the role \(role.name) is not one of the profile \(profile.name)",
                    hint: "add its ARN to the profile's roleArns"
                )
            }
            return "\(role.name) in \(profile.name)"
        }
        try trace.run(.namingAllowed) {
            guard parameters.roleSessionName == nil || profile.acceptsRoleSessionName else {
                throw ServiceRefusal.denied(
                    "Not authorized to set roleSessionName.",
                    "the profile \(profile.name) does not let a request name its session",
                    hint: "leave roleSessionName out, or set acceptRoleSessionName on the profile"
                )
            }
            return parameters.roleSessionName == nil ? "not asked for" : "allowed"
        }
    }

    private func output(
        _ claims: SessionClaims,
        _ client: ClientCertificate,
        _ parameters: SessionParameters,
        at now: Date,
        _ trace: inout Trace
    ) throws -> JSONValue {
        let user = claims.assumedRole(in: environment).description
        let credentials = SessionCredentials(claims, key: store.sessionKey, in: environment)
        let record = SessionRecord(
            accessKeyIdentifier: credentials.accessKeyIdentifier,
            assumedRoleARN: user,
            roleARN: claims.roleARN,
            subject: client.subject,
            sourceIdentity: client.sourceIdentity,
            issuedAt: now,
            expiration: credentials.expiration,
            tags: claims.tags
        )
        let subject = try store.record(
            CertificateUse(
                certificate: client.leaf,
                date: now,
                instanceProperties: parameters.instanceProperties,
                session: record
            )
        )
        trace.assumedRole = user
        return [
            "credentialSet": [
                [
                    "assumedRoleUser": [
                        "arn": .string(user),
                        "assumedRoleId": .string("\(claims.roleIdentifier):\(claims.sessionName)"),
                    ],
                    "credentials": [
                        "accessKeyId": .string(credentials.accessKeyIdentifier),
                        "secretAccessKey": .string(credentials.secretAccessKey),
                        "sessionToken": .string(credentials.sessionToken),
                        "expiration": JSONValue(credentials.expiration),
                    ],
                    "packedPolicySize": 10,
                    "roleArn": .string(claims.roleARN),
                    "sourceIdentity": .string(client.sourceIdentity),
                ]
            ],
            "subjectArn": .string(subject.arn.description),
        ]
    }
}
