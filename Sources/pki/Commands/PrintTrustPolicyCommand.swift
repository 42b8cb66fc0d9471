// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import TrustAnchors

/// `pki print-trust-policy`
struct PrintTrustPolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print-trust-policy",
        abstract: "Print the trust policy of a role that clients may take through IAM Roles Anywhere.",
        discussion: """
            The policy names the trust anchor, for without that any certificate of any trust anchor in the account could \
            take the role, and who of its clients may: AWS makes session tags of the certificate, and the policy asks for \
            them. What AWS would silently drop, and would never match, is refused here.

            For example:

              pki print-trust-policy --trust-anchor-arn "$ANCHOR" --subject-cn web-1 > policy.json
              aws iam create-role --role-name web --assume-role-policy-document file://policy.json

              pki print-trust-policy --trust-anchor-arn "$ANCHOR" --subject-cn 'web-*' --subject-ou production
              pki print-trust-policy --trust-anchor-arn "$ANCHOR" --certificate web-1-cert.pem
            """
    )

    @Option(
        name: .long,
        help: ArgumentHelp("The ARN of the trust anchor. Given again: or of this one.", valueName: "arn")
    )
    var trustAnchorArn: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("Instead: any trust anchor of this account.", valueName: "id")
    )
    var sourceAccount: String?

    @OptionGroup var certificates: CertificateConditionOptions

    func validate() throws {
        guard trustAnchorArn.isEmpty != (sourceAccount == nil) else {
            throw ValidationError("give --trust-anchor-arn, or --source-account in its place")
        }
    }

    func run() throws {
        let policy = try TrustPolicy(
            source: sourceAccount.map { .account($0) } ?? .trustAnchors(trustAnchorArn),
            conditions: try certificates.conditions(),
            allowsAnyCertificate: certificates.anyCertificate
        )
        for warning in policy.warnings { Console.standard.warning(warning) }
        try Console.standard.write(policy.jsonText + "\n")
    }
}
