// SPDX-License-Identifier: Apache-2.0

package import Certificates
import FoundationEssentials
import SystemSupport

extension LabSeed {
    /// Reads a declaration of trust anchors, roles and profiles, as `templates/lab.json` is one.
    ///
    /// A trust anchor has a `name`, and in `certificates` the path of its PEM file; without, the CA's that the lab is
    /// started with. A role has a `name`, and may have a `path`, a `description`, `maxSessionDuration`,
    /// `attachedPolicyArns` and a `trustPolicy`, in which `${trustAnchor:NAME}` stands for the ARN of a trust anchor and
    /// `${account}` for the account. A profile has a `name` and names its `roles`; it may have `managedPolicyArns`, a
    /// `sessionPolicy`, `durationSeconds` and `acceptRoleSessionName`. Everything is enabled unless `enabled` says no.
    ///
    /// - Parameters:
    ///   - bytes: The declaration in JSON.
    ///   - name: What the file is called in messages.
    ///   - environment: The region and the account.
    ///   - certificates: Reads the certificates at a path, or the CA's when there is none.
    /// - Throws: ``LabError`` naming the place and the rule, or what reading certificates throws.
    package init(
        reading bytes: [UInt8],
        name: String,
        in environment: LabEnvironment,
        certificates: (_ path: String?) throws -> [Certificate]
    ) throws {
        do {
            let members = try InputMembers(reading: bytes)
            try members.refuseOthers(than: ["trustAnchors", "roles", "profiles"])
            let anchors = try (members.objects("trustAnchors", 0...Account.trustAnchorLimit) ?? []).map {
                try Self.trustAnchor($0, environment, certificates)
            }
            let roles = try (members.objects("roles", 0...1_000) ?? []).map { try Self.role($0, anchors, environment) }
            let profiles = try (members.objects("profiles", 0...Account.profileLimit) ?? []).map {
                try Self.profile($0, roles, environment)
            }
            try Self.refuseTwins(anchors.map(\.name), "trust anchors")
            // IAM's names differ in more than case.
            try Self.refuseTwins(roles.map { $0.name.lowercased() }, "roles")
            try Self.refuseTwins(profiles.map(\.name), "profiles")
            self.init(trustAnchors: anchors, roles: roles, profiles: profiles)
        } catch let refusal as ServiceRefusal {
            throw LabError(
                .invalidResource,
                "the seed \(name) is refused: \(refusal.detail)",
                hint: refusal.hint ?? "see templates/lab.json"
            )
        } catch let error as LabError {
            throw LabError(error.code, "the seed \(name) is refused: \(error.message)", hint: error.hint)
        }
    }

    private static func trustAnchor(
        _ members: InputMembers,
        _ environment: LabEnvironment,
        _ certificates: (_ path: String?) throws -> [Certificate]
    ) throws -> TrustAnchor {
        try members.refuseOthers(than: ["name", "certificates", "enabled", "tags"])
        let name = try members.required("name", 1...255, .resourceName)
        let bundle = try CertificateBundle(try certificates(try members.string("certificates", 1...4_096)))
        var anchor = TrustAnchor(
            identifier: UniversalIdentifier.derived(
                from: [Array("trust-anchor".utf8), Array(name.utf8)] + bundle.certificates.map(\.derEncoded)
            ),
            name: name,
            bundle: bundle,
            in: environment
        )
        anchor.isEnabled = try members.boolean("enabled") ?? true
        anchor.tags = try members.tags() ?? []
        return anchor
    }

    private static func role(
        _ members: InputMembers,
        _ anchors: [TrustAnchor],
        _ environment: LabEnvironment
    ) throws -> Role {
        try members.refuseOthers(than: [
            "name", "path", "description", "maxSessionDuration", "attachedPolicyArns", "trustPolicy", "tags",
        ])
        let name = try members.required("name", 1...64, .roleName)
        let path = try members.string("path", 1...512, .rolePath) ?? "/"
        var policy = try members.objectText("trustPolicy")?.replacing("${account}", with: environment.account)
        for anchor in anchors {
            policy = policy?.replacing("${trustAnchor:\(anchor.name)}", with: anchor.arn.description)
        }
        if let rest = policy?.firstRange(of: "${trustAnchor:"), let policy {
            let words = policy[rest.lowerBound...].prefix { $0 != "}" }
            throw LabError(
                .invalidResource,
                "the trust policy of the role \(name) names \(words)}, and the seed has no such trust anchor"
            )
        }
        var role = try Role(
            name: name,
            path: path,
            trustPolicy: policy,
            in: environment
        )
        role.explanation = try members.string("description", 0...1_000)
        role.maximumSessionDuration = try members.integer("maxSessionDuration", 3_600...43_200) ?? 3_600
        role.attachedPolicyARNs = try members.strings("attachedPolicyArns", 0...10, 20...2_048) ?? []
        for arn in role.attachedPolicyARNs where ManagedPolicyName(arn) == nil {
            throw LabError(
                .invalidResource,
                "the role \(name) has the policy \(arn), which is none of AWS's own",
                hint: "give it one later: aws iam put-role-policy"
            )
        }
        role.tags = try members.tags() ?? []
        return role
    }

    private static func profile(
        _ members: InputMembers,
        _ roles: [Role],
        _ environment: LabEnvironment
    ) throws -> Profile {
        try members.refuseOthers(than: [
            "name", "roles", "managedPolicyArns", "sessionPolicy", "durationSeconds", "acceptRoleSessionName",
            "enabled",
            "tags",
        ])
        let name = try members.required("name", 1...255, .resourceName)
        let names = try members.strings("roles", 0...250, 1...1_011) ?? []
        var profile = Profile(
            identifier: UniversalIdentifier.derived(
                from: [Array("profile".utf8), Array(environment.account.utf8), Array(name.utf8)]
            ),
            name: name,
            roleARNs: try names.map { wanted in
                if let arn = AmazonResourceName(wanted) {
                    guard arn.service == "iam", arn.resource.hasPrefix("role/") else {
                        throw LabError(.invalidResource, "the profile \(name) names \(wanted), the ARN of no role")
                    }
                    return wanted
                }
                guard let role = roles.first(where: { $0.name == wanted }) else {
                    throw LabError(
                        .invalidResource,
                        "the profile \(name) names the role \(wanted), which the seed lacks"
                    )
                }
                return role.arn.description
            },
            in: environment
        )
        try ControlPlane.apply(members, to: &profile)
        profile.isEnabled = try members.boolean("enabled") ?? true
        profile.tags = try members.tags() ?? []
        return profile
    }

    private static func refuseTwins(_ names: [String], _ what: String) throws {
        for (index, name) in names.enumerated() where names[..<index].contains(name) {
            throw LabError(.invalidResource, "two \(what) have the name \(name)")
        }
    }
}
