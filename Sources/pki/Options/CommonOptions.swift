// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport
import TrustAnchors

extension ArgumentHelp {
    /// The help of an option or argument with a value: `--days <n>`.
    static func value(_ name: String, _ text: String) -> ArgumentHelp { ArgumentHelp(text, valueName: name) }

    /// The help of an output format; the parser adds its values.
    static let format = ArgumentHelp("Output format.", valueName: "format")
}

/// The CA's directory.
struct DirectoryOption: ParsableArguments {
    /// The directory when none is named.
    static var standard: String {
        IdentityVariable.value(of: IdentityVariable.directory, ThisProcess.variables(IdentityVariable.directory))
            ?? "credential-process-data"
    }

    @Option(
        name: .customLong("directory"),
        help: .value("path", "The CA's directory. (default: PKI_DIRECTORY, else credential-process-data)"),
        completion: .directory)
    var given: String?

    var path: String { given ?? Self.standard }

    /// What a proposed command needs to find the same directory: the option after a blank, or empty for ``standard``.
    var argument: String { path == Self.standard ? "" : " " + Quoting.option("--directory", path) }
}

extension DirectoryOption {
    /// The inventory, to change it.
    func inventory() throws -> Inventory {
        try InventoryOptions.refuseElsewhere(path)
        return try Inventory(in: path, by: Operator.name, now: .now).announced()
    }

    /// The inventory, to read it.
    func readInventory(now: Date = .now) throws -> Inventory {
        try InventoryOptions.refuseElsewhere(path)
        return try Inventory(reading: path, now: now).announced()
    }
}

/// The CA's directory, and where its inventory is if not there.
struct InventoryOptions: ParsableArguments {
    /// The variable with the server's address.
    static let variable = "PKI_INVENTORY"

    @OptionGroup var directory: DirectoryOption

    @Option(
        name: .customLong("inventory"),
        help: .value(
            "url",
            "The inventory on PostgreSQL: postgresql://HOST/DATABASE. (default: PKI_INVENTORY, else in the directory)"))
    var given: String?

    /// The server's address; `nil` for the directory.
    var address: String? { Self.address(given, for: path) }

    /// An address that was given, or that the variable has. The variable is for directories without an inventory of their own.
    static func address(_ given: String?, for directory: String? = nil) -> String? {
        if let given, !given.isEmpty { return given }
        if let directory, Inventory.isIn(directory) { return nil }
        let value = ProcessInfo.processInfo.environment[variable] ?? ""
        return value.isEmpty ? nil : value
    }

    /// Refuses to make an inventory from a directory's files where the variable names one: a command that does not use it would
    /// work beside it.
    static func refuseElsewhere(_ directory: String) throws {
        guard address(nil) != nil, !Inventory.isIn(directory) else { return }
        throw InputError(
            message: "\(variable) names an inventory on PostgreSQL, which this command does not use",
            hint:
                "hosts get certificates from pki serve-ca --inventory; to work on the directory alone: unset \(variable)"
        )
    }

    var path: String { directory.path }
    var argument: String { directory.argument + (given.map { " " + Quoting.option("--inventory", $0) } ?? "") }

    /// The inventory, to change it.
    func inventory() throws -> Inventory {
        guard let address else { return try directory.inventory() }
        return try Inventory(at: address, in: path, by: Operator.name, now: .now, isReading: false)
    }

    /// The inventory, to read it.
    func readInventory(now: Date = .now) throws -> Inventory {
        guard let address else { return try directory.readInventory(now: now) }
        return try Inventory(at: address, in: path, by: Operator.name, now: now, isReading: true)
    }
}

extension Inventory {
    /// Says on standard error what the user must know about it.
    @discardableResult func announced() -> Inventory {
        if let notice { Console.standard.warning(notice) }
        return self
    }
}

extension NameSpecification {
    /// The names of an output format.
    static let format: NameSpecification = [.customShort("o"), .customLong("format")]
}

/// Whether a result is for a person or a program.
struct FormatOption: ParsableArguments {
    @Option(name: .format, help: .format)
    var value = ReportFormat.text

    @OptionGroup var quiet: QuietOption
}

/// Whether only errors and warnings go to standard error.
struct QuietOption: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Print only errors and warnings on standard error.")
    var quiet = false

    /// Options of which none was given, made without the parser.
    static var none: QuietOption {
        var options = QuietOption()
        options.quiet = false
        return options
    }

    /// The parser validates every group of options, so that no command has to pass this one on.
    func validate() throws { if quiet { Console.beQuiet() } }
}

