// SPDX-License-Identifier: Apache-2.0

/// An Amazon Resource Name: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
package struct AmazonResourceName: Hashable, Sendable, CustomStringConvertible {
    /// The whole name.
    package let description: String

    /// `aws`, `aws-cn`, …
    package let partition: String

    /// `rolesanywhere`, `iam`, …
    package let service: String

    /// Empty for services without regions.
    package let region: String

    /// Twelve digits.
    package let account: String

    /// What follows the fifth colon: `trust-anchor/…`, `role/…`.
    package let resource: String

    /// Reads a name. There is none when the text is not one.
    ///
    /// - Parameter text: The name.
    package init?(_ text: String) {
        let parts = text.utf8.split(separator: 0x3a, maxSplits: 5, omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard parts.count == 6, text.utf8.count <= 1_011, parts[0] == "arn", parts[1].hasPrefix("aws"),
            [parts[1], parts[2], parts[3]].allSatisfy({ part in
                part.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
            }),
            !parts[2].isEmpty, parts[4].utf8.count == 12, parts[4].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            !parts[5].isEmpty, parts[5].utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f })
        else { return nil }
        description = text
        (partition, service, region, account, resource) = (parts[1], parts[2], parts[3], parts[4], parts[5])
    }

    /// A resource of IAM Roles Anywhere.
    init(rolesAnywhere resource: String, region: String, account: String) {
        (partition, service) = (Self.partition(of: region), "rolesanywhere")
        (self.region, self.account, self.resource) = (region, account, resource)
        description = "arn:\(partition):\(service):\(region):\(account):\(resource)"
    }

    /// A resource of IAM, or with `sts` of STS: services without regions in their names.
    init(global service: String, _ resource: String, region: String, account: String) {
        partition = Self.partition(of: region)
        (self.service, self.region, self.account, self.resource) = (service, "", account, resource)
        description = "arn:\(partition):\(service)::\(account):\(resource)"
    }

    /// The partitions besides AWS's first: how their regions begin, and which of them has the services that are one for all.
    private static let partitions = [
        (prefix: "cn-", name: "aws-cn", firstRegion: "cn-north-1"),
        (prefix: "us-gov-", name: "aws-us-gov", firstRegion: "us-gov-west-1"),
        (prefix: "eusc-", name: "aws-eusc", firstRegion: "eusc-de-east-1"),
    ]

    private static func partition(of region: String) -> String {
        partitions.first { region.hasPrefix($0.prefix) }?.name ?? "aws"
    }

    /// Where IAM is in a region's partition: clients sign for it, and policies know it as `aws:RequestedRegion`.
    ///
    /// - Parameter region: The region.
    /// - Returns: The partition's first.
    static func firstRegion(ofPartitionWith region: String) -> String {
        partitions.first { region.hasPrefix($0.prefix) }?.firstRegion ?? "us-east-1"
    }

    /// The kind of a Roles Anywhere resource, and its identifier or, in the alias form, its name.
    var rolesAnywhereResource: (kind: Substring, identifier: Substring, isAlias: Bool)? {
        guard service == "rolesanywhere", !region.isEmpty else { return nil }
        let parts = resource.utf8.split(separator: 0x2f, maxSplits: 2, omittingEmptySubsequences: false)
            .map(Substring.init)
        if parts.count == 2, !parts[1].isEmpty { return (parts[0], parts[1], false) }
        // The name of an alias may hold slashes of its own.
        if parts.count == 3, parts[0] == "alias", !parts[2].isEmpty { return (parts[1], parts[2], true) }
        return nil
    }
}

extension AmazonResourceName: Codable {
    /// Reads a name.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let name = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an ARN")
        }
        self = name
    }

    /// Writes the name.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
