// SPDX-License-Identifier: Apache-2.0

package import SystemSupport

/// Why a key in a token or an agent could not be found or used.
package typealias HardwareKeyError = CodedError<HardwareKeyErrorCode>

package enum HardwareKeyErrorCode: Sendable {
    /// The address of a key is malformed.
    case invalidAddress
    /// The library that speaks to the device cannot be opened.
    case missingLibrary
    /// There is no such token, or no agent answers.
    case absent
    /// The token or the agent is there and does not hold what was asked for.
    case notFound
    /// More than one object is what was asked for.
    case ambiguous
    /// The token wants a PIN and none was given.
    case pinNeeded
    /// The token refused the PIN. It is not tried again.
    case wrongPIN
    /// The token's PIN is locked, or one wrong try would lock it.
    case locked
    /// The key cannot do what is asked of it.
    case unsupported
    /// The key is not the certificate's.
    case mismatch
    /// The device failed in a way that names no fault of the caller.
    case failed
}
