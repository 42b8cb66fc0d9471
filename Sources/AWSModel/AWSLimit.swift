// SPDX-License-Identifier: Apache-2.0

/// A page on which AWS states a fact.
package enum AWSPage: String, CaseIterable, Sendable {
    case trustModel = "IAM Roles Anywhere User Guide, Trust model"
    case signing = "IAM Roles Anywhere User Guide, Signing process"
    case quotas = "IAM Roles Anywhere User Guide, Quotas"
    case attributeMapping = "IAM Roles Anywhere User Guide, Put attribute mappings"
    case createSession = "IAM Roles Anywhere API, CreateSession"
    case createProfile = "IAM Roles Anywhere API, CreateProfile"
    case createTrustAnchor = "IAM Roles Anywhere API, CreateTrustAnchor"
    case importCRL = "IAM Roles Anywhere API, ImportCrl"
    case tagResource = "IAM Roles Anywhere API, TagResource"
    case listProfiles = "IAM Roles Anywhere API, ListProfiles"
    case requestSigning = "IAM User Guide, AWS Signature Version 4 for API requests"
    case iamQuotas = "IAM User Guide, IAM and AWS STS quotas"
    case createRole = "IAM API, CreateRole"
    case putRolePolicy = "IAM API, PutRolePolicy"
    case attachRolePolicy = "IAM API, AttachRolePolicy"
    case listRoles = "IAM API, ListRoles"
    case assumeRole = "AWS STS API, AssumeRole"
    case accessKeyInfo = "AWS STS API, GetAccessKeyInfo"

    /// The page's address.
    package var url: String {
        let documentation = "https://docs.aws.amazon.com/"
        let path =
            switch self {
            case .trustModel: "rolesanywhere/latest/userguide/trust-model.html"
            case .signing: "rolesanywhere/latest/userguide/authentication-sign-process.html"
            case .quotas: "rolesanywhere/latest/userguide/quotas.html"
            case .attributeMapping: "rolesanywhere/latest/userguide/put-attribute-mapping.html"
            case .createSession: "rolesanywhere/latest/userguide/authentication-create-session.html"
            case .createProfile: "rolesanywhere/latest/APIReference/API_CreateProfile.html"
            case .createTrustAnchor: "rolesanywhere/latest/APIReference/API_CreateTrustAnchor.html"
            case .importCRL: "rolesanywhere/latest/APIReference/API_ImportCrl.html"
            case .tagResource: "rolesanywhere/latest/APIReference/API_TagResource.html"
            case .listProfiles: "rolesanywhere/latest/APIReference/API_ListProfiles.html"
            case .requestSigning: "IAM/latest/UserGuide/reference_sigv.html"
            case .iamQuotas: "IAM/latest/UserGuide/reference_iam-quotas.html"
            case .createRole: "IAM/latest/APIReference/API_CreateRole.html"
            case .putRolePolicy: "IAM/latest/APIReference/API_PutRolePolicy.html"
            case .attachRolePolicy: "IAM/latest/APIReference/API_AttachRolePolicy.html"
            case .listRoles: "IAM/latest/APIReference/API_ListRoles.html"
            case .assumeRole: "STS/latest/APIReference/API_AssumeRole.html"
            case .accessKeyInfo: "STS/latest/APIReference/API_GetAccessKeyInfo.html"
            }
        return documentation + path
    }
}

