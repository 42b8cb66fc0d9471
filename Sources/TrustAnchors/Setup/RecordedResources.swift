// SPDX-License-Identifier: Apache-2.0

package import AWSModel
package import Certificates
import FoundationEssentials
import SystemSupport

/// The resources in AWS for a CA, as the file `aws-arns.json` in the CA's directory has them: the trust anchors, and the roles
/// with their profiles.
///
/// `pki set-arns` writes it; nothing in it is secret, and nothing is asked of AWS.
package struct RecordedResources: Codable, Equatable, Sendable {
    /// A trust anchor.
    package struct Anchor: Codable, Equatable, Sendable {
        package var arn: AmazonResourceName
        /// The SHA-256 of each CA's public key.
        package var caKeys: [String]

        /// Whether a CA is in it, so that AWS takes the CA's CRL.
        ///
        /// - Parameter key: The SHA-256 of the CA's public key.
        package func holds(_ key: [UInt8]) -> Bool { caKeys.contains(hexadecimal(key)) }
    }

    /// A role, and what a client needs to assume it.
    package struct Role: Codable, Equatable, Sendable {
        package var name: String
        package var roleArn: AmazonResourceName
        package var profileArn: AmazonResourceName
        package var trustAnchorArn: AmazonResourceName

        package init(
            name: String, roleArn: AmazonResourceName, profileArn: AmazonResourceName,
            trustAnchorArn: AmazonResourceName
        ) {
            (self.name, self.roleArn) = (name, roleArn)
            (self.profileArn, self.trustAnchorArn) = (profileArn, trustAnchorArn)
        }
    }

    package private(set) var trustAnchors: [Anchor] = []
    package private(set) var roles: [Role] = []

    package static let fileName = "aws-arns.json"

    /// More than an account can have.
    private static let limit = 1000

    package init() {}

    // MARK: - Changing

    /// Adds a trust anchor, or replaces what is known of its CAs.
    package mutating func record(_ arn: AmazonResourceName, authorities: [Certificate]) {
        let anchor = Anchor(arn: arn, caKeys: authorities.map { hexadecimal($0.publicKey.digest) })
        if let index = trustAnchors.firstIndex(where: { $0.arn == arn }) {
            trustAnchors[index] = anchor
        } else {
            trustAnchors.append(anchor)
        }
    }

    /// Adds a role, or replaces the one of its name, with its trust anchor if that was another and has no role left.
    package mutating func record(_ role: Role) {
        if let index = roles.firstIndex(where: { $0.name == role.name }) {
            let old = roles[index].trustAnchorArn
            roles[index] = role
            if !roles.contains(where: { $0.trustAnchorArn == old }) { trustAnchors.removeAll { $0.arn == old } }
        } else {
            roles.append(role)
        }
    }

    /// Removes a trust anchor and the roles that are assumed through it. Returns whether it was recorded.
    package mutating func remove(_ arn: AmazonResourceName) -> Bool {
        let isKnown = trustAnchors.contains { $0.arn == arn }
        trustAnchors.removeAll { $0.arn == arn }
        roles.removeAll { $0.trustAnchorArn == arn }
        return isKnown
    }

    // MARK: - The file

    /// Reads the file of a directory; empty if there is none.
    package init(in path: String) throws {
        let file = "\(path)/\(Self.fileName)"
        guard FileStatus(at: file, followsLinks: false) != nil else { return }
        let contents = try FileContents(regular: file, followsLinks: false, limit: 1 << 20)
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(contents.bytes.array))
            try check()
        } catch {
            throw TrustAnchorError(
                .malformed, "\"\(printable(file))\" does not hold ARNs as pki set-arns writes them",
                hint: "move it away and record them again: mv \(Quoting.shell(file)) \(Quoting.shell(file + ".old"))")
        }
    }

    private func check() throws {
        for anchor in trustAnchors { try anchor.arn.require(.trustAnchor) }
        for role in roles {
            try role.trustAnchorArn.require(.trustAnchor)
            try role.profileArn.require(.profile)
            try role.roleArn.require(.role)
        }
        let names = roles.map(\.name)
        guard names.allSatisfy(Self.isName), Set(names).count == names.count,
            max(roles.count, trustAnchors.count) <= Self.limit
        else { throw TrustAnchorError(.malformed, "names") }
    }

    /// Whether a text can be the name of a role.
    package static func isName(_ name: String) -> Bool {
        AWSLimit.roleNameLength.contains(name.utf8.count) && AWSText.sessionName.allows(name)
    }

    /// Changes the file of a directory, under the lock that commands on the CA take.
    package static func change(in path: String, _ body: (inout RecordedResources) throws -> Void) throws {
        let directory = try Directory(path, for: .writing)
        try directory.withLock {
            var resources = try RecordedResources(in: path)
            let old = resources
            try body(&resources)
            guard resources != old else { return }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            let text = try encoder.encode(resources) + Data("\n".utf8)
            try NewFile.write(fileName, in: directory, SecretBytes(text), mode: 0o644, replacing: .always)
        }
    }
}
