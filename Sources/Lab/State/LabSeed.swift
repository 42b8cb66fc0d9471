// SPDX-License-Identifier: Apache-2.0

import AWSModel
package import Certificates
import SystemSupport

/// The trust anchors, roles and profiles that the lab starts with.
///
/// Their ARNs are derived from the CA certificates, the names, the region and the account: a script can keep them.
package struct LabSeed: Sendable {
    package let trustAnchors: [TrustAnchor]
    package let roles: [Role]
    package let profiles: [Profile]

    /// Creates one trust anchor of one or two CA certificates, one role and one profile.
    package init(certificates: [Certificate], in environment: LabEnvironment) throws(LabError) {
        let anchor = TrustAnchor(name: "lab-trust-anchor", bundle: try CertificateBundle(certificates), in: environment)
        let role = try Role(name: "lab-role", in: environment)
        trustAnchors = [anchor]
        roles = [role]
        profiles = [
            Profile(
                identifier: UniversalIdentifier.derived(from: [Array("profile".utf8), Array(anchor.identifier.utf8)]),
                name: "lab-profile", roleARNs: [role.arn.description], in: environment)
        ]
    }

    /// Reads a declaration of trust anchors, roles and profiles in JSON, as `templates/lab.json` is one.
    ///
    /// A trust anchor has a `name`, and in `certificates` the path of its PEM file; without, the CA's that the lab is
    /// started with. A role has a `name`, and may have a `path`, a `description`, `maxSessionDuration`,
    /// `attachedPolicyArns` and a `trustPolicy`, in which `${trustAnchor:NAME}` becomes the ARN of a trust anchor and
    /// `${account}` the account. A profile has a `name` and names its `roles`; it may have `managedPolicyArns`, a
    /// `sessionPolicy`, `durationSeconds` and `acceptRoleSessionName`. Everything is enabled unless `enabled` says no.
    ///
    /// - Parameters:
    ///   - bytes: The declaration.
    ///   - name: The file's name, for messages.
    ///   - environment: The region and the account.
    ///   - certificates: Reads the certificates at a path, or the CA's for `nil`.
    package init(
        reading bytes: [UInt8], name: String, in environment: LabEnvironment,
        certificates: (_ path: String?) throws -> [Certificate]
    ) throws {
        do {
            // A request may have no body; a file without contents is a mistake.
            guard bytes.contains(where: { $0 > 0x20 }) else { throw ServiceRefusal.validation("it is empty") }
            let members = try InputMembers(reading: bytes)
            try members.refuseOthers(than: ["trustAnchors", "roles", "profiles"])
            let anchors = try (members.objects("trustAnchors", AWSLimit.accountAnchorCount.range) ?? []).map {
                try TrustAnchor(seed: $0, environment, certificates)
            }
            let roles = try (members.objects("roles", AWSLimit.accountRoleCount.range) ?? []).map {
                try Role(seed: $0, anchors, environment)
            }
            trustAnchors = anchors
            self.roles = roles
            profiles = try (members.objects("profiles", AWSLimit.accountProfileCount.range) ?? []).map {
                try Profile(seed: $0, roles, environment)
            }
            try Self.refuseTwins(anchors.map(\.name), "trust anchors")
            // IAM's names differ in more than case.
            try Self.refuseTwins(roles.map { $0.name.lowercased() }, "roles")
            try Self.refuseTwins(profiles.map(\.name), "profiles")
        } catch let refusal as ServiceRefusal {
            throw LabError(
                .invalidResource, "the seed \(name) is refused: \(refusal.detail)",
                hint: refusal.hint ?? "see templates/lab.json")
        } catch let error as LabError {
            throw LabError(error.code, "the seed \(name) is refused: \(error.message)", hint: error.hint)
        }
    }

    private static func refuseTwins(_ names: [String], _ what: String) throws {
        for (index, name) in names.enumerated() where names[..<index].contains(name) {
            throw LabError(.invalidResource, "two \(what) have the name \(name)")
        }
    }
}

