// SPDX-License-Identifier: Apache-2.0

/// A command that the user wrote as one text.
enum ShellCommand {
    /// Runs a command and waits for its end.
    ///
    /// - Parameters:
    ///   - text: What /bin/sh is given. What it prints goes to standard error: standard output is for results.
    ///   - environment: Its environment, all of it.
    /// - Returns: Its exit status; 128 and the signal's number when a signal ended it.
    /// - Throws: ``CommandError``.
    static func run(_ text: String, environment: [String: String]) async throws -> Int32 {
        switch try await ChildProcess(["/bin/sh", "-c", "exec >&2\n\(text)"], environment: environment).wait() {
        case .exited(let status): status
        case .signalled(let number): 128 + number
        }
    }
}
