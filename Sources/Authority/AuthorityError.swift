// SPDX-License-Identifier: Apache-2.0

import Certificates
import struct FoundationEssentials.Date
public import SystemSupport

/// Why the CA in a directory could not be made, opened or used.
public typealias AuthorityError = CodedError<AuthorityErrorCode>

/// The kinds of ``AuthorityError``.
public enum AuthorityErrorCode: Sendable {
    /// A file that would be made exists.
    case exists
    /// A file that is needed does not exist.
    case missing
    /// A file can be read by others than its owner.
    case permissions
    /// The request is not valid.
    case invalidRequest
    /// The request is valid, and the CA's rules forbid it.
    case policy
    /// The CA's own files contradict each other, or the CA has expired.
    case broken
    /// The directory could not be read or written.
    case storage
}

extension AuthorityError {
    /// The error of a file in the CA directory.
    init(_ error: FileError) {
        let code: Code =
            switch error.code {
            case .missing: .missing
            case .exists: .exists
            case .unprotected, .foreign: .permissions
            case .kind: .broken
            case .system: .storage
            }
        self.init(code, error.message, hint: error.hint)
    }
}

/// Throws the errors of files as those of the CA directory.
func rethrown<Result>(_ body: () throws(FileError) -> Result) throws(AuthorityError) -> Result {
    do {
        return try body()
    } catch {
        throw AuthorityError(error)
    }
}

/// A time as `2026-01-01T00:00:00Z`.
func timestamp(_ date: Date) -> String { CivilTime(date).extended }

/// Adds the file to what is wrong with its contents.
func naming<Result>(_ path: String, _ body: () throws(CertificateError) -> Result) throws(CertificateError) -> Result {
    do {
        return try body()
    } catch {
        throw CertificateError(error.code, "\(path): \(error.message)", hint: error.hint)
    }
}
