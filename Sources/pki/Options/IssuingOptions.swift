// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import SystemSupport

/// When a new certificate expires.
struct LifetimeOptions: ParsableArguments {
    @Option(help: .value("n", "Days until it expires, at most its CA's. (default: the template's)"))
    var days: Int?

    @Option(
        help: .value("time", "When it expires, in UTC: 2027-12-31 or 2027-12-31T12:00:00Z."),
        transform: Lifetime.argument)
    var notAfter: Lifetime?

    var lifetime: Lifetime? { get throws { try Lifetime.choose(days: days, notAfter: notAfter) } }
}

/// Which names of a certificate request are used.
struct NameAcceptanceOptions: ParsableArguments {
    @Flag(help: "Use the subject of the certificate request.")
    var acceptSubject = false

    @Flag(help: "Use the alternative names of the certificate request too.")
    var acceptNames = false

    @Option(help: .value("n", "Maximum number of alternative names. (default: 100)"))
    var maxNames: Int?

    @OptionGroup var insecure: InsecureNamesOption

    func apply(to request: inout ClientRequest) {
        request.acceptsRequestedSubject = acceptSubject
        request.acceptsRequestedNames = acceptNames
        request.allowsInsecureNames = insecure.insecureNames
        if let maxNames { request.maximumNames = maxNames }
    }

    /// Prints which names of a certificate request are used, before the certificate is issued.
    static func show(_ request: ClientRequest) throws {
        guard let certificateRequest = request.certificateRequest else { return }
        let accepted = try request.review().accepted
        guard !accepted.isEmpty else { return }
        Console.standard.note("taken from \(certificateRequest.name): \(accepted.joined(separator: ", "))")
    }
}

/// Whether misleading names are allowed.
struct InsecureNamesOption: ParsableArguments {
    @Flag(help: "Allow names with mixed scripts, invisible characters or unusual types.")
    var insecureNames = false
}

/// Which names a new CA may certify.
struct NameConstraintOptions: ParsableArguments {
    @Option(
        help: .value(
            "kind:value",
            "Certify only names below dns:example.com, ip:10.0.0.0/8, uri:host or email:example.com. Repeatable."),
        transform: NameConstraints.Subtree.argument)
    var permit: [NameConstraints.Subtree] = []

    @Option(
        help: .value("kind:value", "Do not certify names below dns:…, ip:…, uri:… or email:…. Repeatable."),
        transform: NameConstraints.Subtree.argument)
    var exclude: [NameConstraints.Subtree] = []

    var constraints: NameConstraints { NameConstraints(permitted: permit, excluded: exclude).closed().constraints }

    /// Prints what a CA with these constraints cannot certify.
    func explain() {
        let shut = NameConstraints(permitted: permit, excluded: exclude).closed().shut
        guard !permit.isEmpty else { return }
        let others = shut.isEmpty ? "" : "; \(shut.joined(separator: ", ")): none"
        Console.standard.note("the CA certifies \(permit.map(\.description).joined(separator: ", "))\(others)")
    }
}

/// The purpose of a certificate; each is a built-in template.
enum Profile: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// A client of IAM Roles Anywhere, or of TLS.
    case client
    /// A TLS server.
    case server
    /// Both.
    case peer
    /// A workload with a SPIFFE ID.
    case spiffe

    var template: CertificateTemplate {
        get throws {
            try (BuiltInTemplate(rawValue: rawValue) ?? .client).template
        }
    }
}

enum TemplateFile {
    /// Reads a template; `nil` without a path. A named pipe is refused: the program at its other end might never open it.
    ///
    /// - Parameter isTrusted: Whether it may read other files and environment variables.
    static func read(_ path: String?, isTrusted: Bool) throws -> CertificateTemplate? {
        guard let path else { return nil }
        if let kind = FileStatus(at: path)?.kind, kind != .regular, kind != .pipe || !path.hasPrefix("/dev/") {
            throw InputError(message: "\"\(printable(path))\" is \(kind.noun), not a template")
        }
        return try CertificateTemplate(reading: try InputFile.read(path), name: printable(path), isTrusted: isTrusted)
    }
}
