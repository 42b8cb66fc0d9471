// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
package import Delivery
import FoundationEssentials
import RolesAnywhere

/// `pki creds`
struct CredsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "creds",
        abstract: "Exchange a client certificate for AWS session credentials.",
        discussion: """
            Signs a CreateSession request of IAM Roles Anywhere with the certificate's key and prints the credentials. \
            Certificate, chain, key and ARNs are checked by the service's rules first; nothing is sent that it would refuse.

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

            Exit status: 0 done, 2 refused by a local check, 64 wrong usage, 69 service unavailable, 77 denied by the service.
            """
    )

    @OptionGroup var profile: ProfileOption
    @OptionGroup var access: AccessOptions
    @OptionGroup var cache: CacheOption

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Output format. process: JSON for credential_process; env (POSIX), fish, powershell: lines for a shell; \
            ini: a section of ~/.aws/credentials; json: the service's whole answer.
            """,
            valueName: "format"
        )
    )
    var format = CredentialsFormat.process

    func run() throws {
        let console = Console.standard
        let access = try Access(access, profile: profile.profile)
        let credentials = try access.credentials(usesCache: cache.cache, console)
        let text = try credentials.text(as: format, section: access.name)
        try console.write(text + "\n")
    }
}

extension CredentialsFormat: ExpressibleByArgument {}

/// The answer to the command line that `pki configure` writes for programs, which call it again and again.
///
/// Setting up the parser of the command line costs more than all the rest of a hit in the cache, so this one command is
/// answered without it. Anything else, including any failure, takes the ordinary path, which reports errors.
struct CachedAnswer {
    let text: String

    /// `nil` unless the arguments are `creds`, `--profile NAME` or `--profile=NAME`, and `--cache`, in any order of the latter
    /// two, and the credentials are in the cache.
    init?(_ arguments: ArraySlice<String>) {
        guard let profile = Self.profile(of: arguments),
            let access = try? Access(AccessOptions.none, profile: profile),
            let key = try? access.cacheKey(), let credentials = try? CredentialCache.standard.cached(for: key),
            let document = try? credentials.text(as: .process)
        else { return nil }
        text = document + "\n"
    }

    static func profile(of arguments: ArraySlice<String>) -> String? {
        guard arguments.first == "creds" else { return nil }
        var words = Array(arguments.dropFirst())
        guard words.first == "--cache" || words.last == "--cache" else { return nil }
        words.remove(at: words.first == "--cache" ? 0 : words.count - 1)
        let joined = "--profile="
        if words.count == 1, words[0].hasPrefix(joined), words[0] != joined {
            return String(words[0].dropFirst(joined.count))
        }
        guard words.count == 2, words[0] == "--profile", !words[1].isEmpty, !words[1].hasPrefix("-") else { return nil }
        return words[1]
    }
}
