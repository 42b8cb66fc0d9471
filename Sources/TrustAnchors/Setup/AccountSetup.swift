// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
public import SystemSupport

/// The resources in AWS for the clients of a CA: a trust anchor, and roles with their trust policies and profiles.
public struct AccountSetup: Sendable {
    /// The language of the output.
    public enum Format: String, CaseIterable, Sendable {
        /// A template of AWS CloudFormation.
        case cloudFormation = "cloudformation"
        /// A configuration of Terraform.
        case terraform
        /// A POSIX shell script that calls the AWS CLI.
        case awsCLI = "aws-cli"
    }

    /// The default policy of roles and sessions.
    public static let defaultManagedPolicies = ["ReadOnlyAccess", "IAMAccessAnalyzerReadOnlyAccess"]

    /// A role, the profile that allows it, and which certificates can assume it.
    public struct Role: Sendable {
        /// The role's name. Empty for the default until the role is part of a set-up.
        public internal(set) var name: String
        /// The profile's name, which a set-up chooses.
        public internal(set) var profileName = ""
        /// The conditions on a certificate, all of which must hold.
        public let conditions: [CertificateCondition]
        /// The managed policies, to which the profile limits sessions too: in a set-up, their ARNs.
        public internal(set) var managedPolicies: [String]
        /// The longest duration of sessions in seconds.
        public let durationSeconds: Int
        /// Whether a request may name its session.
        public let acceptsRoleSessionName: Bool

        /// Creates a role. Throws ``TrustAnchorError`` if every certificate could assume it unintentionally.
        ///
        /// - Parameters:
        ///   - name: 1 to 64 characters of `A-Za-z0-9_+=,.@-`; by default derived from the set-up's name.
        ///   - conditions: Which certificates can assume the role.
        ///   - allowsAnyCertificate: Whether the conditions may be empty.
        ///   - managedPolicies: 1 to 10 ARNs of managed policies, or names of AWS managed policies.
        ///   - durationSeconds: 900 to 43200.
        ///   - acceptsRoleSessionName: Whether a request may name its session.
        public init(
            name: String? = nil, conditions: [CertificateCondition], allowsAnyCertificate: Bool = false,
            managedPolicies: [String] = AccountSetup.defaultManagedPolicies, durationSeconds: Int? = nil,
            acceptsRoleSessionName: Bool = false
        ) throws(TrustAnchorError) {
            try TrustPolicy.check(conditions, allowsAnyCertificate)
            if let name { try AccountSetup.check(roleName: name) }
            self.name = name ?? ""
            self.conditions = conditions
            self.managedPolicies = managedPolicies
            self.durationSeconds = durationSeconds ?? AWSLimit.defaultSessionDuration
            self.acceptsRoleSessionName = acceptsRoleSessionName
        }

        /// The maximum session duration of the role, at least AWS's minimum.
        var roleDurationSeconds: Int { max(AWSLimit.roleSessionDuration.minimum, durationSeconds) }
    }

    /// The CA certificates.
    public let bundle: TrustAnchorBundle
    /// The name of the trust anchor.
    public let name: String
    /// The ARN of a trust anchor that exists; `nil` to create one.
    public let trustAnchorARN: String?
    /// The roles, of which there is at least one.
    public let roles: [Role]
    /// The AWS region; `nil` for the default of the tool.
    public let region: String?
    /// The beginning of the command that records the ARNs where the CA is, for a shell; `nil` to record nothing.
    package var recordingCommand: String?

