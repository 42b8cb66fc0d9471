// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The name of a thing at AWS: `arn:partition:service:region:account:resource`.
public struct AmazonResourceName: Hashable, Sendable, CustomStringConvertible {
    /// The group of regions: `aws`, `aws-cn`, …
    public let partition: String

    /// The service: `rolesanywhere`, `iam`, `sts`.
    public let service: String

    /// The region; empty for services that have none, such as IAM.
    public let region: String

    /// The account's twelve digits.
    public let accountID: String

    /// What is named, with its type: `trust-anchor/…`, `alias/profile/…`, `role/…`.
    public let resource: String

    /// Reads a name.
    ///
    /// - Parameter text: The name. The resource may be any text that is not empty; in particular no UUID is insisted on.
    /// - Throws: ``RolesAnywhereError`` with ``RolesAnywhereError/Code/invalidArgument`` naming the part that is wrong.
    public init(_ text: String) throws(RolesAnywhereError) {
        let parts = text.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 6, parts[0] == "arn" else {
            throw Self.malformed(text, "it is not of the form arn:partition:service:region:account:resource")
        }
        guard text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw Self.malformed(text, "it holds a character outside of ASCII")
        }
        guard Self.isName(parts[1]) else { throw Self.malformed(text, "its partition is \"\(parts[1])\"") }
        guard Self.isName(parts[2]) else { throw Self.malformed(text, "its service is \"\(parts[2])\"") }
        guard parts[3].isEmpty || Self.isName(parts[3]) else {
            throw Self.malformed(text, "its region is \"\(parts[3])\"")
        }
        guard parts[4].utf8.count == 12, parts[4].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw Self.malformed(text, "its account is \"\(parts[4])\", not twelve digits")
        }
        guard !parts[5].isEmpty else { throw Self.malformed(text, "it names no resource") }
        (partition, service, region) = (parts[1], parts[2], parts[3])
        (accountID, resource) = (parts[4], parts[5])
    }

    /// The name as it was read.
    public var description: String { "arn:\(partition):\(service):\(region):\(accountID):\(resource)" }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
            }
    }

    private static func malformed(_ text: String, _ why: String) -> RolesAnywhereError {
        RolesAnywhereError(.invalidArgument, "\"\(printable(text))\" is not an ARN: \(why)")
    }
}

extension AmazonResourceName {
    /// A kind of resource that a session is made from.
    enum Kind: String {
        case trustAnchor = "trust-anchor"
        case profile = "profile"
        case role = "role"

        /// How a person calls it.
        var noun: String {
            switch self {
            case .trustAnchor: "trust anchor"
            case .profile: "profile"
            case .role: "role"
            }
        }

        var example: String {
            switch self {
            case .trustAnchor, .profile: "arn:aws:rolesanywhere:us-east-1:123456789012:\(rawValue)/…"
            case .role: "arn:aws:iam::123456789012:role/…"
            }
        }
    }

    /// Checks that the name is of a kind of resource, given by identifier or by alias.
    func require(_ kind: Kind) throws(RolesAnywhereError) {
        let isRight =
            switch kind {
            case .trustAnchor, .profile:
                service == "rolesanywhere" && !region.isEmpty
                    && (hasPath("\(kind.rawValue)/") || hasPath("alias/\(kind.rawValue)/"))
            case .role: service == "iam" && region.isEmpty && hasPath("role/")
            }
        guard isRight else {
            throw RolesAnywhereError(
                .invalidArgument,
                "\"\(self)\" is not the ARN of a \(kind.noun)",
                hint: "it looks like \(kind.example)"
            )
        }
    }

    private func hasPath(_ prefix: String) -> Bool {
        resource.hasPrefix(prefix) && resource.utf8.count > prefix.utf8.count
    }
}
