// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import FoundationEssentials
import SystemSupport

enum Version {
    static let text = "0.1.0"

    /// What `--version` prints. The version of libcrypto, which `pki doctor` shows, would have it loaded.
    static var line: String { "pki \(text)" }
}

@main
struct PKI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pki",
        abstract: "Run a CA, and trade its client certificates for AWS credentials through IAM Roles Anywhere.",
        discussion: """
            Start here:

              pki init-ca                     create a root CA in ./credential-process-data
              pki issue-client web-1          issue a client certificate
              pki print-bundle                print the certificate for a trust anchor
              pki print-setup --help          print the set-up of AWS for the CA
              pki inspect web-1-cert.pem      show a certificate; does AWS accept it?
              pki lab                         run the AWS side on this machine
              pki creds --help                get AWS credentials for a certificate
              pki configure --help            set up the AWS CLI and the SDKs to use pki
              pki whoami                      show the AWS identity of a certificate

            Results go to standard output, everything else to standard error. On a terminal, pki help COMMAND shows its text with \
            PKI_PAGER or PAGER, else less or more; pki COMMAND --help prints it.

            Exit status: 0 done or nothing to do, 1 check failed, 2 refused or failed, 64 wrong usage, \
            69 service unavailable, 77 denied by the service.
            """,
        version: Version.line,
        groupedSubcommands: [
            CommandGroup(
                name: "CA",
                subcommands: [
                    InitCACommand.self, IssueClientCommand.self, IssueIntermediateCommand.self, StatusCommand.self,
                    ListCommand.self, TreeCommand.self, InventoryCommand.self, RenewCommand.self, RevokeCommand.self,
                    CRLCommand.self,
                    RotateCACommand.self,
                    ExportCommand.self, ImportCommand.self, ChangePassphraseCommand.self, AuditCommand.self,
                    BackupCommand.self, RestoreCommand.self, PrintTemplateCommand.self,
                ]
            ),
            CommandGroup(
                name: "Fleet",
                subcommands: [
                    ServeCACommand.self, TokenCommand.self, PendingCommand.self, ApproveCommand.self, DenyCommand.self,
                    EnrolCommand.self,
                ]
            ),
            CommandGroup(
                name: "Checking",
                subcommands: [DoctorCommand.self, InspectCommand.self, VerifyCommand.self, LintCommand.self]),
            CommandGroup(
                name: "AWS",
                subcommands: [
                    PrintBundleCommand.self, PrintTrustPolicyCommand.self, PrintSetupCommand.self, SetARNsCommand.self,
                    LabCommand.self,
                ]
            ),
            CommandGroup(
                name: "Credentials",
                subcommands: [
                    CredsCommand.self, ConfigureCommand.self, ExecCommand.self, UpdateCommand.self, ServeCommand.self,
                    WhoamiCommand.self, CacheCommand.self,
                ]
            ),
            CommandGroup(name: "Shell", subcommands: [CompletionCommand.self]),
            CommandGroup(name: "As aws_signing_helper", subcommands: SigningHelper.commands),
        ]
    )

    /// Refuses arguments that cannot be read, and names that are not UTF-8, which would be read as others.
    private static func checkEncoding() throws(UsageError) {
        // Swift reads them there, and would say that there are none.
        guard !CommandLine.arguments.isEmpty else {
            throw UsageError(
                message: "the arguments cannot be read: /proc is not mounted", hint: "mount -t proc proc /proc")
        }
        if let position = ThisProcess.undecodableArgument {
            throw UsageError(message: "argument \(position) is not UTF-8", hint: "rename the file, or link to it")
        }
        let variable = ThisProcess.undecodableVariable { name in
            ["HOME", "TMPDIR", "CREDENTIALS_DIRECTORY"].contains(name)
                || ["AWS_", "PKI_", "SSL_", "XDG_"].contains(where: name.hasPrefix)
        }
        if let variable {
            throw UsageError(message: "the environment variable \(variable) is not UTF-8", hint: "unset \(variable)")
        }
    }

    static func main() async {
        ThisProcess.ignoreWriteSignals()
        // Before any secret is read: no core dumps, no access by other processes, freed memory wiped.
        GuardedMemory.keepFromOthers()
        CoreDumps.forbid()
        GuardedMemory.guardKeysWhenNeeded()
        do {
            try checkEncoding()
            let isSigningHelper = SigningHelper.isCalled(by: CommandLine.arguments)
            let given = Array(CommandLine.arguments.dropFirst())
            var command =
                isSigningHelper
                ? try CommandReader(SigningHelper.self).command(SigningHelper.normalized(given))
                : try CommandReader(Self.self).command(given)
            if var server = command as? any AsyncParsableCommand {
                try await server.run()
            } else {
                try command.run()
            }
            Console.standard.leave(ExitStatus.done)
        } catch {
            Console.standard.exit(with: error)
        }
    }
}

enum ProgramPath {
    /// The absolute path by which this program was called. Links are kept, as a package manager may point them at the next
    /// version.
    static var current: String {
        let called = CommandLine.arguments.first ?? ""
        let environment = ProcessInfo.processInfo.environment
        if called.contains("/") {
            let path = absolutePath(called, in: FileManager.default.currentDirectoryPath)
            if FilePath.isExecutable(path) { return path }
        } else if !called.isEmpty {
            for directory in (environment["PATH"] ?? "").split(separator: ":") where directory.hasPrefix("/") {
                let path = absolutePath(called, in: String(directory))
                if FilePath.isExecutable(path) { return path }
            }
        }
        return ThisProcess.executablePath
    }
}