/// The name of a new certificate and its files.
struct NewNameOptions: ParsableArguments {
    @Argument(help: .value("name", "The name of the files, and the certificate's common name."))
    var argument: String?

    @Option(name: .customLong("name"), help: .value("name", "The same as <name>."))
    var option: String?

    var value: String? { argument ?? option }

    func validate() throws {
        guard argument == nil || option == nil else {
            throw ValidationError("give the name once, with or without --name")
        }
    }
}

/// The patterns that the names of listed certificates match.
struct NamePatternOptions: ParsableArguments {
    @Argument(
        help: .value("pattern", "Only these names: web-1, or patterns: web-*, db-?, [ab]*."),
        completion: .known(.certificateNames), transform: GlobPattern.argument)
    var arguments: [GlobPattern] = []

    @Option(
        name: .customLong("name"), help: .value("pattern", "The same as <pattern>; repeatable."),
        completion: .known(.certificateNames), transform: GlobPattern.argument)
    var options: [GlobPattern] = []

    var patterns: [GlobPattern] { arguments + options }
}

extension [GlobPattern] {
    /// Whether a name matches one of the patterns. Without patterns, every name does.
    func match(_ name: String) -> Bool { isEmpty || contains { $0.matches(name) } }
}

extension Quoting {
    /// An option and its value as words of a command. A value that looks like an option is written into the option's word.
    static func words(_ option: String, _ value: String) -> [String] {
        value.utf8.first == UInt8(ascii: "-") ? ["\(option)=\(value)"] : [option, value]
    }

    /// An option and its value, for a proposed command: `--profile 'a b'`.
    static func option(_ option: String, _ value: String) -> String { command(words(option, value)) }
}

/// A file of certificates and CRLs. Keys in it are skipped without being opened.
struct CertificateFile {
    var name: String
    var objects: [InspectedObject]

    var certificates: [Certificate] {
        objects.compactMap { if case .certificate(let certificate) = $0 { certificate } else { nil } }
    }

    /// The certificates, of which there is at least one.
    func requiredCertificates() throws -> [Certificate] {
        guard !certificates.isEmpty else { throw InputError(message: "\(printable(name)) contains no certificate") }
        return certificates
    }

    var revocationLists: [CertificateRevocationList] {
        objects.compactMap { if case .revocationList(let list) = $0 { list } else { nil } }
    }

    /// Reads a file, `-`, `env:NAME` or `fd:N`.
    init(reading source: String, passphrase: SecretBytes? = nil) throws {
        guard let contents = try KeyLocation(source).read()?.bytes else {
            throw UsageError(
                message: "\(printable(source)) is not a file",
                hint: "name a file, - for standard input, env:NAME or fd:N")
        }
        try self.init(contents, named: source, passphrase: passphrase)
    }

    init(_ contents: SecretBytes, named source: String, passphrase: SecretBytes? = nil) throws {
        let container: Container
        do {
            container = try Container(reading: contents, passphrase: passphrase)
        } catch {
            throw InputError(message: "\(printable(source)): \(error.message)", hint: error.hint)
        }
        name = source
        objects = container.objects.compactMap { object in
            switch object {
            case .certificate(let certificate): .certificate(certificate)
            case .revocationList(let list): .revocationList(list)
            default: nil
            }
        }
    }
}

/// The CA certificates that a command uses: those that were named, else the root in the CA's directory, with the previous
/// one during a rotation.
enum AuthorityCertificates {
    /// - Parameter option: The option that names files, for the hint.
    static func bundle(_ paths: [String], orIn directory: String, option: String) throws -> TrustAnchorBundle {
        do {
            let files: [TrustAnchorBundle.File] =
                paths.isEmpty
                ? try StoredIdentity.trustedRoots(in: directory).map { .init(name: $0.path, contents: $0.contents) }
                : try paths.map { .init(name: $0, contents: try InputFile.read($0)) }
            return try TrustAnchorBundle(reading: files, at: .now)
        } catch let error as AuthorityError where error.code == .missing {
            throw InputError(
                message: error.message,
                hint: "make a CA with: pki init-ca \(Quoting.option("--directory", directory)), "
                    + "or name certificates with \(option)")
        }
    }
}
