// SPDX-License-Identifier: Apache-2.0

/// What a PIN is wanted for, told to whoever can give it.
package struct PINRequest: Hashable, Sendable {
    /// What a PIN opens.
    package enum Purpose: Hashable, Sendable {
        /// The token, for as long as the process uses it.
        case login
        /// One signature, with a key that wants the PIN for each.
        case signature
    }

    /// The label of the token, made fit for a terminal.
    package let tokenLabel: String

    /// What the PIN opens.
    package let purpose: Purpose

    /// Whether the token says that a wrong PIN was given lately, so that few attempts are left.
    package let hasFewAttempts: Bool
}
