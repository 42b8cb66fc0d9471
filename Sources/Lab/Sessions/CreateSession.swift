// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport

/// The operation CreateSession: decides from the bytes received, and says why.
struct CreateSession: Sendable {
    private struct PathKey: Hashable, Sendable {
        var leaf: Certificate
        var chain: [Certificate]
        var anchors: [Certificate]
    }

    /// A path that was found, and when it is valid.
    private struct VerifiedPath: Sendable {
        let text: String
        let certificates: [Certificate]

        init(_ key: PathKey, at date: Date) throws(CertificateError) {
            var verifier = CertificateVerifier(anchors: key.anchors)
            verifier.isStrict = false
            certificates = try verifier.path(for: key.leaf, intermediates: key.chain, at: date)
            text = certificates.map { "\($0.subject)" }.joined(separator: " ← ")
        }

        func isValid(at date: Date) -> Bool { certificates.allSatisfy { $0.isValid(at: date) } }
    }

    /// What is known of a request whose signature is valid.
    struct AuthenticRequest {
        var client: ClientCertificate
        var chain: [Certificate]
        var query: [QueryParameter]
    }

    let environment: LabEnvironment
    let store: ResourceStore
    let leaves = BoundedCache<String, ClientCertificate>(capacity: 128)
    let chains = BoundedCache<String, [Certificate]>(capacity: 32)
    private let paths = BoundedCache<PathKey, VerifiedPath>(capacity: 128)
    private let rate: RateLimit?
    private let expiresIn: Int?

    init(environment: LabEnvironment, store: ResourceStore, faults: LabFaults = LabFaults()) {
        self.environment = environment
        self.store = store
        rate = faults.sessionsPerSecond.map { RateLimit(perSecond: $0) }
        expiresIn = faults.expiresIn
    }

    func answer(_ request: HTTPRequest, _ trace: inout Trace) throws -> HTTPResponse {
        if let rate { try trace.run(.rate) { try rate.check(at: request.arrival) } }
        let authentic = try authenticate(request, &trace)
        let client = authentic.client
        let parameters = try trace.run(.parameters) {
            (try SessionParameters(query: authentic.query, body: request.body), "three ARNs")
        }
        var use = CertificateUse(
            certificate: client.leaf, date: trace.date, instanceProperties: parameters.instanceProperties)
        let claims: SessionClaims
        do {
            claims = try decide(parameters, authentic, request.remoteAddress, &trace)
        } catch let refusal as ServiceRefusal {
            // Who asked is known by then, and is remembered also when the session is refused.
            if trace.entries.contains(where: { $0.check == .path && $0.passed }) { _ = try store.record(use) }
            throw refusal
        }
        let credentials = SessionCredentials(claims, key: store.sessionKey, in: environment)
        let user = claims.assumedRole(in: environment)
        use.session = SessionRecord(
            accessKeyIdentifier: credentials.accessKeyIdentifier, assumedRoleARN: user, roleARN: claims.roleARN,
            subject: client.subject, sourceIdentity: client.sourceIdentity, issuedAt: trace.date,
            expiration: credentials.expiration, tags: claims.tags)
        let subject = try store.record(use)
        trace.assumedRole = user
        let session: JSONValue = [
            "assumedRoleUser": [
                "arn": .string(user), "assumedRoleId": .string("\(claims.roleIdentifier):\(claims.sessionName)"),
            ],
            "credentials": [
                "accessKeyId": .string(credentials.accessKeyIdentifier),
                "secretAccessKey": .string(credentials.secretAccessKey),
                "sessionToken": .string(credentials.sessionToken), "expiration": JSONValue(credentials.expiration),
            ],
            "packedPolicySize": 10, "roleArn": .string(claims.roleARN),
            "sourceIdentity": .string(client.sourceIdentity),
        ]
        return ServiceAnswer.json(
            .created, ["credentialSet": [session], "subjectArn": .string(subject.arn.description)],
            requestIdentifier: trace.requestIdentifier)
    }

