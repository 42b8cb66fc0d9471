// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import SystemSupport

/// What is set up in the account that the lab plays.
struct Account: Sendable {
    private static let kinds: [any AnywhereResource.Type] = [TrustAnchor.self, Profile.self, RevocationList.self]

    var trustAnchors = Table<TrustAnchor>()
    var profiles = Table<Profile>()
    var revocationLists = Table<RevocationList>()
    var roles = Table<Role>()

    /// The ARNs of what seeds brought into the account: what was deleted since does not come back at the next start.
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

    /// Finds a trust anchor, profile or CRL by its ARN.
    func find(_ arn: AmazonResourceName) -> (any AnywhereResource)? {
        for kind in Self.kinds {
            if let found = find(kind, arn) { return found }
        }
        return nil
    }

    /// Adds a resource, or replaces the one with its identifier.
    mutating func put<Resource: AnywhereResource>(_ resource: Resource) {
        self[keyPath: Resource.table][resource.identifier] = resource
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

    /// The CRLs that were imported for a trust anchor.
    func revocationLists(of anchor: TrustAnchor) -> [RevocationList] {
        guard revocationLists.count > 0 else { return [] }
        return all(RevocationList.self).filter { $0.trustAnchorARN == anchor.arn.description }
    }

    /// Forgets what was touched, once it is stored.
    mutating func settle() {
        trustAnchors.settle()
        profiles.settle()
        revocationLists.settle()
        roles.settle()
        planted.settle()
    }
}

/// Resources of one kind by their identifiers, and which of them were touched since they were last stored.
struct Table<Resource: Codable & Hashable & Sendable>: Sendable {
    private(set) var resources: [String: Resource] = [:]
    private(set) var touched: Set<String> = []

    /// A resource; setting it to `nil` removes it.
    subscript(identifier: String) -> Resource? {
        get { resources[identifier] }
        set {
            resources[identifier] = newValue
            touched.insert(identifier)
        }
    }

    var values: Dictionary<String, Resource>.Values { resources.values }
    var count: Int { resources.count }

    fileprivate mutating func settle() { touched = [] }
}

struct PlantedResource: Codable, Hashable, Sendable {
    var identifier: String
}

struct Tag: Codable, Hashable, Sendable {
    var key: String
    var value: String
}

/// A trust anchor, profile or CRL: what they have in common in the account, and how the control plane creates, changes
/// and shows one.
protocol AnywhereResource: Codable, Hashable, Sendable {
    /// What the resource is called in its ARN: `trust-anchor`, `profile`, `crl`.
    static var kind: String { get }

    /// What messages call the resource.
    static var noun: String { get }

    /// The member of an answer that holds one: `trustAnchor`. Paths and operations are named after it.
    static var member: String { get }

    /// The prefix of the operation that creates one.
    static var createVerb: String { get }

    /// How many an account may have; `nil` if another rule limits them.
    static var accountLimit: Int? { get }

    /// Where the account keeps resources of this kind.
    static var table: any WritableKeyPath<Account, Table<Self>> & Sendable { get }

    var identifier: String { get }
    var arn: AmazonResourceName { get }
    var name: String { get set }
    var isEnabled: Bool { get set }
    var createdAt: Date { get }
    var updatedAt: Date { get set }
    /// The name by which the resource can be named instead of its UUID.
    var aliasName: String? { get set }
    var tags: [Tag] { get set }

    /// Creates the resource that a request describes; tags and alias are added afterwards.
    init(_ call: ControlPlane.Call, in account: Account) throws

    /// Changes the resource as a request to update it says; name and alias are changed besides.
    mutating func update(_ members: InputMembers, in account: Account) throws

    /// The members of the service's detail that only this kind has.
    func ownMembers(in environment: LabEnvironment) -> KeyValuePairs<String, JSONValue>
}

extension AnywhereResource {
    static var createVerb: String { "Create" }
    static var accountLimit: Int? { nil }

    /// The part of its path that names one: `trustAnchorId`.
    static var pathParameter: String { "\(member)Id" }

    /// The ARN that names the resource by its alias.
    var aliasARN: String? {
        aliasName.map { "arn:\(arn.partition):\(arn.service):\(arn.region):\(arn.account):alias/\(Self.kind)/\($0)" }
    }

    /// Gives the resource another alias; the empty name removes it.
    mutating func setAlias(_ name: String) { aliasName = name.isEmpty ? nil : name }

    /// The service's detail.
    func detail(in environment: LabEnvironment) -> JSONValue {
        let own = JSONValue.compact(ownMembers(in: environment)).members ?? []
        let common = JSONValue.compact([
            "name": .string(name), "enabled": .boolean(isEnabled), "createdAt": JSONValue(createdAt),
            "updatedAt": JSONValue(updatedAt), "aliasName": JSONValue(aliasName), "aliasArn": JSONValue(aliasARN),
        ])
        return .object(own + (common.members ?? []))
    }
}
