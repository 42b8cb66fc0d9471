// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// What trust anchors, profiles and revocation lists have in common.
protocol AnywhereResource: Codable, Hashable, Sendable {
    /// What the resource is called in its ARN: `trust-anchor`, `profile`, `crl`.
    static var kind: String { get }

    /// What a person calls the resource.
    static var noun: String { get }

    /// Where the account keeps resources of this kind.
    static var table: any WritableKeyPath<Account, Table<Self>> & Sendable { get }

    var identifier: String { get }
    var arn: AmazonResourceName { get }
    var name: String { get set }
    var isEnabled: Bool { get set }
    var createdAt: Date { get }
    var updatedAt: Date { get set }
    /// The name by which the resource can be spoken of instead of its UUID.
    var aliasName: String? { get set }
    var tags: [Tag] { get set }
}

extension AnywhereResource {
    /// The ARN that names the resource by its alias.
    var aliasARN: String? {
        aliasName.map {
            "arn:\(arn.partition):\(arn.service):\(arn.region):\(arn.account):alias/\(Self.kind)/\($0)"
        }
    }

    /// Gives the resource another alias, or with the empty name none.
    mutating func setAlias(_ name: String) {
        aliasName = name.isEmpty ? nil : name
    }
}

/// A key and a value that someone put on a resource.
package struct Tag: Codable, Hashable, Sendable {
    /// At most 128 characters.
    package var key: String

    /// At most 256 characters.
    package var value: String
}
