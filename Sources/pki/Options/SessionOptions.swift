// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// What is asked for.
struct SessionOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("The ARN of the trust anchor that the certificate is under.", valueName: "arn")
    )
    var trustAnchorArn: String?

    @Option(name: .long, help: ArgumentHelp("The ARN of the profile that allows the role.", valueName: "arn"))
    var profileArn: String?

    @Option(name: .long, help: ArgumentHelp("The ARN of the role to take.", valueName: "arn"))
    var roleArn: String?

    @Option(
        name: .long,
        help: ArgumentHelp("The region to sign for. (default: the trust anchor's)", valueName: "region")
    )
    var region: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            How long the session shall last, 900 to 43200 seconds; the profile may make it shorter. (default: 3600)
            """,
            valueName: "seconds"
        )
    )
    var sessionDuration: Int?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The session's name, 2 to 64 of A-Za-z0-9_+=,.@-; the profile must accept names. (default: the serial number)",
            valueName: "name"
        )
    )
    var roleSessionName: String?

    /// The options' values.
    var settings: SessionSettings {
        SessionSettings(
            trustAnchorArn: trustAnchorArn,
            profileArn: profileArn,
            roleArn: roleArn,
            region: region,
            sessionDuration: sessionDuration,
            roleSessionName: roleSessionName
        )
    }
}