/// The characters of a file's path: Linux takes no longer one (PATH_MAX).
private let pathLength = 1...4_096

extension TrustAnchor {
    fileprivate init(
        seed members: InputMembers, _ environment: LabEnvironment,
        _ certificates: (_ path: String?) throws -> [Certificate]
    ) throws {
        try members.refuseOthers(than: ["name", "certificates", "enabled", "tags"])
        let name = try members.resourceName()
        let bundle = try CertificateBundle(try certificates(try members.string("certificates", pathLength)))
        let ders = bundle.certificates.map(\.derEncoded)
        self.init(
            identifier: UniversalIdentifier.derived(from: [Array("trust-anchor".utf8), Array(name.utf8)] + ders),
            name: name, bundle: bundle, in: environment
        )
        isEnabled = try members.boolean("enabled") ?? true
        tags = try members.tags() ?? []
    }
}

extension Role {
    fileprivate init(seed members: InputMembers, _ anchors: [TrustAnchor], _ environment: LabEnvironment) throws {
        try members.refuseOthers(than: [
            "name", "path", "description", "maxSessionDuration", "attachedPolicyArns", "trustPolicy", "tags",
        ])
        let name = try members.required("name", AWSLimit.roleNameLength.range, .roleName)
        let path = try members.string("path", AWSLimit.pathLength.range, .rolePath) ?? "/"
        var policy = try members.objectText("trustPolicy")?.replacing("${account}", with: environment.account)
        for anchor in anchors {
            policy = policy?.replacing("${trustAnchor:\(anchor.name)}", with: anchor.arn.description)
        }
        if let rest = policy?.firstRange(of: "${trustAnchor:"), let policy {
            let words = policy[rest.lowerBound...].prefix { $0 != "}" }
            throw LabError(
                .invalidResource,
                "the trust policy of the role \(name) names \(words)}, and the seed has no such trust anchor")
        }
        try self.init(name: name, path: path, trustPolicy: policy, in: environment)
        explanation = try members.string("description", AWSLimit.roleDescriptionLength.range)
        maximumSessionDuration =
            try members.integer("maxSessionDuration", AWSLimit.roleSessionDuration.range) ?? maximumSessionDuration
        attachedPolicyARNs =
            try members.strings(
                "attachedPolicyArns", AWSLimit.rolePolicyCount.range, AWSLimit.iamARNLength.range) ?? []
        for arn in attachedPolicyARNs where ManagedPolicy(arn) == nil {
            throw LabError(
                .invalidResource, "the role \(name) has the policy \(arn), which is none of AWS's own",
                hint: "give it one later: aws iam put-role-policy")
        }
        tags = try members.tags() ?? []
    }
}

extension Profile {
    fileprivate init(seed members: InputMembers, _ roles: [Role], _ environment: LabEnvironment) throws {
        try members.refuseOthers(than: [
            "name", "roles", "managedPolicyArns", "sessionPolicy", "durationSeconds", "acceptRoleSessionName",
            "enabled", "tags",
        ])
        let name = try members.resourceName()
        self.init(
            identifier: UniversalIdentifier.derived(from: [
                Array("profile".utf8), Array(environment.account.utf8), Array(name.utf8),
            ]), name: name, roleARNs: [], in: environment
        )
        try update(members, in: Account())
        for wanted in try members.strings("roles", AWSLimit.profileRoleCount.range, AWSLimit.arnLength.range) ?? [] {
            if let arn = AmazonResourceName(wanted) {
                guard arn.service == "iam", arn.resource.hasPrefix("role/") else {
                    throw LabError(.invalidResource, "the profile \(name) names \(wanted), which is not a role's ARN")
                }
                roleARNs.append(wanted)
            } else if let role = roles.first(where: { $0.name == wanted }) {
                roleARNs.append(role.arn.description)
            } else {
                throw LabError(.invalidResource, "the profile \(name) names the role \(wanted), which the seed lacks")
            }
        }
        isEnabled = try members.boolean("enabled") ?? true
        tags = try members.tags() ?? []
    }
}
