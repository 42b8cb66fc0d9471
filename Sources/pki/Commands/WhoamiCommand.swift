// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import RolesAnywhere
import SystemSupport

/// `pki whoami`
struct WhoamiCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whoami",
        abstract: "Show the AWS identity that this certificate gives you.",
        discussion: """
            Exchanges the certificate for credentials and asks STS whose they are (sts:GetCallerIdentity, which needs no \
            permission). When this prints the role, everything works: trust anchor, profile, role, trust policy, \
            certificate and clock. The STS endpoint is that of the trust anchor's region, unless AWS_ENDPOINT_URL_STS or \
            AWS_ENDPOINT_URL is set.

            For example:

              pki whoami --profile web

            Exit status: that of pki creds.
            """
    )

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions
    @OptionGroup var cache: CacheOption

    @OptionGroup var format: FormatOption

    func run() throws {
        let console = Console.standard
        let access = try Access(access, profile: profile.profile)
        let credentials = try access.credentials(usesCache: cache.cache, console)
        let session = SessionCredentials(
            accessKeyID: credentials.accessKeyID, secretAccessKey: credentials.secretAccessKey,
            sessionToken: credentials.sessionToken, expiration: credentials.expiration, role: access.request.role)
        let identity = try access.identityClient(console).callerIdentity(of: session)
        switch format.value {
        case .text:
            try console.write(
                """
                account  \(printable(identity.account))
                session  \(printable(identity.arn))
                user id  \(printable(identity.userID))

                """
            )
        case .json:
            let members = [("UserId", identity.userID), ("Account", identity.account), ("Arn", identity.arn)]
            let lines = members.map { "    \"\($0)\": \(JSONText.string($1).encoded)" }
            try console.write("{\n\(lines.joined(separator: ",\n"))\n}\n")
        }
    }
}
