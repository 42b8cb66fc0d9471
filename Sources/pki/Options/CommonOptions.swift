// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SystemSupport

/// The CA's directory.
struct DirectoryOption: ParsableArguments {
    static let standard = "credential-process-data"

    @Option(name: .customLong("directory"), help: ArgumentHelp("The CA's directory.", valueName: "path"))
    var path = Self.standard

    /// What a proposed command needs to find the same directory: the option after a blank, or empty for ``standard``.
    var argument: String { path == Self.standard ? "" : " " + Quoting.option("--directory", path) }
}

/// Whether a result is for a person or a program.
struct FormatOption: ParsableArguments {
    @Option(name: .customLong("format"), help: ArgumentHelp("Output format.", valueName: "format"))
    var value = ReportFormat.text
}

extension Quoting {
    /// An option and its value as words of a command. A value that looks like an option is written into the option's word.
    static func words(_ option: String, _ value: String) -> [String] {
        value.utf8.first == UInt8(ascii: "-") ? ["\(option)=\(value)"] : [option, value]
    }

    /// An option and its value, for a proposed command: `--profile 'a b'`.
    static func option(_ option: String, _ value: String) -> String { command(words(option, value)) }
}
