// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import SystemSupport

/// What a shell asks for when Tab is pressed: how a word of a command line could go on.
struct CompletionRequest {
    struct Offer: Hashable {
        var value: String
        var explanation = ""
    }

    /// What can be at the cursor.
    enum Answer: Equatable {
        case values([Offer])
        /// What the shell finds by itself.
        case files, directories, commands
    }

    private let root: any ParsableCommand.Type
    private let before: [String]
    private let word: String

    /// - Parameters:
    ///   - words: The words after the program's name, without quotation marks; the last one is to be completed.
    ///   - root: The command of all commands.
    init(_ words: [String], of root: any ParsableCommand.Type) {
        (before, word, self.root) = (words.dropLast(), words.last ?? "", root)
    }

    var answer: Answer {
        var command = root
        var rest = before[...]
        let isHelp = rest.first == "help"
        if isHelp { rest.removeFirst() }
        while let name = rest.first, let child = command.visibleSubcommands.first(where: { $0.name == name }) {
            command = child
            rest.removeFirst()
        }
        let subcommands = command.visibleSubcommands.map { type in
            Offer(value: type.name, explanation: type.configuration.abstract)
        }
        if isHelp { return rest.isEmpty ? offers(subcommands) : .values([]) }
        if command == root {
            let help = Offer(value: "help", explanation: "Show the help of a command.")
            guard rest.isEmpty else { return .values([]) }
            return word.hasPrefix("-")
                ? options(of: CommandDescription(command), except: []) : offers(subcommands + [help])
        }
        return arguments(of: CommandDescription(command), after: rest, or: subcommands)
    }

    /// What can be an option, a value or an argument of a command.
    ///
    /// - Parameters:
    ///   - command: The command.
    ///   - rest: The words after its name.
    ///   - subcommands: What its first word can be too.
    private func arguments(
        of command: CommandDescription, after rest: ArraySlice<String>, or subcommands: [Offer]
    ) -> Answer {
        var open: CommandDescription.Argument?
        var used: Set<[String]> = []
        var position = 0
        var isTerminated = false
        var directory: String?
        for each in rest {
            if let option = open, !(option.takesSeveral && each.hasPrefix("-")) {
                if option.names.contains("--directory") { directory = each }
                if !option.takesSeveral { open = nil }
                continue
            }
            open = nil
            if isTerminated || !each.hasPrefix("-") || each == "-" {
                position += 1
            } else if each == "--" {
                isTerminated = true
            } else if let option = command.option(String(each.prefix { $0 != "=" })) {
                if !option.isRepeating { used.insert(option.names) }
                let value = each.drop { $0 != "=" }.dropFirst()
                if value.isEmpty, option.takesValue { open = option }
                if option.names.contains("--directory"), !value.isEmpty { directory = String(value) }
            }
        }
        let known = KnownValues(directory: directory)
        if let open, !(open.takesSeveral && word.hasPrefix("-")) { return values(of: open, known) }
        if !isTerminated, word.hasPrefix("-") {
            let name = String(word.prefix { $0 != "=" })
            guard name.hasPrefix("--"), name != word else { return options(of: command, except: used) }
            guard let option = command.option(name), option.takesValue else { return .values([]) }
            return values(of: option, known, after: name + "=")
        }
        let positions = command.positions.filter { isTerminated || !$0.isAfterTerminator }
        let argument = position < positions.count ? positions[position] : positions.last { $0.isRepeating }
        var answer = argument.map { values(of: $0, known) } ?? .values([])
        // After a program, what programs usually take.
        if answer == .commands, position > 0 { answer = .files }
        if case .values(let found) = answer {
            answer = offers((rest.isEmpty ? subcommands : []) + found)
        }
        if answer == .values([]), word.isEmpty, !isTerminated { return options(of: command, except: used) }
        return answer
    }

    private func options(of command: CommandDescription, except used: Set<[String]>) -> Answer {
        offers(
            command.options.filter { !used.contains($0.names) }.flatMap { option in
                option.names.map { Offer(value: $0, explanation: option.explanation) }
            })
    }

