// SPDX-License-Identifier: Apache-2.0

/// What the process's exit status tells a script.
enum ExitStatus {
    /// A check failed, or there was nothing to do.
    static let notNeeded: Int32 = 1
    /// The request was refused, or it failed.
    static let failed: Int32 = 2
    /// The command line is wrong.
    static let usage: Int32 = 64
    /// A service did not answer.
    static let unavailable: Int32 = 69
    /// A service said no.
    static let denied: Int32 = 77

    /// The status for an error.
    static func status(for error: any Error) -> Int32 {
        error is UsageError ? usage : failed
    }
}