    /// Runs the checks from the parameters to the role, in the order of ``Check/ofCreateSession``.
    private func decide(
        _ parameters: SessionParameters, _ request: AuthenticRequest, _ remoteAddress: String, _ trace: inout Trace
    ) throws -> SessionClaims {
        let now = trace.date
        let client = request.client
        try trace.run(.duration) { try parameters.checkDuration() }
        try trace.run(.sessionName) { try parameters.checkNames() }
        let account = store.snapshot
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
                    hint: Self.choice(account.roles.values.map(\.arn.description)))
            }
            return (role, role.name)
        }
        try trace.run(.certificateRules) { try client.check(at: now) }
        let path = try trace.run(.path) {
            let path = try self.path(request, anchor, at: now)
            return (path.certificates, path.text)
        }
        try trace.run(.revocation) { try Self.checkRevocation(path, anchor, account, at: now) }
        try Self.check(profile, allows: role, parameters, &trace)
        let tags = try trace.run(.sessionTags) {
            let tags = SessionTags(client.attributes, by: profile.attributeMappings)
            return (tags, tags.words)
        }
        let sessionName = parameters.roleSessionName ?? SessionPreview.sessionName(of: client.leaf)
        let seconds = min(profile.durationSeconds, parameters.durationSeconds ?? profile.durationSeconds)
        try trace.run(.trustPolicy) {
            var context = PolicyContext()
            context.describeRequest(at: now, from: remoteAddress, region: environment.region)
            context["sts:RoleSessionName"] = [sessionName]
            context["sts:DurationSeconds"] = ["\(seconds)"]
            return try TrustDecision(environment: environment, anchor: anchor, role: role)
                .check(client, tags, context)
        }
        try trace.run(.roleDuration) {
            guard seconds <= role.maximumSessionDuration else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the session would last \(seconds) s, the role's MaxSessionDuration is \(role.maximumSessionDuration) s",
                    hint: "ask for a shorter session, or raise the role's MaxSessionDuration")
            }
            return "\(seconds) s"
        }
        let issuedAt = Int(now.timeIntervalSince1970)
        return SessionClaims(
            roleARN: role.arn.description, roleName: role.name, roleIdentifier: role.identifier,
            sessionName: sessionName, issuedAt: issuedAt, expiration: issuedAt + (expiresIn ?? seconds),
            sourceIdentity: client.sourceIdentity, tags: tags.values, sessionPolicy: profile.sessionPolicy,
            sessionPolicyARNs: profile.managedPolicyARNs)
    }

    private static func enabled<Resource: AnywhereResource>(
        _ resource: Resource?, _ arn: AmazonResourceName, _ account: Account
    ) throws -> (Resource, String) {
        guard let resource else {
            throw ServiceRefusal.notFound(
                "there is no \(Resource.noun) \(arn)", hint: choice(account.all(Resource.self).map(\.arn.description)))
        }
        guard resource.isEnabled else {
            throw ServiceRefusal.notFound(
                "the \(Resource.noun) \(resource.name) is disabled",
                hint:
                    "enable it: aws rolesanywhere enable-\(Resource.kind) --\(Resource.kind)-id \(resource.identifier)")
        }
        return (resource, resource.name)
    }

    private static func choice(_ names: [String]) -> String {
        guard !names.isEmpty else { return "make one first" }
        let more = names.count > 3 ? ", and \(names.count - 3) more" : ""
        return "there is: \(names.sorted().prefix(3).joined(separator: ", "))\(more)"
    }

    private func path(_ request: AuthenticRequest, _ anchor: TrustAnchor, at now: Date) throws -> VerifiedPath {
        let key = PathKey(leaf: request.client.leaf, chain: request.chain, anchors: anchor.certificates)
        do {
            // Only time can change between two verifications of the same certificates.
            let known = try paths.value(for: key) { try VerifiedPath(key, at: now) }
            let path = known.isValid(at: now) ? known : try VerifiedPath(key, at: now)
            try Self.checkAbove(path.certificates.dropFirst().dropLast(), as: .intermediate, at: now)
            return path
        } catch let error as CertificateError {
            // A rule that a certificate above the client's breaks says more than libcrypto does.
            try Self.checkAbove(request.chain[...], as: .intermediate, at: now)
            try Self.checkAbove(anchor.certificates[...], as: .anchor, at: now)
            throw ServiceRefusal.untrusted(
                error.message, hint: "send the intermediates, or use the trust anchor of the certificate's CA")
        }
    }

    private static func checkAbove(
        _ certificates: ArraySlice<Certificate>, as part: CertificateJudge.Part, at now: Date
    ) throws(ServiceRefusal) {
        for certificate in certificates {
            guard let finding = CertificateJudge.findings(in: certificate, as: part, at: now).errors.first else {
                continue
            }
            throw .untrusted(
                "\(part == .anchor ? "the trust anchor" : "the intermediate") \(certificate.subject) \(finding.finding)",
                hint: finding.hint)
        }
    }

    private static func checkRevocation(
        _ path: [Certificate], _ anchor: TrustAnchor, _ account: Account, at now: Date
    ) throws -> String {
        var words: [String] = []
        for list in account.revocationLists(of: anchor) {
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
                    hint: "issue another with: pki issue-client")
            }
            let isStale = list.list.nextUpdate.map { $0 < now } ?? false
            words.append(
                "not in the CRL \(list.name)" + (isStale ? ", which should have been imported again by now" : ""))
        }
        if anchor.checksDistributionPoints == true {
            words.append("the lab does not fetch CRLs from distribution points")
        }
        return words.isEmpty ? "no CRL was imported" : words.joined(separator: "; ")
    }

    private static func check(
        _ profile: Profile, allows role: Role, _ parameters: SessionParameters, _ trace: inout Trace
    ) throws {
        try trace.run(.roleInProfile) {
            guard profile.roleARNs.contains(role.arn.description) else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the role \(role.name) is not one of the profile \(profile.name)",
                    hint: "add its ARN to the profile's roleArns")
            }
            return "\(role.name) in \(profile.name)"
        }
        try trace.run(.namingAllowed) {
            guard let name = parameters.roleSessionName else { return "not asked for" }
            guard profile.acceptsRoleSessionName else {
                throw ServiceRefusal.denied(
                    "Not authorized to set roleSessionName.",
                    "the profile \(profile.name) does not let a request name its session, here \"\(name)\"",
                    hint: "leave roleSessionName out, or set acceptRoleSessionName on the profile")
            }
            return "allowed"
        }
    }
}

