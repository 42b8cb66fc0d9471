// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority

/// How long a new certificate is good for.
struct LifetimeOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("How many days it is good for, never past its CA. (default: the template's)", valueName: "n")
    )
    var days: Int?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The last moment it is good for, in UTC: 2027-12-31 or 2027-12-31T12:00:00Z.",
            valueName: "moment"
        ),
        transform: Lifetime.argument
    )
    var notAfter: Lifetime?

    /// What was asked for, if anything.
    var lifetime: Lifetime? { get throws { try Lifetime.choose(days: days, notAfter: notAfter) } }
}
