// SPDX-License-Identifier: Apache-2.0

package import SystemSupport

/// Why the lab cannot be set up or go on.
///
/// Nothing that a client sends ends up here: a bad request is answered, not thrown.
package typealias LabError = CodedError<LabErrorCode>

/// The kinds of ``LabError``.
package enum LabErrorCode: Sendable {
    /// A resource breaks a rule that IAM Roles Anywhere puts on it.
    case invalidResource
    /// The server's own certificate could not be made.
    case invalidIdentity
    /// The file in which the lab remembers cannot be read or written.
    case stateUnavailable
}
