// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// The command that gives AWS a certificate revocation list.
public struct RevocationListImport: Hashable, Sendable {
    /// The most bytes that AWS takes as one list.
    public static let maximumLength = 300_000

    /// Where the list goes.
    public enum Place: Hashable, Sendable {
        /// A new list for a trust anchor, under a name.
        case trustAnchor(arn: String, name: String)
        /// In place of the list that AWS knows by an identifier.
        case list(identifier: String)
    }

    /// The list's file.
    public let path: String
    /// Where it goes.
    public let place: Place
    /// The AWS region; the AWS CLI's own default when there is none.
    public let region: String?

    /// Describes an import.
    ///
    /// - Parameters:
    ///   - path: The list's file, in PEM.
    ///   - place: Where it goes.
    ///   - region: The AWS region.
    /// - Throws: ``TrustAnchorError`` when AWS would not take a name, or a shell would make more of it than a word.
    public init(path: String, place: Place, region: String? = nil) throws(TrustAnchorError) {
        switch place {
        case .trustAnchor(let arn, let name):
            try TrustAnchorBundle.check(name: name)
            guard arn.hasPrefix("arn:"), arn.contains(":rolesanywhere:"), arn.contains(":trust-anchor/"),
                Self.isPlain(arn)
            else {
                throw TrustAnchorError(
                    .name,
                    "\"\(arn)\" is not the ARN of a trust anchor",
                    hint: "see it with: aws rolesanywhere list-trust-anchors"
                )
            }
        case .list(let identifier):
            guard !identifier.isEmpty, Self.isPlain(identifier) else {
                throw TrustAnchorError(
                    .name,
                    "\"\(identifier)\" is not the identifier of a list in AWS",
                    hint: "see it with: aws rolesanywhere list-crls"
                )
            }
        }
        if let region { try TrustAnchorBundle.check(region: region) }
        self.path = path
        self.place = place
        self.region = region
    }

    /// One command for a POSIX shell, on lines joined by backslashes.
    public var awsCLICommand: String {
        var lines: [String]
        switch place {
        case .trustAnchor(let arn, let name):
            lines = [
                "aws rolesanywhere import-crl", Quoting.shell("--name=\(name)"), "--enabled",
                "--trust-anchor-arn \(Quoting.shell(arn))",
            ]
        case .list(let identifier): lines = ["aws rolesanywhere update-crl", "--crl-id \(Quoting.shell(identifier))"]
        }
        if let region { lines.insert("--region \(Quoting.shell(region))", at: 1) }
        lines.append("--crl-data \(Quoting.shell("fileb://\(path)"))")
        return lines.joined(separator: " \\\n  ")
    }

    private static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "/._-+:@".utf8.contains(byte)
            }
        }
    }
}
