// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Why the CA in a directory could not be made, opened or used.
public typealias AuthorityError = CodedError<AuthorityErrorCode>

/// The kinds of ``AuthorityError``.
public enum AuthorityErrorCode: Sendable {
    /// A file that would be made is there already.
    case exists
    /// A file that is needed is not there.
    case missing
    /// A file can be read by others than its owner.
    case permissions
    /// The request says something that cannot be.
    case invalidRequest
    /// The request is well formed and the CA's rules forbid it.
    case policy
    /// The CA's own files do not fit together, or the CA has expired.
    case broken
    /// The directory could not be read or written.
    case storage
}
