// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates

/// Which names a CA in the making may certify.
struct NameConstraintOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Names the CA may certify: dns:example.com, ip:10.0.0.0/8, uri:host, email:example.com. Repeatable.",
            valueName: "kind:value"
        ),
        transform: NameConstraints.Subtree.argument
    )
    var permit: [NameConstraints.Subtree] = []

    @Option(
        name: .long,
        help: ArgumentHelp("Names it may not certify, in the same form. Repeatable.", valueName: "kind:value"),
        transform: NameConstraints.Subtree.argument
    )
    var exclude: [NameConstraints.Subtree] = []

    /// What was asked for.
    var constraints: NameConstraints { NameConstraints(permitted: permit, excluded: exclude) }
}
