// SPDX-License-Identifier: Apache-2.0

/// What someone has set up in the account that the lab plays.
struct Account: Sendable {
    /// How many trust anchors and profiles an account may have in a region (IAM Roles Anywhere User Guide, "Quotas").
    static let trustAnchorLimit = 50
    static let profileLimit = 250

    var trustAnchors = Table<TrustAnchor>()
    var profiles = Table<Profile>()
    var revocationLists = Table<RevocationList>()
    var roles = Table<Role>()

    /// What the lab was begun with, by kind and identifier: who deletes it does not want it back at the next start.
    var planted = Table<PlantedResource>()

    /// Finds a resource by its ARN, with its UUID or its alias.
    func find<Resource: AnywhereResource>(_ type: Resource.Type, _ arn: AmazonResourceName) -> Resource? {
        guard let reference = arn.rolesAnywhereResource, reference.kind == Resource.kind[...] else { return nil }
        let table = self[keyPath: Resource.table]
        let found =
            reference.isAlias
            ? table.values.first { $0.aliasName.map { $0[...] } == reference.identifier }
            : table[String(reference.identifier)]
        guard let found, found.arn.region == arn.region, found.arn.account == arn.account,
            found.arn.partition == arn.partition
        else { return nil }
        return found
    }

    /// Finds a resource by its UUID, its ARN or the ARN of its alias.
    func find<Resource: AnywhereResource>(_ type: Resource.Type, named text: String) -> Resource? {
        if let arn = AmazonResourceName(text) { return find(type, arn) }
        return self[keyPath: Resource.table][text]
    }

    /// Every resource of a kind, oldest first.
    func all<Resource: AnywhereResource>(_ type: Resource.Type) -> [Resource] {
        self[keyPath: Resource.table].values.sorted {
            ($0.createdAt, $0.identifier) < ($1.createdAt, $1.identifier)
        }
    }

    /// Finds a role by its ARN.
    func role(_ arn: AmazonResourceName) -> Role? {
        let slash = arn.resource.utf8.lastIndex(of: 0x2f).map { arn.resource.utf8.index(after: $0) }
        let name = String(arn.resource[(slash ?? arn.resource.startIndex)...])
        guard let role = roles[name], role.arn == arn else { return nil }
        return role
    }

    /// The lists that can tell a certificate of this trust anchor revoked.
    func revocationLists(of anchor: TrustAnchor) -> [RevocationList] {
        guard revocationLists.count > 0 else { return [] }
        return all(RevocationList.self).filter { $0.trustAnchorARN == anchor.arn.description }
    }
}

/// Something that a seed brought into the account.
struct PlantedResource: Codable, Hashable, Sendable {
    var identifier: String
}
