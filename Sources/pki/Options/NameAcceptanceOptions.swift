// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates

/// What is taken of the names that somebody else wrote into a certificate request.
struct NameAcceptanceOptions: ParsableArguments {
    @Flag(name: .long, help: "Take the subject of the certificate request, in place of the name's.")
    var acceptSubject = false

    @Flag(name: .long, help: "Take the alternative names of the certificate request too.")
    var acceptNames = false

    @Option(
        name: .long,
        help: ArgumentHelp("The most alternative names of one certificate. (default: 100)", valueName: "n")
    )
    var maxNames: Int?

    @OptionGroup var insecure: InsecureNamesOption

    /// Passes the options on.
    func apply(to request: inout ClientRequest) {
        request.acceptsRequestedSubject = acceptSubject
        request.acceptsRequestedNames = acceptNames
        request.allowsInsecureNames = insecure.insecureNames
        if let maxNames { request.maximumNames = maxNames }
    }

    /// Says what is taken of a certificate request, before there is a certificate.
    ///
    /// - Parameter request: What is to be issued.
    /// - Throws: An `ExplainedError` for names that are refused.
    static func show(_ request: ClientRequest) throws {
        guard let certificateRequest = request.certificateRequest else { return }
        let accepted = try request.review().accepted
        guard !accepted.isEmpty else { return }
        Console.standard.note("taken from \(certificateRequest.name): \(accepted.joined(separator: ", "))")
    }
}

/// Whether names may be such that a reader takes them for others.
struct InsecureNamesOption: ParsableArguments {
    @Flag(name: .long, help: "Allow names with mixed scripts, invisible characters or odd kinds.")
    var insecureNames = false
}
