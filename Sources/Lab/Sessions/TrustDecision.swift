// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// Whether a role's trust policy lets IAM Roles Anywhere create a session for a certificate.
///
/// The service takes the role, tags the session and sets its source identity; a policy that forgets one of the three
/// allows nothing. Source: IAM Roles Anywhere User Guide, "Trust model".
struct TrustDecision {
    static let service = "rolesanywhere.amazonaws.com"
    private static let actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]

    var environment: LabEnvironment
    var anchor: TrustAnchor
    var role: Role

    /// Evaluates the policy.
    ///
    /// - Parameters:
    ///   - client: The certificate.
    ///   - tags: What became of it.
    ///   - sessionName: The session's name.
    ///   - duration: How long the session is to last, in seconds.
    ///   - remoteAddress: Where the request came from, as `address:port`.
    ///   - now: The current time.
    /// - Returns: What allowed it, for the trace.
    /// - Throws: ``ServiceRefusal`` that says which action was not allowed and why.
    func check(
        _ client: ClientCertificate,
        _ tags: SessionTags,
        sessionName: String,
        duration: Int,
        remoteAddress: String,
        at now: Date
    ) throws -> String {
        let context = context(client, tags, sessionName, duration, remoteAddress, now)
        var statements: [String] = []
        for action in Self.actions {
            let decision = role.trustPolicy.decision(
                for: PolicyRequest(
                    action: action,
                    principal: .service(Self.service),
                    resource: role.arn.description,
                    context: context
                )
            )
            guard decision.isAllowed else {
                throw ServiceRefusal.denied(
                    "Unable to assume role for arn: \(role.arn)",
                    "the trust policy of \(role.name) does not allow \(action): "
                        + decision.explanation.map(\.text).joined(separator: "; "),
                    hint: hint(decision, tags, client)
                )
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

    private func context(
        _ client: ClientCertificate,
        _ tags: SessionTags,
        _ sessionName: String,
        _ duration: Int,
        _ remoteAddress: String,
        _ now: Date
    ) -> PolicyContext {
        var context = PolicyContext()
        context["aws:SourceArn"] = [anchor.arn.description]
        context["aws:SourceAccount"] = [environment.account]
        context["aws:PrincipalIsAWSService"] = ["true"]
        context["aws:PrincipalServiceName"] = [Self.service]
        context.describeRequest(at: now, from: remoteAddress, region: environment.region)
        context["sts:SourceIdentity"] = [client.sourceIdentity]
        context["sts:RoleSessionName"] = [sessionName]
        context["sts:DurationSeconds"] = ["\(duration)"]
        for (key, value) in tags.values {
            context["aws:PrincipalTag/\(key)"] = [value]
            context["aws:RequestTag/\(key)"] = [value]
        }
        if !tags.values.isEmpty { context["aws:TagKeys"] = tags.values.keys.sorted() }
        return context
    }
}