    /// Creates a set-up. Throws ``TrustAnchorError`` if AWS would not accept it.
    ///
    /// - Parameters:
    ///   - bundle: The CA certificates of the trust anchor.
    ///   - name: 1 to 200 letters, digits, blanks, `-` and `_`; by default derived from the first CA's common name.
    ///   - roles: The roles. With several, each profile has the name of its role.
    ///   - trustAnchorARN: The ARN of a trust anchor of the CA that exists; by default one is created.
    ///   - region: The AWS region; `nil` for that of the trust anchor, or the default of the tool.
    ///   - partition: The partition of AWS managed policies, such as `aws-cn`; by default that of the region.
    public init(
        bundle: TrustAnchorBundle, name: String? = nil, roles: [Role], trustAnchorARN: String? = nil,
        region: String? = nil, partition: String? = nil
    ) throws(TrustAnchorError) {
        let anchorName = name ?? String(bundle.suggestedName.prefix(200))
        try TrustAnchorBundle.check(name: anchorName)
        guard anchorName.count <= 200 else {
            throw TrustAnchorError(.name, "the name has \(anchorName.count) characters; the limit is 200")
        }
        if let trustAnchorARN { try TrustPolicy.check(trustAnchorARN) }
        let region = region ?? trustAnchorARN.flatMap { AmazonResourceName($0)?.region }
        if let region { try TrustAnchorBundle.check(region: region) }
        let partition = partition ?? Partition(of: region ?? "").name
        var resolved: [Role] = []
        for var role in roles {
            let hasName = !role.name.isEmpty
            if !hasName { role.name = String(anchorName.map { $0 == " " ? "-" : $0 }.prefix(50)) + "-RolesAnywhere" }
            try Self.check(roleName: role.name)
            guard !resolved.contains(where: { $0.name == role.name }) else {
                throw TrustAnchorError(
                    .name, "there are two roles \(role.name)", hint: "give each its own name: --role NAME")
            }
            let isNamedAlike = roles.count == 1 && (name != nil || !hasName)
            role.profileName = isNamedAlike ? anchorName : Self.profileName(role.name)
            let most = AWSLimit.rolePolicyCount.maximum
            guard (1...most).contains(role.managedPolicies.count) else {
                throw TrustAnchorError(
                    .name, "there are \(role.managedPolicies.count) managed policies; a role can have 1 to \(most)",
                    hint: "choose them: --managed-policy NAME")
            }
            var arns: [String] = []
            for policy in role.managedPolicies { arns.append(try Self.arn(policy, partition)) }
            role.managedPolicies = arns
            let profile = ProfileValues(
                name: role.profileName, roleCount: 1, managedPolicies: arns, durationSeconds: role.durationSeconds)
            if let finding = AWSRules.profile.findings(in: profile).errors.first {
                throw TrustAnchorError(
                    finding.rule.name == "aws-profile-duration" ? .duration : .name, "the profile \(finding.finding)",
                    hint: finding.hint)
            }
            resolved.append(role)
        }
        self.bundle = bundle
        self.name = anchorName
        self.trustAnchorARN = trustAnchorARN
        self.roles = resolved
        self.region = region
    }

    static func check(roleName: String) throws(TrustAnchorError) {
        guard RecordedResources.isName(roleName) else {
            throw TrustAnchorError(
                .name, "AWS does not allow the role name \"\(roleName)\"",
                hint: "use 1 to 64 letters, digits and _+=,.@-")
        }
    }

    /// A profile's name has fewer characters than a role's.
    private static func profileName(_ role: String) -> String {
        String(decoding: role.utf8.map { AWSText.resourceName.allows($0) ? $0 : UInt8(ascii: "-") }, as: UTF8.self)
    }

    private static func arn(_ policy: String, _ partition: String) throws(TrustAnchorError) -> String {
        let arn = policy.hasPrefix("arn:") ? policy : "arn:\(partition):iam::aws:policy/\(policy)"
        guard AmazonResourceName(managedPolicy: arn) != nil, (20...200).contains(arn.utf8.count),
            arn.utf8.allSatisfy({ AWSText.sessionName.allows($0) || $0 == 0x3a || $0 == 0x2f })
        else {
            throw TrustAnchorError(
                .name, "\"\(policy)\" is not the ARN of a managed policy or the name of an AWS managed policy",
                hint: "an ARN looks like arn:aws:iam::aws:policy/ReadOnlyAccess")
        }
        return arn
    }

    /// The text of the set-up, with a line end. The default template is that of `templates/setup`.
    public func text(_ format: Format, template: SetupTemplate? = nil) throws(TrustAnchorError) -> String {
        guard format != .terraform || template != nil || !roles.contains(where: \.acceptsRoleSessionName) else {
            throw TrustAnchorError(
                .template, "Terraform's AWS provider (5.100) has no setting for role session names",
                hint: "leave out the option, then run aws rolesanywhere update-profile --accept-role-session-name")
        }
        var values = values(format)
        let each = roles.indices.map { self.values(format, of: roles[$0], number: $0 + 1) }
        // A template for one role needs no section.
        if each.count == 1 { values.merge(each[0]) { $1 } }
        let sections = [
            "roles": each, "newAnchor": trustAnchorARN == nil ? [[:]] : [],
            "existingAnchor": trustAnchorARN == nil ? [] : [[:]],
        ]
        return try (template ?? .builtIn(format)).text(values, sections: sections)
    }

    /// Warnings if a trust policy is longer than IAM's default quota.
    public var warnings: [String] {
        // An ARN of a trust anchor in a region with a long name.
        let arn =
            trustAnchorARN
            ?? "arn:aws-us-gov:rolesanywhere:ap-southeast-1:123456789012:trust-anchor/"
            + String(repeating: "0", count: 36)
        return roles.flatMap { role in
            PolicyText(source: ("ArnEquals", "aws:SourceArn", .texts([arn])), conditions: role.conditions).warnings
        }
    }

