// SPDX-License-Identifier: Apache-2.0

import Delivery
import RolesAnywhere

/// What the process's exit status tells a script.
enum ExitStatus {
    /// Everything was done.
    static let done: Int32 = 0
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
        switch error {
        case is UsageError: usage
        case let error as RolesAnywhereError: status(for: error.code)
        case let error as SharedFailure: error.status
        case let error as CommandError: error.status
        default: failed
        }
    }

    private static func status(for code: RolesAnywhereError.Code) -> Int32 {
        switch code {
        case .invalidArgument: usage
        case .unreachable, .untrustedServer, .unavailable, .malformedAnswer: unavailable
        case .denied: denied
        default: failed
        }
    }
}
