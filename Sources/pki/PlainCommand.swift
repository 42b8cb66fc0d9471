// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery

/// A command whose usual options are read without the parser, whose set-up takes longer than what the command does.
///
/// What is not in the table, or not right, is left to the parser. A test compares both.
protocol PlainCommand: ParsableCommand {
    /// The command with no option given. Every property is set, because one that is not cannot be read.
    static var bare: Self { get }

    static var plainOptions: [PlainOption<Self>] { get }

    /// Validates the groups of options, as the parser does.
    func validatePlainOptions() throws
}

/// An option that is read without the parser.
struct PlainOption<Command> {
    /// With the dashes; none for the command's argument.
    let names: [String]
    var isFlag = false
    var isRepeatable = false
    /// Takes the value. Throws, or returns `nil`, if it is not of the option's kind.
    let set: (inout Command, String) throws -> Void?
}

extension PlainCommand {
    /// Reads the words after the command's name; `nil` if the parser has to.
    init?(words: [String]) {
        self = Self.bare
        let options = Self.plainOptions
        var seen = [Bool](repeating: false, count: options.count)
        var rest = words[...]
        while let word = rest.popFirst() {
            let isArgument = !word.hasPrefix("-")
            let parts = isArgument ? [""] : word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let found = options.firstIndex { isArgument ? $0.names.isEmpty : $0.names.contains(name) }
            guard let found, !seen[found] || options[found].isRepeatable else { return nil }
            seen[found] = true
            let option = options[found]
            var value = word
            if option.isFlag {
                guard parts.count == 1 else { return nil }
            } else if !isArgument {
                // The parser takes -o=json for -o with the value "=json".
                guard let next = parts.count == 2 && name.hasPrefix("--") ? String(parts[1]) : rest.popFirst() else {
                    return nil
                }
                guard parts.count == 1 || name.hasPrefix("--") else { return nil }
                value = next
            }
            guard !value.isEmpty, option.isFlag || !value.hasPrefix("-"), (try? option.set(&self, value)) != nil else {
                return nil
            }
        }
        guard (try? validatePlainOptions()) != nil, (try? validate()) != nil else { return nil }
    }
}

extension CredsCommand: PlainCommand {
    static var bare: CredsCommand {
        var command = CredsCommand()
        (command.profile, command.access, command.cache) = (ProfileOption(), .none, CacheOption())
        (command.profile.profile, command.cache.cache, command.format) = (nil, false, .process)
        command.quiet = .none
        return command
    }

    static var plainOptions: [PlainOption<CredsCommand>] {
        [
            PlainOption(names: ["--profile"]) { $0.profile.profile = $1 },
            PlainOption(names: ["--cache"], isFlag: true) { command, _ in command.cache.cache = true },
            PlainOption(names: ["--format", "-o"]) { command, text in
                CredentialsFormat(argument: text).map { command.format = $0 }
            },
            PlainOption(names: ["--quiet", "-q"], isFlag: true) { command, _ in command.quiet.quiet = true },
        ]
            + ProfileSetting.all.map { setting in
                PlainOption(names: [setting.option], isFlag: setting.isFlag) { command, text in
                    try setting.fill(setting.isFlag ? "true" : text, into: &command.access)
                }
            }
    }

    func validatePlainOptions() throws {
        try access.identity.validate()
        try access.identity.device.validate()
        try access.network.validate()
        try quiet.validate()
    }
}

extension IssueClientCommand: PlainCommand {
    static var bare: IssueClientCommand {
        var command = IssueClientCommand()
        (command.directory, command.naming, command.validity) = (DirectoryOption(), NewNameOptions(), LifetimeOptions())
        (command.directory.given, command.naming.argument, command.naming.option) = (nil, nil, nil)
        (command.validity.days, command.validity.notAfter) = (nil, nil)
        (command.subject, command.dns, command.ip, command.uri, command.email) = (nil, [], [], [], [])
        (command.keyType, command.csr, command.profile, command.issuer) = (nil, nil, .client, nil)
        var acceptance = NameAcceptanceOptions()
        (acceptance.acceptSubject, acceptance.acceptNames, acceptance.maxNames) = (false, false, nil)
        acceptance.insecure = InsecureNamesOption()
        acceptance.insecure.insecureNames = false
        command.acceptance = acceptance
        command.template = TemplateOptions()
        (command.template.template, command.template.trustTemplate) = (nil, false)
        command.format = FormatOption()
        (command.format.value, command.format.quiet) = (.text, .none)
        (command.force, command.batch, command.jobs, command.archive, command.makesBundle) = (
            false, nil, nil, nil, false
        )
        command.newKey = NewPassphraseOptions()
        (command.newKey.given, command.newKey.askPassphrase) = (.none, false)
        command.caKey = AuthorityKeyOptions()
        (command.caKey.caKey, command.caKey.device, command.caKey.passphraseOptions) = (nil, .none, .none)
        return command
    }

    static var plainOptions: [PlainOption<IssueClientCommand>] {
        [
            PlainOption(names: []) { $0.naming.argument = $1 },
            PlainOption(names: ["--name"]) { $0.naming.option = $1 },
            PlainOption(names: ["--directory"]) { $0.directory.given = $1 },
            PlainOption(names: ["--subject"]) { $0.subject = try DistinguishedName.argument($1) },
            PlainOption(names: ["--dns"], isRepeatable: true) { $0.dns.append(try GeneralName.dnsArgument($1)) },
            PlainOption(names: ["--ip"], isRepeatable: true) { $0.ip.append(try GeneralName.ipArgument($1)) },
            PlainOption(names: ["--uri"], isRepeatable: true) { $0.uri.append(try GeneralName.uriArgument($1)) },
            PlainOption(names: ["--email"], isRepeatable: true) { $0.email.append(try GeneralName.emailArgument($1)) },
            PlainOption(names: ["--key-type"]) { command, text in
                KeyType(argument: text).map { command.keyType = $0 }
            },
            PlainOption(names: ["--days"]) { command, text in Int(text).map { command.validity.days = $0 } },
            PlainOption(names: ["--csr"]) { $0.csr = $1 },
            PlainOption(names: ["--profile"]) { command, text in
                Profile(argument: text).map { command.profile = $0 }
            },
            PlainOption(names: ["--issuer"]) { $0.issuer = $1 },
            PlainOption(names: ["--force"], isFlag: true) { command, _ in command.force = true },
            PlainOption(names: ["--\(NewKeyRole.prefix)-file"]) { $0.newKey.given.file = $1 },
            PlainOption(names: ["--\(CAKeyRole.prefix)-file"]) { $0.caKey.passphraseOptions.file = $1 },
            PlainOption(names: ["--format", "-o"]) { command, text in
                ReportFormat(argument: text).map { command.format.value = $0 }
            },
            PlainOption(names: ["--quiet", "-q"], isFlag: true) { command, _ in command.format.quiet.quiet = true },
        ]
    }

    func validatePlainOptions() throws {
        try naming.validate()
        try format.quiet.validate()
    }
}