    /// The values of a role's placeholders.
    private func values(_ format: Format, of role: Role, number: Int) -> [String: String] {
        func policy(_ arn: String) -> PolicyText {
            PolicyText(source: ("ArnEquals", "aws:SourceArn", .expression(arn)), conditions: role.conditions)
        }
        let names = ["profileName": role.profileName, "roleName": role.name]
        let numbers = [
            "durationSeconds": "\(role.durationSeconds)", "roleDurationSeconds": "\(role.roleDurationSeconds)",
            "acceptRoleSessionName": role.acceptsRoleSessionName ? "true" : "false",
        ]
        var values: [String: String]
        switch format {
        case .cloudFormation:
            values = names.mapValues(Quoting.yaml)
            values["number"] = number == 1 ? "" : "\(number)"
            values["trustPolicy"] =
                policy(trustAnchorARN.map(Quoting.json) ?? #"{ "Fn::GetAtt": ["TrustAnchor", "TrustAnchorArn"] }"#).json
            values["managedPolicyARNs"] = role.managedPolicies.map { "- \(Quoting.yaml($0))" }.joined(separator: "\n")
        case .terraform:
            values = names.mapValues(Quoting.hcl)
            values["number"] = number == 1 ? "" : "_\(number)"
            values["resource"] = number == 1 ? "this" : "role_\(number)"
            values["condition"] =
                policy(trustAnchorARN.map(Quoting.hcl) ?? "aws_rolesanywhere_trust_anchor.this.arn").terraformCondition
            values["managedPolicyARNs"] =
                "[\n" + role.managedPolicies.map { "  \(Quoting.hcl($0)),\n" }.joined() + "]"
        case .awsCLI:
            values = names.mapValues(Quoting.shell)
            // The policy is in single quotation marks, which the variable interrupts. No value can contain the marker.
            let marker = "\u{1}"
            values["trustPolicy"] = Quoting.shell(policy("\"\(marker)\"").json)
                .replacing(marker, with: #"'"$trust_anchor_arn"'"#)
            values["managedPolicyARNs"] = role.managedPolicies.map(Quoting.shell).joined(separator: " ")
            values["managedPolicyPattern"] = role.managedPolicies.map(Quoting.shell).joined(separator: " | ")
            values["profileFilter"] = Quoting.shell("profiles[?name=='\(role.profileName)' && contains(roleArns, '")
            values["naming"] =
                role.acceptsRoleSessionName ? "--accept-role-session-name" : "--no-accept-role-session-name"
            values["recording"] = recording(of: role)
        }
        return values.merging(numbers) { first, _ in first }
    }

    /// The lines of a shell script that record a role's ARNs, where the CA is; nothing if they are not to be recorded.
    private func recording(of role: Role) -> String {
        guard let recordingCommand else { return "" }
        return """
            \(recordingCommand) \(Quoting.shell("--role=\(role.name)")) --trust-anchor-arn "$trust_anchor_arn" \\
                --profile-arn "$profile_arn" --role-arn "$role_arn" >/dev/null ||
                echo 'the ARNs were not recorded: see pki set-arns --help' >&2
            """
    }

    /// The values of placeholders outside of roles.
    private func values(_ format: Format) -> [String: String] {
        let names = ["trustAnchorName": name, "description": "For clients of \(name)"]
        switch format {
        case .cloudFormation:
            var values = names.mapValues(Quoting.yaml)
            values["certificates"] = bundle.pem
            return values
        case .terraform:
            var values = names.mapValues(Quoting.hcl)
            values["certificates"] = bundle.pem
            values["trustAnchorARN"] = trustAnchorARN.map(Quoting.hcl) ?? ""
            values["provider"] = region.map { "\nprovider \"aws\" {\n  region = \(Quoting.hcl($0))\n}\n\n" } ?? ""
            return values
        case .awsCLI:
            var values = names.mapValues(Quoting.shell)
            values["source"] = Quoting.shell(bundle.sourceJSON)
            values["certificates"] = Quoting.shell(String(bundle.pem.dropLast()))
            values["certificatePattern"] = bundle.certificates.map { "*\(Quoting.shell(Self.line(of: $0)))*" }
                .joined(separator: " | ")
            values["anchorQuery"] = Quoting.shell("trustAnchors[?name=='\(name)'].trustAnchorArn")
            values["trustAnchorARN"] = trustAnchorARN.map(Quoting.shell) ?? ""
            values["region"] =
                region.map(Quoting.shell).map {
                    "AWS_REGION=\($0) AWS_DEFAULT_REGION=\($0)\nexport AWS_REGION AWS_DEFAULT_REGION\n"
                } ?? ""
            return values
        }
    }

    /// A line of a certificate's PEM that no other certificate has: the last whole one, in the signature.
    private static func line(of certificate: Certificate) -> String {
        let lines = certificate.pemEncoded.split(separator: "\n").dropFirst().dropLast()
        return lines.last { $0.utf8.count == 64 }.map(String.init) ?? lines.joined()
    }
}
