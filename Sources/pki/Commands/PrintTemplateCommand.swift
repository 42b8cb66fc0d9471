// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates

/// `pki print-template`
struct PrintTemplateCommand: ParsableCommand {
    /// The templates that are built in.
    enum Name: String, CaseIterable, ExpressibleByArgument {
        case root, intermediate, client, server, peer, spiffe

        /// The template.
        var template: CertificateTemplate {
            get throws {
                switch self {
                case .root: try BuiltInTemplates.root()
                case .intermediate: try BuiltInTemplates.intermediate()
                case .client: try BuiltInTemplates.client()
                case .server: try BuiltInTemplates.server()
                case .peer: try BuiltInTemplates.peer()
                case .spiffe: try BuiltInTemplates.spiffe()
                }
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "print-template",
        abstract: "Print a built-in template, to make one's own of it.",
        discussion: """
            A template says what goes into a certificate, in OpenSSL's own format: config(5), x509v3_config(5). Change a copy \
            and name it with --template.

            For example:

              pki print-template client > mine.conf
              pki issue-client --name web-1 --template mine.conf
            """
    )

    @Argument(help: ArgumentHelp("root, intermediate, client, server, peer or spiffe.", valueName: "template"))
    var name: Name

    func run() throws { try Console.standard.write(try name.template.text) }
}
