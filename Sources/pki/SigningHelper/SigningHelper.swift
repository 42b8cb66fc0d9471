// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import SystemSupport

/// The command line of `aws_signing_helper`, which `pki` can replace: by a link of that name, or as
/// `pki credential-process` and so on.
struct SigningHelper: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aws_signing_helper",
        abstract: "AWS session credentials for a client certificate: pki, called as aws_signing_helper.",
        discussion: """
            Has the options, output and exit status (1 for any failure) of aws_signing_helper 1.8. All options of pki \
            work too. docs/migrating-from-aws-signing-helper.md compares it with pki's own commands.
            """,
        version: Version.text,
        subcommands: [
            CredentialProcessCommand.self, UpdateCommand.self, ServeCommand.self, SignStringCommand.self,
            ReadCertificateDataCommand.self, VersionCommand.self,
        ]
    )

    /// The commands that have no other name in pki.
    static let commands: [any ParsableCommand.Type] = [
        CredentialProcessCommand.self, SignStringCommand.self, ReadCertificateDataCommand.self, VersionCommand.self,
    ]

    /// The status of every failure.
    static let failure: Int32 = 1

    /// Whether the program was started under the helper's name.
    static func isCalled(by arguments: [String]) -> Bool {
        arguments.first?.split(separator: "/").last.map { $0 == "aws_signing_helper" } ?? false
    }

    /// Whether the command exits with the helper's status.
    static func isMeant(by arguments: [String]) -> Bool {
        isCalled(by: arguments)
            || arguments.count > 1 && commands.contains { $0.configuration.commandName == arguments[1] }
    }

    /// The arguments after the program's name for this parser: the helper accepts values of flags, as in `--debug=true`.
    static func normalized(_ arguments: [String]) -> [String] {
        let flags: Set = [
            "--debug", "--no-verify-ssl", "--with-proxy", "--use-latest-expiring-certificate", "--reuse-pin",
            "--no-tpm-key-password", "--once",
        ]
        return arguments.compactMap { argument in
            guard let equals = argument.firstIndex(of: "="), flags.contains(String(argument[..<equals])) else {
                return argument
            }
            switch argument[argument.index(after: equals)...].lowercased() {
            case "true", "t", "1": return String(argument[..<equals])
            case "false", "f", "0": return nil
            default: return argument
            }
        }
    }
}

/// `aws_signing_helper credential-process`
struct CredentialProcessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "credential-process",
        abstract: "Print credentials for credential_process, as in aws_signing_helper.",
        discussion: """
            One JSON object without a line end, always new from the service. pki creds --cache prints the same, and asks \
            the service once for any number of callers.

            For example:

              pki credential-process --certificate web-1-cert.pem \\
                --private-key web-1-key.pem --trust-anchor-arn $anchor \\
                --profile-arn $profile --role-arn $role
            """
    )

    @OptionGroup var access: AccessOptions

    func run() throws {
        let console = Console.standard
        let credentials = try Access(access, profile: nil).credentials(console)
        try console.write(credentials.helperText)
    }
}

/// `aws_signing_helper version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version, as in aws_signing_helper.",
        discussion: """
            The version of pki, not of aws_signing_helper.

            For example:

              pki version
            """
    )

    func run() throws { try Console.standard.write(Version.text + "\n") }
}

extension Credentials {
    /// What aws_signing_helper prints: no account, no line end.
    fileprivate var helperText: String {
        JSONText.object([
            ("Version", .number(1)),
            ("AccessKeyId", .string(accessKeyID)),
            ("SecretAccessKey", .string(secretAccessKey)),
            ("SessionToken", .string(sessionToken)),
            ("Expiration", .string(CivilTime(expiration).extended)),
        ]).encoded
    }
}
