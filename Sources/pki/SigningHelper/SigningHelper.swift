// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import SystemSupport

/// The command line of `aws_signing_helper`, in whose place `pki` can stand: under that name, by a link, or as
/// `pki credential-process` and so on.
struct SigningHelper: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aws_signing_helper",
        abstract: "AWS session credentials for a client certificate: pki, called as aws_signing_helper.",
        discussion: """
            Takes the options of aws_signing_helper 1.8, prints what it prints, and exits with 1 when anything fails. Each \
            option of pki works too. docs/migrating-from-aws-signing-helper.md says what is better under pki's own names.
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

    /// Whether a program is called as the helper.
    ///
    /// - Parameter arguments: The whole command line.
    /// - Returns: Whether it is.
    static func isCalled(by arguments: [String]) -> Bool {
        arguments.first?.split(separator: "/").last.map { $0 == "aws_signing_helper" } ?? false
    }

    /// Whether a command line is to end as the helper ends.
    ///
    /// - Parameter arguments: The whole command line.
    /// - Returns: Whether it is.
    static func isMeant(by arguments: [String]) -> Bool {
        isCalled(by: arguments)
            || arguments.count > 1 && commands.contains { $0.configuration.commandName == arguments[1] }
    }

    /// The arguments as this parser takes them: the helper's takes a value for a flag, as in `--debug=true`.
    ///
    /// - Parameter arguments: The command line behind the program's name.
    /// - Returns: The same without values of flags; flags that are set to false are left out.
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
        abstract: "As aws_signing_helper: print credentials for credential_process.",
        discussion: """
            One JSON object without a line end, each time fresh from the service. pki creds --cache prints the same, and asks \
            the service once for any number of callers.

            For example:

              pki credential-process --certificate web-1-cert.pem --private-key web-1-key.pem \\
                --trust-anchor-arn $anchor --profile-arn $profile --role-arn $role
            """
    )

    @OptionGroup var access: AccessOptions

    func run() throws {
        let console = Console.standard
        let credentials = try Access(access.settings, profile: nil).credentials(console)
        try console.write(credentials.helperText)
    }
}

/// `aws_signing_helper version`
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "As aws_signing_helper: print the version.",
        discussion: """
            The version of pki, which is no version of aws_signing_helper.

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