/// A number that AWS states, with its page.
package struct AWSLimit: Hashable, Sendable {
    package let name: String
    /// The values that AWS accepts, both ends included.
    package let range: ClosedRange<Int>
    package let page: AWSPage
    /// The shapes of the service models that state the same range: those of IAM and STS with their service in front, as in
    /// `iam:tagKeyType`, the others those of IAM Roles Anywhere (2018-05-10). A test compares them.
    package let shapes: [String]

    private init(_ name: String, _ range: ClosedRange<Int>, _ page: AWSPage, _ shapes: String...) {
        (self.name, self.range, self.page, self.shapes) = (name, range, page, shapes)
    }

    package var minimum: Int { range.lowerBound }
    package var maximum: Int { range.upperBound }
    /// `900 to 43200`
    package var words: String { "\(minimum) to \(maximum)" }
    package func contains(_ value: Int) -> Bool { range.contains(value) }

    // MARK: - Sessions

    /// The seconds of a session.
    package static let sessionDuration = AWSLimit(
        "sessionDuration", 900...43_200, .createProfile, "CreateProfileRequestDurationSecondsInteger",
        "UpdateProfileRequestDurationSecondsInteger")
    /// The default duration of a session, in seconds.
    package static let defaultSessionDuration = 3_600
    package static let roleSessionNameLength = AWSLimit(
        "roleSessionNameLength", 2...64, .assumeRole, "sts:roleSessionNameType")
    package static let sourceIdentityLength = AWSLimit(
        "sourceIdentityLength", 2...64, .assumeRole, "sts:sourceIdentityType")
    package static let instancePropertyCount = AWSLimit(
        "instancePropertyCount", 0...50, .createSession, "InstancePropertyMap")
    /// The characters of a name or a value of an instance property.
    package static let instancePropertyLength = AWSLimit(
        "instancePropertyLength", 1...200, .createSession, "InstancePropertyMapKeyString",
        "InstancePropertyMapValueString")
    /// The seconds between a request's date and the service's clock.
    package static let clockDifference = AWSLimit("clockDifference", 0...300, .requestSigning)
    /// The certificates between the client's and the trust anchor's that a request may carry.
    package static let chainLength = AWSLimit("chainLength", 0...5, .createSession)

    // MARK: - Trust anchors and CRLs

    /// The certificates of a trust anchor: one, or two while a CA is replaced.
    package static let anchorCertificateCount = AWSLimit("anchorCertificateCount", 1...2, .quotas)
    /// The characters of PEM of a trust anchor.
    package static let anchorLength = AWSLimit(
        "anchorLength", 1...204_800, .createTrustAnchor, "SourceDataX509CertificateDataString")
    /// The characters of PEM that a trust anchor takes in accounts with the older quota.
    package static let olderAnchorLength = 8_000
    /// The bytes of a CRL.
    package static let crlLength = AWSLimit(
        "crlLength", 1...300_000, .importCRL, "ImportCrlRequestCrlDataBlob", "UpdateCrlRequestCrlDataBlob")
    /// The CRLs of a trust anchor.
    package static let crlCount = AWSLimit("crlCount", 0...2, .quotas)
    package static let notificationSettingCount = AWSLimit(
        "notificationSettingCount", 0...50, .createTrustAnchor, "NotificationSettings", "NotificationSettingKeys",
        "NotificationSettingDetails")
    /// The days before an expiry at which AWS gives notice.
    package static let notificationThreshold = AWSLimit(
        "notificationThreshold", 1...360, .createTrustAnchor, "NotificationSettingThresholdInteger",
        "NotificationSettingDetailThresholdInteger")
    /// The default threshold of a notification, in days.
    package static let defaultNotificationThreshold = 45

    // MARK: - Profiles

    package static let profileRoleCount = AWSLimit("profileRoleCount", 0...250, .createProfile, "RoleArnList")
    package static let profilePolicyCount = AWSLimit("profilePolicyCount", 0...50, .createProfile, "ManagedPolicyList")
    package static let profilePolicyARNLength = AWSLimit(
        "profilePolicyARNLength", 1...200, .createProfile, "ManagedPolicyListMemberString")
    /// The characters of a profile's session policy.
    package static let sessionPolicyLength = AWSLimit(
        "sessionPolicyLength", 1...100_000, .createProfile, "UpdateProfileRequestSessionPolicyString")
    package static let specifierLength = AWSLimit(
        "specifierLength", 0...60, .attributeMapping, "MappingRuleSpecifierString")

    // MARK: - Every resource

    package static let arnLength = AWSLimit(
        "arnLength", 1...1_011, .tagResource, "AmazonResourceName", "RoleArn", "TrustAnchorIdentifierArn")
    /// The characters of the name of a trust anchor, a CRL or a profile.
    package static let resourceNameLength = AWSLimit("resourceNameLength", 1...255, .createProfile, "ResourceName")
    package static let aliasLength = AWSLimit("aliasLength", 0...256, .createProfile, "AliasName")
    package static let uuidLength = AWSLimit("uuidLength", 36...36, .createProfile, "Uuid")
    package static let tagCount = AWSLimit("tagCount", 0...200, .tagResource, "TagList", "TagKeyList")
    package static let tagKeyLength = AWSLimit(
        "tagKeyLength", 1...128, .tagResource, "TagKey", "iam:tagKeyType", "sts:tagKeyType")
    package static let tagValueLength = AWSLimit(
        "tagValueLength", 0...256, .tagResource, "TagValue", "iam:tagValueType", "sts:tagValueType")
    /// The characters of the token that asks for the next page of a list.
    package static let pageTokenLength = AWSLimit(
        "pageTokenLength", 1...10_000, .listProfiles, "ListRequestNextTokenString")
    /// The trust anchors of an account in a region.
    package static let accountAnchorCount = AWSLimit("accountAnchorCount", 0...50, .quotas)
    /// The profiles of an account in a region.
    package static let accountProfileCount = AWSLimit("accountProfileCount", 0...250, .quotas)

    // MARK: - IAM and STS

    package static let roleNameLength = AWSLimit("roleNameLength", 1...64, .createRole, "iam:roleNameType")
    /// The characters of a path, or of the beginning of one in a list.
    package static let pathLength = AWSLimit(
        "pathLength", 1...512, .createRole, "iam:pathType", "iam:pathPrefixType", "iam:policyPathType")
    package static let roleDescriptionLength = AWSLimit(
        "roleDescriptionLength", 0...1_000, .createRole, "iam:roleDescriptionType")
    /// The seconds of a role's `MaxSessionDuration`; the default is the shortest.
    package static let roleSessionDuration = AWSLimit(
        "roleSessionDuration", 3_600...43_200, .createRole, "iam:roleMaxSessionDurationType")
    package static let roleTagCount = AWSLimit(
        "roleTagCount", 0...50, .createRole, "iam:tagListType", "iam:tagKeyListType", "sts:tagListType",
        "sts:tagKeyListType")
    /// The roles of an account.
    package static let accountRoleCount = AWSLimit("accountRoleCount", 0...1_000, .iamQuotas)
    /// The managed policies that are attached to a role.
    package static let rolePolicyCount = AWSLimit("rolePolicyCount", 0...10, .iamQuotas)
    /// The characters of a role's trust policy, without blanks.
    package static let trustPolicyLength = AWSLimit("trustPolicyLength", 1...2_048, .iamQuotas)
    /// The characters of all inline policies of a role, without blanks.
    package static let inlinePolicyLength = AWSLimit("inlinePolicyLength", 1...10_240, .iamQuotas)
    package static let policyNameLength = AWSLimit("policyNameLength", 1...128, .putRolePolicy, "iam:policyNameType")
    /// The characters of a policy in a request.
    package static let policyLength = AWSLimit("policyLength", 1...131_072, .putRolePolicy, "iam:policyDocumentType")
    /// The characters of an ARN in a request to IAM or STS.
    package static let iamARNLength = AWSLimit(
        "iamARNLength", 20...2_048, .attachRolePolicy, "iam:arnType", "sts:arnType")
    /// The elements of a page of a list.
    package static let iamPageSize = AWSLimit("iamPageSize", 1...1_000, .listRoles, "iam:maxItemsType")
    /// The elements of a page where the request does not say.
    package static let defaultIAMPageSize = 100
    /// The seconds of a session of AssumeRole; 3,600 where the request does not say.
    package static let assumedRoleDuration = AWSLimit(
        "assumedRoleDuration", 900...43_200, .assumeRole, "sts:roleDurationSecondsType")
    /// The seconds of a session that another session asks for (role chaining).
    package static let chainedRoleDuration = AWSLimit("chainedRoleDuration", 900...3_600, .assumeRole)
    package static let externalIDLength = AWSLimit("externalIDLength", 2...1_224, .assumeRole, "sts:externalIdType")
    /// The managed policies that limit a session of AssumeRole.
    package static let assumedRolePolicyCount = AWSLimit("assumedRolePolicyCount", 0...10, .assumeRole)
    /// The characters of the policy and the ARNs of policies that limit a session of AssumeRole.
    package static let assumedRolePolicyLength = AWSLimit("assumedRolePolicyLength", 0...2_048, .assumeRole)
    package static let accessKeyIDLength = AWSLimit(
        "accessKeyIDLength", 16...128, .accessKeyInfo, "sts:accessKeyIdType")

    /// Every limit.
    package static let all: [AWSLimit] = [
        sessionDuration, roleSessionNameLength, sourceIdentityLength, instancePropertyCount, instancePropertyLength,
        clockDifference, chainLength, anchorCertificateCount, anchorLength, crlLength, crlCount,
        notificationSettingCount, notificationThreshold, profileRoleCount, profilePolicyCount, profilePolicyARNLength,
        sessionPolicyLength, specifierLength, arnLength, resourceNameLength, aliasLength, uuidLength, tagCount,
        tagKeyLength, tagValueLength, pageTokenLength, accountAnchorCount, accountProfileCount, roleNameLength,
        pathLength,
        roleDescriptionLength, roleSessionDuration, roleTagCount, accountRoleCount, rolePolicyCount, trustPolicyLength,
        inlinePolicyLength, policyNameLength, policyLength, iamARNLength, iamPageSize, assumedRoleDuration,
        chainedRoleDuration, externalIDLength, assumedRolePolicyCount, assumedRolePolicyLength, accessKeyIDLength,
    ]
}

