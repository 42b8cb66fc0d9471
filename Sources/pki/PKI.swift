// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Glibc

/// The command line's root.
@main
struct PKI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pki",
        abstract: "From nothing to AWS credentials: a CA, a client certificate, and IAM Roles Anywhere.",
        discussion: """
            A machine outside AWS trades a client certificate for short-lived AWS credentials. Start here:

              pki init-ca                     make a root CA in ./credential-process-data
              pki issue-client --name web-1   issue a client certificate
              pki print-bundle                print what the trust anchor in AWS is made from
              pki print-setup --help          print all of AWS's side: trust anchor, role, profile
              pki inspect web-1-cert.pem      show a certificate, and what AWS would make of it
              pki lab                         run the AWS side on this machine, no account needed
              pki creds --help                trade the certificate for credentials
              pki configure --help            have the AWS CLI and the SDKs ask pki for them
              pki whoami                      ask AWS who the certificate makes one

            Results are on standard output, everything else on standard error.

            Exit status: 0 done, 1 check failed or nothing to do, 2 refused or failed, 64 wrong usage,
            69 service unavailable, 77 denied by the service.
            """,
        version: Version.text,
        groupedSubcommands: [
            CommandGroup(
                name: "CA",
                subcommands: [
                    InitCACommand.self, IssueClientCommand.self, IssueIntermediateCommand.self, ListCommand.self,
                    TreeCommand.self, RenewCommand.self, RevokeCommand.self, CRLCommand.self, RotateCACommand.self,
                    ExportCommand.self, ImportCommand.self, ChangePassphraseCommand.self, AuditCommand.self,
                    PrintTemplateCommand.self,
                ]
            ),
            CommandGroup(
                name: "Checking",
                subcommands: [DoctorCommand.self, InspectCommand.self, VerifyCommand.self, LintCommand.self]
            ),
            CommandGroup(
                name: "AWS",
                subcommands: [
                    PrintBundleCommand.self, PrintTrustPolicyCommand.self, PrintSetupCommand.self, LabCommand.self,
                ]
            ),
            CommandGroup(
                name: "Credentials",
                subcommands: [
                    CredsCommand.self, ConfigureCommand.self, ExecCommand.self, UpdateCommand.self, ServeCommand.self,
                    WhoamiCommand.self, CacheCommand.self,
                ]
            ),
            CommandGroup(name: "As aws_signing_helper", subcommands: SigningHelper.commands),
        ]
    )

    static func main() async {
        // A file-size limit is an error to report, not a signal to die from.
        signal(SIGXFSZ, SIG_IGN)
        signal(SIGPIPE, SIG_IGN)
        // Before any secret is read: no core, no other process that looks, no trace in memory that was given back.
        GuardedMemory.keepFromOthers()
        CoreDumps.forbid()
        FreedMemory.wipeFromNowOn()
        GuardedMemory.lockKeys()
        do {
            if let answer = CachedAnswer(CommandLine.arguments.dropFirst()) {
                try Console.standard.write(answer.text)
                Console.standard.leave(ExitStatus.done)
            }
            var command: any ParsableCommand
            if SigningHelper.isCalled(by: CommandLine.arguments) {
                command = try SigningHelper.parseAsRoot(
                    SigningHelper.normalized(Array(CommandLine.arguments.dropFirst()))
                )
            } else {
                // Whoever mistypes a command hears of the command, not of its options, nor of all commands.
                func checkName() throws {
                    try CommandSuggestion(of: Self.self).check(CommandLine.arguments.dropFirst().first)
                }
                // The parser answers a wish for help before it knows the command.
                if CommandLine.arguments.contains(where: { $0 == "--help" || $0 == "-h" }) { try checkName() }
                do {
                    command = try parseAsRoot()
                } catch {
                    try checkName()
                    throw error
                }
            }
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
