// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates

/// Which names a CA in the making may certify.
struct NameConstraintOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Certify such names alone: dns:example.com, ip:10.0.0.0/8, uri:host, email:example.com. Repeatable.",
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

    /// What was asked for, with a word about the kinds of names that were not.
    var constraints: NameConstraints { NameConstraints(permitted: permit, excluded: exclude).closed().constraints }

    /// Says what a CA with these constraints cannot certify.
    func explain() {
        let shut = NameConstraints(permitted: permit, excluded: exclude).closed().shut
        guard !permit.isEmpty else { return }
        let others = shut.isEmpty ? "" : "; \(shut.joined(separator: ", ")): none"
        Console.standard.note("the CA certifies \(permit.map(\.description).joined(separator: ", "))\(others)")
    }
}
