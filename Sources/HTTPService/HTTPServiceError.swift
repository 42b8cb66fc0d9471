// SPDX-License-Identifier: Apache-2.0

package import SystemSupport

/// Why a server could not be started.
///
/// Nothing that a client sends ends up here: a bad request is answered, not thrown.
package typealias HTTPServiceError = CodedError<HTTPServiceErrorCode>

/// The kinds of ``HTTPServiceError``.
package enum HTTPServiceErrorCode: Sendable {
    /// The address to listen on is not an IP address, the port is not one, the path of a unix socket is too long, or
    /// what was inherited is no socket that listens.
    case invalidAddress
    /// The time to live of packets is not one.
    case invalidTimeToLive
    /// The address or the path is taken, is not this machine's, or needs more rights.
    case addressUnavailable
    /// The TLS certificate or its key cannot be used.
    case invalidIdentity
    /// A path template is malformed or was given twice.
    case invalidRoute
}
