// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// Where a service listens.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// A kind of endpoint that AWS offers.
    public enum Variant: Hashable, Sendable {
        /// IPv4, in every region.
        case standard
        /// IPv4 and IPv6.
        case dualStack
        /// FIPS 140 validated TLS, in the regions of the United States.
        case fips
    }

    /// A service of AWS that is asked here. New ones may be added.
    public struct Service: Hashable, Sendable {
        /// What signatures, and as a rule host names, call it.
        let name: String

        /// IAM Roles Anywhere, which gives credentials for certificates.
        public static let rolesAnywhere = Service(name: "rolesanywhere")
        /// The Security Token Service, which says whose credentials are.
        public static let securityTokenService = Service(name: "sts")

        /// The first part of the host's name of its FIPS endpoints. Those of STS in GovCloud are the standard ones.
        fileprivate func fipsName(in partition: Partition) -> String {
            self == .securityTokenService && partition.name == "aws-us-gov" ? name : "\(name)-fips"
        }
    }

    /// The address that the path of each operation is put behind.
    public let url: HTTPURL

    /// The endpoint of a region.
    ///
    /// - Parameters:
    ///   - region: The name of a region. One that is not known is taken for a new one of the partition that its name
    ///     suggests.
    ///   - variant: The kind of endpoint.
    ///   - service: Whose endpoint.
    /// - Throws: ``RolesAnywhereError`` when the region's name is malformed or has no endpoint of that kind.
    public init(
        region: String,
        variant: Variant = .standard,
        service: Service = .rolesAnywhere
    ) throws(RolesAnywhereError) {
        let allowed = region.utf8.allSatisfy {
            (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
        }
        guard allowed, !region.isEmpty, region.utf8.count <= 63, !region.hasPrefix("-"), !region.hasSuffix("-") else {
            throw RolesAnywhereError(
                .invalidArgument,
                "\"\(printable(region))\" is not the name of a region",
                hint: "it looks like us-east-1"
            )
        }
        let partition = Partition(of: region)
        let host: String
        switch variant {
        case .standard: host = "\(service.name).\(region).\(partition.suffix)"
        case .dualStack:
            guard let suffix = partition.dualStackSuffix else {
                throw RolesAnywhereError(.invalidArgument, "the partition \(partition) has no dual-stack endpoints")
            }
            host = "\(service.name).\(region).\(suffix)"
        case .fips:
            guard Self.fipsRegions.contains(region) else {
                throw RolesAnywhereError(
                    .invalidArgument,
                    "the region \(region) has no FIPS endpoint",
                    hint: "those that have one: \(Self.fipsRegions.joined(separator: ", "))"
                )
            }
            host = "\(service.fipsName(in: partition)).\(region).amazonaws.com"
        }
        url = try HTTPURL("https://\(host)")
    }

    /// An endpoint of one's own: a private one, a proxy that rewrites addresses, or a stand-in for the service.
    ///
    /// - Parameter text: A URL with scheme, host, optional port and optional path. The path is put in front of that of
    ///   each operation and is signed with it. `http` is accepted for loopback addresses only.
    /// - Throws: ``RolesAnywhereError`` naming the part that is wrong.
    public init(_ text: String) throws(RolesAnywhereError) {
        let url = try HTTPURL(text)
        guard url.scheme == .https || url.isLoopback else {
            throw RolesAnywhereError(
                .invalidArgument,
                "the endpoint \(url) is not encrypted",
                hint: "write https://; http:// is for loopback addresses only"
            )
        }
        self.url = url
    }

    /// Regions with a FIPS endpoint of either service.
    private static let fipsRegions = [
        "us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1",
    ]

    /// The address as text.
    public var description: String { url.description }

    /// The address of an operation.
    ///
    /// - Parameters:
    ///   - path: Begins with a slash.
    ///   - query: The parameters.
    /// - Returns: The endpoint's address with both.
    func url(for path: String, query: [HTTPURL.Parameter]) -> HTTPURL {
        url.appending(path: path, query: query)
    }
}
