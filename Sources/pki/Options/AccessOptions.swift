// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// Everything that a session is made with. Each command that needs credentials takes these options.
struct AccessOptions: ParsableArguments {
    @OptionGroup(title: "Identity")
    var identity: IdentityOptions

    @OptionGroup(title: "Session")
    var session: SessionOptions

    @OptionGroup(title: "Network")
    var network: NetworkOptions

    /// The options' values.
    var settings: AccessSettings {
        AccessSettings(identity: identity.settings, session: session.settings, network: network.settings)
    }
}

/// The values of ``AccessOptions``: what was given on the command line, and what a profile adds to it.
struct AccessSettings: Sendable {
    var identity = IdentitySettings()
    var session = SessionSettings()
    var network = NetworkSettings()
}

/// The one profile that a command is about.
struct ProfileOption: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            A profile of ~/.aws/config that pki configure wrote; options on the command line go before its settings. \
            (default: without --certificate, AWS_PROFILE, else "default")
            """,
            valueName: "name"
        )
    )
    var profile: String?
}

/// Whether credentials are shared between runs.
struct CacheOption: ParsableArguments {
    @Flag(
        name: .long,
        help: """
            Share credentials with every other command that asks for the same, as long as 20 minutes are left, or half \
            of a shorter lifetime. They are in ~/.cache/pki, for you alone: see pki cache.
            """
    )
    var cache = false
}