/// The characters that AWS accepts in a text.
package enum AWSText: String, CaseIterable, Sendable {
    /// The name of a trust anchor, a CRL or a profile.
    case resourceName
    /// The key or the value of a tag of a Roles Anywhere resource.
    case tag
    /// The name of a role or of a session, and a source identity.
    case sessionName

    /// The pattern as AWS writes it.
    package var pattern: String {
        switch self {
        case .resourceName: "[ a-zA-Z0-9-_]*"
        case .tag: "[ a-zA-Z0-9_.:/=+@-]*"
        case .sessionName: #"[\w+=,.@-]*"#
        }
    }

    /// The characters in words.
    package var words: String {
        switch self {
        case .resourceName: "letters, digits, blanks, \"-\" and \"_\""
        case .tag: "letters, digits, blanks and _.:/=+@-"
        case .sessionName: "letters, digits and _+=,.@-"
        }
    }

    package var page: AWSPage {
        switch self {
        case .resourceName: .createProfile
        case .tag: .tagResource
        case .sessionName: .assumeRole
        }
    }

    /// The shapes of the service models with the same pattern, named as in ``AWSLimit/shapes``.
    package var shapes: [String] {
        switch self {
        case .resourceName: ["ResourceName"]
        case .tag: ["TagKey", "TagValue"]
        case .sessionName: ["sts:roleSessionNameType", "sts:sourceIdentityType"]
        }
    }

    /// Whether a text has no other characters. ``AWSLimit`` limits its length.
    package func allows(_ text: some StringProtocol) -> Bool { text.utf8.allSatisfy(allows) }

    package func allows(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f: true
        default:
            switch self {
            case .resourceName: byte == 0x20 || byte == 0x2d
            case .tag: " .:/=+@-".utf8.contains(byte)
            case .sessionName: "+=,.@-".utf8.contains(byte)
            }
        }
    }
}