/// Whether a role's trust policy lets IAM Roles Anywhere create a session for a certificate.
///
/// The service assumes the role, tags the session and sets its source identity; a policy that forgets one of the three
/// allows nothing. Source: IAM Roles Anywhere User Guide, "Trust model".
struct TrustDecision {
    var environment: LabEnvironment
    var anchor: TrustAnchor
    var role: Role

    /// Returns what allows the session, for the trace. The context holds what is known of the request already.
    func check(_ client: ClientCertificate, _ tags: SessionTags, _ request: PolicyContext) throws -> String {
        var context = request
        context["aws:SourceArn"] = [anchor.arn.description]
        context["aws:SourceAccount"] = [environment.account]
        context["aws:PrincipalIsAWSService"] = ["true"]
        context["aws:PrincipalServiceName"] = [RolesAnywhereService.principal]
        context["sts:SourceIdentity"] = [client.sourceIdentity]
        for (key, value) in tags.values {
            context["aws:PrincipalTag/\(key)"] = [value]
            context["aws:RequestTag/\(key)"] = [value]
        }
        context["aws:TagKeys"] = tags.values.keys.sorted()
        var statements: [String] = []
        for action in RolesAnywhereService.trustPolicyActions {
            let decision = role.trustPolicy.decision(
                for: PolicyRequest(
                    action: action, principal: .service(RolesAnywhereService.principal), resource: role.arn.description,
                    context: context))
            guard decision.isAllowed else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the trust policy of \(role.name) does not allow \(action): "
                        + decision.explanation.map(\.text).joined(separator: "; "), hint: hint(decision, tags, client))
            }
            let statement = decision.statement ?? ""
            if !statements.contains(statement) { statements.append(statement) }
        }
        return statements.joined(separator: ", ") + " of \(role.name)"
    }

    private func hint(_ decision: PolicyDecision, _ tags: SessionTags, _ client: ClientCertificate) -> String {
        if let hint = decision.explanation.compactMap(\.hint).first {
            guard !tags.dropped.isEmpty else { return hint }
            return hint + "; the service drops values with other characters: \(tags.dropped.joined(separator: ", "))"
        }
        var command = ["pki", "print-trust-policy", "--trust-anchor-arn", anchor.arn.description]
        // The client wrote the name. One that cannot be typed, or that would be a pattern for others, is left out: the command
        // then asks for the names that it wants.
        if let name = client.leaf.subject.commonName,
            !name.unicodeScalars.contains(where: { $0.isControl || $0 == "*" || $0 == "?" })
        {
            command.append("--subject-cn=\(name)")
        }
        return "print one that allows it: \(Quoting.command(command))"
    }
}
