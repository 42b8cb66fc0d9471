// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

/// A client of a CA's directory, and how it gets credentials by what is recorded there.
struct ClientSource {
    private let name: String
    private let directory: String

    /// - Parameter directory: The CA's directory, as an absolute path.
    init(_ name: String, in directory: String) {
        self.name = name
        self.directory = directory
    }

    private var option: String { Quoting.option("--directory", directory) }

    /// Sets the certificate, whose key and chain are beside it, and the ARNs that were not given.
    ///
    /// - Parameters:
    ///   - options: The options of the command line.
    ///   - role: The name of the recorded role; `nil` if there is only one.
    func fill(_ options: inout AccessOptions, role: String?) throws {
        let identity: StoredIdentity
        do {
            identity = try StoredIdentity(name: name, in: directory)
        } catch let error as AuthorityError where error.code == .missing {
            throw InputError(
                message: error.message,
                hint: "issue it: pki issue-client \(Quoting.command(Quoting.words("--name", name))) \(option)")
        }
        try checkStanding(of: identity.certificate)
        options.identity.certificate = "\(directory)/\(FilePath.Part.certificate.name(of: name))"
        let session = options.session
        guard role != nil || session.trustAnchorArn == nil || session.profileArn == nil || session.roleArn == nil else {
            return
        }
        let recorded = try Self.recordedRole(role, in: directory)
        options.session.trustAnchorArn = session.trustAnchorArn ?? "\(recorded.trustAnchorArn)"
        options.session.profileArn = session.profileArn ?? "\(recorded.profileArn)"
        options.session.roleArn = session.roleArn ?? "\(recorded.roleArn)"
    }

    /// Refuses a certificate that is revoked, on hold or expired.
    private func checkStanding(of certificate: Certificate) throws {
        let standing = try Inventory.standings(of: [certificate], in: directory)[0]
        if let (revocation, _) = standing.revocation {
            let words = Quoting.shell(name)
            throw InputError(
                message: "\(name) \(standing.finding ?? "is revoked")",
                hint: revocation.reason == .certificateHold
                    ? "release it: pki revoke \(words) --release \(option)"
                    : "issue it again: pki issue-client \(Quoting.option("--name", name)) --force \(option)")
        }
        guard Date.now <= certificate.notAfter else {
            throw InputError(
                message: "the certificate of \(name) expired at \(CivilTime(certificate.notAfter).extended)",
                hint: "renew it: pki renew \(Quoting.shell(name)) \(option)")
        }
    }

    /// A role that is recorded in a CA's directory.
    ///
    /// - Parameters:
    ///   - name: The role's name; `nil` if there is only one.
    ///   - directory: The CA's directory.
    static func recordedRole(_ name: String?, in directory: String) throws -> RecordedResources.Role {
        let roles = try RecordedResources(in: directory).roles
        let command =
            "pki set-arns --trust-anchor-arn ARN --profile-arn ARN --role-arn ARN "
            + Quoting.option("--directory", directory)
        guard !roles.isEmpty else {
            throw InputError(message: "no ARNs are recorded in \(directory)", hint: "record them: \(command)")
        }
        let names = roles.map { printable($0.name) }.joined(separator: ", ")
        if let name {
            guard let role = roles.first(where: { $0.name == name }) else {
                throw InputError(
                    message: "no role \(printable(name, limit: 64)) is recorded in \(directory)",
                    hint: "choose one of \(names), or record it: \(command)")
            }
            return role
        }
        guard roles.count == 1 else {
            throw InputError(
                message: "\(roles.count) roles are recorded in \(directory)",
                hint: "choose one of \(names) with --role")
        }
        return roles[0]
    }
}
