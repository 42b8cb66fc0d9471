// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
package import Delivery
import FoundationEssentials
import RolesAnywhere

/// `pki creds`
struct CredsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "creds",
        abstract: "Trade a client certificate for AWS session credentials.",
        discussion: """
            Signs a CreateSession request of IAM Roles Anywhere with the certificate's key and prints what comes back. \
            The certificate, its chain, its key and the ARNs are checked first, by the rules of the service: what would \
            be refused there is named here, and nothing is sent.

            For example, in a shell:

              anchor=arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/ID
              profile=arn:aws:rolesanywhere:us-east-1:123456789012:profile/ID
              role=arn:aws:iam::123456789012:role/web
              eval "$(pki creds --format env \\
                --certificate web-1-cert.pem --private-key web-1-key.pem \\
                --trust-anchor-arn $anchor --profile-arn $profile --role-arn $role)"

            For the AWS CLI and every SDK, write the same options into a profile once; they then ask pki themselves:

              pki configure --profile web \\
                --certificate web-1-cert.pem --private-key web-1-key.pem \\
                --trust-anchor-arn $anchor --profile-arn $profile --role-arn $role
              aws sts get-caller-identity --profile web

            Exit status: 0 done, 2 refused here with the rule named, 64 wrong usage, 69 the service cannot be reached or \
            cannot answer, 77 the service refused.
            """
    )

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions
    @OptionGroup var cache: CacheOption

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            process: JSON for credential_process. env, fish, powershell: lines for that shell (env: POSIX). ini: a \
            section of ~/.aws/credentials. json: everything the service said.
            """,
            valueName: "form"
        )
    )
    var format = CredentialsFormat.process

    func run() throws {
        let console = Console.standard
        let access = try Access(access.settings, profile: profile.profile)
        let credentials = try access.credentials(usesCache: cache.cache, console)
        let text = try credentials.text(as: format, section: access.name)
        try console.write(text + "\n")
    }
}

extension CredentialsFormat: ExpressibleByArgument {}

extension Credentials {
    /// Credentials as the service gave them.
    ///
    /// - Parameters:
    ///   - session: The service's answer.
    ///   - issued: When it came.
    init(_ session: SessionCredentials, issued: Date) {
        self.init(
            accessKeyID: session.accessKeyID,
            secretAccessKey: session.secretAccessKey,
            sessionToken: session.sessionToken,
            issued: issued,
            expiration: session.expiration,
            accountID: session.accountID,
            roleARN: session.roleARN,
            assumedRoleARN: session.assumedRoleARN,
            subjectARN: session.subjectARN,
            sourceIdentity: session.sourceIdentity
        )
    }
}
