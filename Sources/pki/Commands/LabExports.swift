// SPDX-License-Identifier: Apache-2.0

import Lab
import SystemSupport

/// What a shell has to export so that programs find the lab in the place of AWS.
struct LabExports {
    var endpoint: String
    var environment: LabEnvironment
    var administrator: Administrator
    /// Whether the administrator's secret is one that this program knows and the user does not.
    var printsSecret: Bool
    var seed: LabSeed
    /// Where the CA certificate for TLS is.
    var authorityFile: LabAuthorityFile?

    /// One `export` a line, for a POSIX shell.
    var text: String {
        var variables = [
            ("PKI_LAB_ENDPOINT", endpoint), ("AWS_ENDPOINT_URL_ROLESANYWHERE", endpoint),
            ("AWS_ENDPOINT_URL_IAM", endpoint), ("AWS_ENDPOINT_URL_STS", endpoint),
            ("AWS_REGION", environment.region), ("AWS_DEFAULT_REGION", environment.region),
            ("AWS_ACCOUNT_ID", environment.account), ("AWS_ACCESS_KEY_ID", administrator.accessKeyIdentifier),
        ]
        // The user has a secret of his own already.
        if printsSecret { variables.append(("AWS_SECRET_ACCESS_KEY", administrator.secretAccessKey)) }
        if let anchor = seed.trustAnchors.first { variables.append(("PKI_LAB_TRUST_ANCHOR_ARN", "\(anchor.arn)")) }
        if let profile = seed.profiles.first { variables.append(("PKI_LAB_PROFILE_ARN", "\(profile.arn)")) }
        if let role = seed.roles.first { variables.append(("PKI_LAB_ROLE_ARN", "\(role.arn)")) }
        if let authorityFile {
            variables += [("PKI_LAB_CA_BUNDLE", authorityFile.path), ("AWS_CA_BUNDLE", authorityFile.path)]
        }
        return variables.map { "export \($0)=\(Quoting.shell($1))\n" }.joined()
    }
}