    /// - Parameters:
    ///   - argument: What has the value.
    ///   - known: What is known here.
    ///   - prefix: What precedes the value in its word.
    private func values(
        of argument: CommandDescription.Argument, _ known: KnownValues, after prefix: String = ""
    ) -> Answer {
        switch argument.completion {
        case .none: .values([])
        case .list(let list): offers(list.map { Offer(value: prefix + $0) })
        case .files: .files
        case .directories: .directories
        case .commands: .commands
        case .known(let kind):
            offers(
                known.values(kind, beginningWith: String(word.dropFirst(prefix.count))).map {
                    Offer(value: prefix + $0.value, explanation: $0.explanation)
                })
        }
    }

    /// Those that begin with the word. Others' text comes from files: what is not text for one line is left out.
    private func offers(_ offers: [Offer]) -> Answer {
        .values(
            offers.filter { offer in
                offer.value.utf8.starts(with: word.utf8) && offer.value != ""
                    && !offer.value.unicodeScalars.contains(where: \.isControl)
            })
    }
}

extension ParsableCommand {
    fileprivate static var name: String { configuration.commandName ?? "" }

    fileprivate static var visibleSubcommands: [any ParsableCommand.Type] {
        configuration.subcommands.filter { $0.configuration.shouldDisplay }
    }
}

/// The options and arguments of a command, as the parser describes them.
struct CommandDescription {
    enum Completion: Equatable {
        case none, files, directories, commands
        case list([String])
        case known(KnownValues.Kind)
    }

    struct Argument {
        /// With dashes; none for an argument.
        var names: [String]
        var takesValue: Bool
        var isRepeating: Bool
        /// Whether values follow until the next option.
        var takesSeveral: Bool
        var isAfterTerminator: Bool
        var explanation: String
        var completion: Completion
    }

    var options: [Argument] = []
    var positions: [Argument] = []

    init(_ command: any ParsableCommand.Type) {
        let text = Array(command._dumpHelp().utf8)
        let arguments = (try? JSONReader.value(of: text))?["command"]?["arguments"]?.array ?? []
        for argument in arguments.compactMap(Argument.init) {
            if argument.names.isEmpty { positions.append(argument) } else { options.append(argument) }
        }
        // Alone, a command does not know of it.
        if option("--version") == nil {
            options.append(Argument(flag: "--version", explanation: "Show the version."))
        }
    }

    func option(_ name: String) -> Argument? { options.first { $0.names.contains(name) } }
}

extension CommandDescription.Argument {
    fileprivate init(flag name: String, explanation: String) {
        (names, self.explanation, completion) = ([name], explanation, .none)
        (takesValue, isRepeating, takesSeveral, isAfterTerminator) = (false, false, false, false)
    }

    /// `nil` for what is not shown.
    fileprivate init?(_ description: JSONValue) {
        guard description["shouldDisplay"]?.boolean == true else { return nil }
        names = (description["names"]?.array ?? []).map { name in
            (name["kind"]?.string == "long" ? "--" : "-") + (name["name"]?.string ?? "")
        }
        let strategy = description["parsingStrategy"]?.string
        takesValue = description["kind"]?.string != "flag"
        isRepeating = description["isRepeating"]?.boolean == true
        takesSeveral = strategy == "upToNextOption"
        isAfterTerminator = strategy == "postTerminator"
        // The first sentence, which fits a line.
        let text = description["abstract"]?.string ?? ""
        explanation = String(text[..<(text.firstRange(of: ". ")?.lowerBound ?? text.endIndex)])
        let kind = description["completionKind"]
        if let list = kind?["list"]?["values"]?.array {
            completion = .list(list.compactMap(\.string))
        } else if let command = kind?["shellCommand"]?["command"]?.string {
            completion = KnownValues.Kind(rawValue: command).map { .known($0) } ?? .commands
        } else {
            completion = kind?["file"] != nil ? .files : kind?["directory"] != nil ? .directories : .none
        }
    }
}
