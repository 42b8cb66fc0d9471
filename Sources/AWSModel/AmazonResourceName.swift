// SPDX-License-Identifier: Apache-2.0

package import SystemSupport

/// An Amazon Resource Name: `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`.
///
/// The resource is any printable ASCII. No UUID is required, because IAM Roles Anywhere takes aliases too.
/// Source: IAM User Guide, "Identify AWS resources with Amazon Resource Names (ARNs)".
package struct AmazonResourceName: Hashable, Sendable, CustomStringConvertible {
    /// `aws`, `aws-cn`, …
    package let partition: String
    /// `rolesanywhere`, `iam`, `sts`.
    package let service: String
    /// Empty for services without regions, such as IAM.
    package let region: String
    /// Twelve digits.
    package let account: String
    /// The type and the name: `trust-anchor/…`, `alias/profile/…`, `role/…`.
    package let resource: String

    /// Reads an ARN.
    ///
    /// - Throws: ``AWSModelError`` naming the part that is wrong.
    package init(parsing text: String) throws(AWSModelError) {
        func malformed(_ why: String) -> AWSModelError {
            AWSModelError(.malformedARN, "\"\(printable(text, limit: 200))\" is not an ARN: \(why)")
        }
        let bytes = text.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 5, omittingEmptySubsequences: false)
        let parts = bytes.map { String(Substring($0)) }
        guard parts.count == 6, parts[0] == "arn" else {
            throw malformed("it is not of the form arn:partition:service:region:account:resource")
        }
        guard text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw malformed("it holds a character outside of ASCII")
        }
        guard AWSLimit.arnLength.contains(text.utf8.count) else {
            throw malformed("it has \(text.utf8.count) characters, not at most \(AWSLimit.arnLength.maximum)")
        }
        guard parts[1] == "aws" || parts[1].hasPrefix("aws-") && parts[1].utf8.allSatisfy(Self.isNameByte) else {
            throw malformed("its partition is \"\(parts[1])\"")
        }
        guard !parts[2].isEmpty, parts[2].utf8.allSatisfy(Self.isNameByte) else {
            throw malformed("its service is \"\(parts[2])\"")
        }
        guard parts[3].utf8.allSatisfy(Self.isNameByte) else { throw malformed("its region is \"\(parts[3])\"") }
        guard parts[4].utf8.count == 12, parts[4].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw malformed("its account is \"\(parts[4])\", not twelve digits")
        }
        guard !parts[5].isEmpty else { throw malformed("it names no resource") }
        self.init(partition: parts[1], service: parts[2], region: parts[3], account: parts[4], resource: parts[5])
    }

    /// Reads an ARN; `nil` if the text is not one, or has a blank that only an alias of Roles Anywhere may have.
    package init?(_ text: String) {
        guard let name = try? Self(parsing: text), name.service == "rolesanywhere" || !text.contains(" ") else {
            return nil
        }
        self = name
    }

    private init(partition: String, service: String, region: String, account: String, resource: String) {
        (self.partition, self.service, self.region) = (partition, service, region)
        (self.account, self.resource) = (account, resource)
    }

    /// Creates the ARN of a resource of IAM Roles Anywhere.
    package init(rolesAnywhere resource: String, region: String, account: String) {
        self.init(
            partition: Partition(of: region).name, service: "rolesanywhere", region: region, account: account,
            resource: resource
        )
    }

    /// Creates the ARN of a resource of IAM or STS, whose ARNs have no region.
    ///
    /// - Parameter region: Any region of the partition.
    package init(global service: String, _ resource: String, region: String, account: String) {
        self.init(
            partition: Partition(of: region).name, service: service, region: "", account: account, resource: resource
        )
    }

    /// Reads the ARN of a managed policy; `nil` if it is not one. AWS's own have `aws` in place of the account, which is
    /// read as twelve zeros.
    package init?(managedPolicy text: String) {
        let parts = text.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, parts[5].hasPrefix("policy/"), parts[5].utf8.count > "policy/".utf8.count,
            parts[2] == "iam", parts[3].isEmpty
        else { return nil }
        let account = parts[4] == "aws" ? "000000000000" : String(parts[4])
        self.init("\(parts[0]):\(parts[1]):\(parts[2]):\(parts[3]):\(account):\(parts[5])")
    }

    package var description: String { "arn:\(partition):\(service):\(region):\(account):\(resource)" }

    /// The kind of a Roles Anywhere resource, and its identifier or, in the alias form, its name; `nil` for other services.
    package var rolesAnywhereResource: (kind: Substring, identifier: Substring, isAlias: Bool)? {
        guard service == "rolesanywhere", !region.isEmpty else { return nil }
        let parts = resource.utf8.split(separator: 0x2f, maxSplits: 2, omittingEmptySubsequences: false)
            .map(Substring.init)
        if parts.count == 2, !parts[1].isEmpty { return (parts[0], parts[1], false) }
        if parts.count == 3, parts[0] == "alias", !parts[2].isEmpty { return (parts[1], parts[2], true) }
        return nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "-")
    }
}

extension AmazonResourceName {
    /// A kind of resource that a session is made from.
    package enum Kind: String, CaseIterable, Sendable {
        case trustAnchor = "trust-anchor"
        case profile = "profile"
        case role = "role"

        fileprivate var noun: String { self == .trustAnchor ? "trust anchor" : rawValue }

        fileprivate var example: String {
            self == .role
                ? "arn:aws:iam::123456789012:role/…" : "arn:aws:rolesanywhere:us-east-1:123456789012:\(rawValue)/…"
        }
    }

    /// Whether it names a resource of a kind, by identifier or by alias.
    package func isA(_ kind: Kind) -> Bool {
        switch kind {
        case .trustAnchor, .profile:
            service == "rolesanywhere" && !region.isEmpty
                && (hasPath("\(kind.rawValue)/") || hasPath("alias/\(kind.rawValue)/"))
        case .role: service == "iam" && region.isEmpty && hasPath("role/")
        }
    }

    /// Throws unless it names a resource of a kind.
    package func require(_ kind: Kind) throws(AWSModelError) {
        guard isA(kind) else {
            throw AWSModelError(
                .wrongKind, "\"\(self)\" is not the ARN of a \(kind.noun)", hint: "it looks like \(kind.example)")
        }
    }

    private func hasPath(_ prefix: String) -> Bool {
        resource.hasPrefix(prefix) && resource.utf8.count > prefix.utf8.count
    }
}

extension AmazonResourceName: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let name = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an ARN")
        }
        self = name
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The error of a name that AWS would not know.
package typealias AWSModelError = CodedError<AWSModelErrorCode>

package enum AWSModelErrorCode: Sendable {
    case malformedARN
    /// An ARN names another kind of resource.
    case wrongKind
}
