// SPDX-License-Identifier: Apache-2.0

/// A group of AWS regions with names and credentials of its own.
public struct Partition: Hashable, Sendable, CustomStringConvertible {
    /// The name that ARNs carry: `aws`, `aws-cn`, …
    public let name: String

    /// What the host names of its services end in.
    public let suffix: String

    /// What the host names of dual-stack endpoints end in; nothing where none are documented.
    public let dualStackSuffix: String?

    /// What the names of its regions begin with, beside those of the first partition, which has the rest.
    private let regionPrefixes: [String]

    private init(_ name: String, _ suffix: String, dualStack: String? = nil, regions: [String] = []) {
        self.name = name
        self.suffix = suffix
        dualStackSuffix = dualStack
        regionPrefixes = regions
    }

    private static let commercial = Partition("aws", "amazonaws.com", dualStack: "api.aws")

    /// Every partition with a known suffix (AWS SDK partitions, as of 2026).
    static let all: [Partition] = [
        commercial,
        Partition("aws-us-gov", "amazonaws.com", dualStack: "api.aws", regions: ["us-gov-"]),
        Partition("aws-cn", "amazonaws.com.cn", dualStack: "api.amazonwebservices.com.cn", regions: ["cn-"]),
        Partition("aws-iso", "c2s.ic.gov", regions: ["us-iso-"]),
        Partition("aws-iso-b", "sc2s.sgov.gov", regions: ["us-isob-"]),
        Partition("aws-iso-e", "cloud.adc-e.uk", regions: ["eu-isoe-"]),
        Partition("aws-iso-f", "csp.hci.ic.gov", regions: ["us-isof-", "eu-isof-"]),
        Partition("aws-eusc", "amazonaws.eu", regions: ["eusc-"]),
    ]

    /// The partition of a region, known by what the region's name begins with, so that a region which opens tomorrow
    /// needs no new release.
    ///
    /// - Parameter region: The name of a region.
    public init(of region: String) {
        self =
            Self.all.first { partition in partition.regionPrefixes.contains { region.hasPrefix($0) } }
            ?? Self.commercial
    }

    /// The name.
    public var description: String { name }
}
