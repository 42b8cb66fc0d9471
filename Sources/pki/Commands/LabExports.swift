// SPDX-License-Identifier: Apache-2.0

import Lab

/// What a shell has to export so that programs find the lab in the place of AWS.
struct LabExports {
    var endpoint: String
    var environment: LabEnvironment
    var administrator: Administrator
    var seed: LabSeed
    /// Where the CA certificate for TLS is.
    var authorityFile: LabAuthorityFile?

    /// One `export` a line, for a POSIX shell.
    var text: String {
        var lines = [
            "PKI_LAB_ENDPOINT=\(endpoint)", "AWS_ENDPOINT_URL_ROLESANYWHERE=\(endpoint)",
            "AWS_ENDPOINT_URL_IAM=\(endpoint)", "AWS_ENDPOINT_URL_STS=\(endpoint)",
            "AWS_REGION=\(environment.region)", "AWS_DEFAULT_REGION=\(environment.region)",
            "AWS_ACCOUNT_ID=\(environment.account)", "AWS_ACCESS_KEY_ID=\(administrator.accessKeyIdentifier)",
        ]
        // The documented pair is a secret to nobody; another is the user's, who has it.
        if administrator == .documented { lines.append("AWS_SECRET_ACCESS_KEY=\(administrator.secretAccessKey)") }
        if let anchor = seed.trustAnchors.first { lines.append("PKI_LAB_TRUST_ANCHOR_ARN=\(anchor.arn)") }
        if let profile = seed.profiles.first { lines.append("PKI_LAB_PROFILE_ARN=\(profile.arn)") }
        if let role = seed.roles.first { lines.append("PKI_LAB_ROLE_ARN=\(role.arn)") }
        if let authorityFile {
            lines.append("PKI_LAB_CA_BUNDLE=\(authorityFile.quotedPath)")
            lines.append("AWS_CA_BUNDLE=\(authorityFile.quotedPath)")
        }
        return lines.map { "export \($0)\n" }.joined()
    }
}