/// Words that the service model allows as a value.
package enum AWSWords {
    package enum TrustAnchorSource: String, CaseIterable, Sendable {
        case privateAuthority = "AWS_ACM_PCA"
        case bundle = "CERTIFICATE_BUNDLE"
        case repository = "SELF_SIGNED_REPOSITORY"
    }

    package enum NotificationEvent: String, Codable, CaseIterable, Sendable {
        case authority = "CA_CERTIFICATE_EXPIRY"
        case endEntity = "END_ENTITY_CERTIFICATE_EXPIRY"
    }

    package enum NotificationChannel: String, CaseIterable, Sendable {
        case all = "ALL"
    }

    /// The values of each enumeration by its shape in the service model.
    package static let all: [String: [String]] = [
        "TrustAnchorType": TrustAnchorSource.allCases.map(\.rawValue),
        "NotificationEvent": NotificationEvent.allCases.map(\.rawValue),
        "NotificationChannel": NotificationChannel.allCases.map(\.rawValue),
        "CertificateField": AttributeMapping.Field.allCases.map(\.rawValue),
    ]
}

/// The service that takes roles for certificates, as trust policies name it.
package enum RolesAnywhereService {
    package static let principal = "rolesanywhere.amazonaws.com"

    /// The actions that a role's trust policy must allow it.
    package static let trustPolicyActions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
}
