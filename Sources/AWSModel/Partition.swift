// SPDX-License-Identifier: Apache-2.0

/// A group of AWS regions with its own ARNs, host names and credentials.
///
/// Source: the partitions of the AWS SDKs, and AWS General Reference, "IAM Roles Anywhere endpoints and quotas".
package struct Partition: Hashable, Sendable, CustomStringConvertible {
    /// The name in ARNs: `aws`, `aws-cn`, …
    package let name: String
    /// The end of the host names of its services.
    package let suffix: String
    /// The end of the host names of dual-stack endpoints; `nil` if none are documented.
    package let dualStackSuffix: String?
    /// The region of services that have one endpoint for the partition, such as IAM. Clients sign for it.
    package let firstRegion: String
    private let regionPrefixes: [String]

    private init(
        _ name: String, _ suffix: String, dualStack: String? = nil, firstRegion: String, regions: [String] = []
    ) {
        self.name = name
        self.suffix = suffix
        dualStackSuffix = dualStack
        self.firstRegion = firstRegion
        regionPrefixes = regions
    }

    private static let commercial = Partition("aws", "amazonaws.com", dualStack: "api.aws", firstRegion: "us-east-1")

    /// Every partition with a known suffix.
    package static let all: [Partition] = [
        commercial,
        Partition(
            "aws-us-gov", "amazonaws.com", dualStack: "api.aws", firstRegion: "us-gov-west-1", regions: ["us-gov-"]),
        Partition(
            "aws-cn", "amazonaws.com.cn", dualStack: "api.amazonwebservices.com.cn", firstRegion: "cn-north-1",
            regions: ["cn-"]),
        Partition("aws-iso", "c2s.ic.gov", firstRegion: "us-iso-east-1", regions: ["us-iso-"]),
        Partition("aws-iso-b", "sc2s.sgov.gov", firstRegion: "us-isob-east-1", regions: ["us-isob-"]),
        Partition("aws-iso-e", "cloud.adc-e.uk", firstRegion: "eu-isoe-west-1", regions: ["eu-isoe-"]),
        Partition("aws-iso-f", "csp.hci.ic.gov", firstRegion: "us-isof-south-1", regions: ["us-isof-", "eu-isof-"]),
        Partition("aws-eusc", "amazonaws.eu", firstRegion: "eusc-de-east-1", regions: ["eusc-"]),
    ]

    /// The partition of a region, by the start of the region's name, so that a new region needs no new release.
    package init(of region: String) {
        self =
            Self.all.first { partition in partition.regionPrefixes.contains { region.hasPrefix($0) } }
            ?? Self.commercial
    }

    package var description: String { name }

    /// Whether a text can be the name of a region: lower-case letters, digits and hyphens, as one label of a host name.
    package static func isRegionName(_ text: String) -> Bool {
        (1...63).contains(text.utf8.count) && text.utf8.first != 0x2d && text.utf8.last != 0x2d
            && text.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
    }

    // MARK: - Endpoints

    /// The regions with FIPS endpoints of IAM Roles Anywhere and STS.
    package static let fipsRegions = [
        "us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1",
    ]

    /// The host name of a service's endpoint in a region.
    package func host(of service: String, in region: String) -> String { "\(service).\(region).\(suffix)" }

    /// The host name of a service's endpoint for IPv4 and IPv6; `nil` if the partition has none.
    package func dualStackHost(of service: String, in region: String) -> String? {
        dualStackSuffix.map { "\(service).\(region).\($0)" }
    }

    /// The host name of a service's FIPS endpoint; `nil` if the region has none. The standard endpoints of STS in GovCloud
    /// are FIPS endpoints.
    package func fipsHost(of service: String, in region: String, isDualStack: Bool = false) -> String? {
        guard Self.fipsRegions.contains(region) else { return nil }
        if isDualStack { return dualStackHost(of: "\(service)-fips", in: region) }
        let name = service == "sts" && self.name == "aws-us-gov" ? service : "\(service)-fips"
        return host(of: name, in: region)
    }
}
