// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport

/// The program in which the user reads long text, chosen and run as git does.
enum Pager {
    /// A command of a POSIX shell.
    private static let standard =
        "command -v less >/dev/null && exec less; command -v more >/dev/null && exec more; exit 127"

    /// What shows a text; `nil` if it is to be printed.
    ///
    /// - Parameter environment: The first variable that is set counts, also an empty one.
    static func command(_ environment: [String: String]) -> String? {
        guard let command = environment["PKI_PAGER"] ?? environment["PAGER"] else { return standard }
        let name = command.trimmed
        return name.isEmpty || name == "cat" ? nil : command
    }

    /// Shows a text if standard output is a terminal. Returns whether the pager did; a pager that failed may have lost a part.
    static func show(_ text: String) -> Bool {
        guard TerminalFeatures(of: StandardStream.output).canRedraw else { return false }
        var environment = ProcessInfo.processInfo.environment
        guard let command = command(environment) else { return false }
        // A text that fits the screen needs no key, and stays there.
        environment["LESS"] = environment["LESS"] ?? "FRX"
        environment["LV"] = environment["LV"] ?? "-c"
        let input = Array(terminalSafe(text).utf8)
        return ChildProcess.runShell(command, reading: input, environment: environment).map { $0.isSuccess } ?? false
    }
}
