// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
public import SystemSupport

/// The error of creating, opening or using a CA.
public typealias AuthorityError = CodedError<AuthorityErrorCode>

/// The kinds of ``AuthorityError``.
public enum AuthorityErrorCode: Sendable {
    /// A file that would be created already exists.
    case exists
    /// A file that is needed does not exist.
    case missing
    /// A file can be read by others than its owner.
    case permissions
    /// The request is not valid.
    case invalidRequest
    /// A value of the request is outside its limits.
    case invalidValue
    /// The request is valid, but the CA's rules forbid it.
    case policy
    /// The CA's own files contradict each other, or the CA has expired, was revoked or is on hold.
    case broken
    /// The directory or the inventory could not be read or written.
    case storage
    /// The inventory's server did not answer.
    case unreachable
    /// The inventory's server denied it to the login.
    case denied
}

extension AuthorityError {
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

/// Throws file errors as those of the CA directory.
func rethrown<Result>(_ body: () throws(FileError) -> Result) throws(AuthorityError) -> Result {
    do {
        return try body()
    } catch {
        throw AuthorityError(error)
    }
}

extension AuthorityError {
    /// There is no CA in a directory.
    static func noAuthority(in path: String, _ why: String) -> AuthorityError {
        let place =
            path.utf8.first == 0x2f ? path : FilePath.join(FileManager.default.currentDirectoryPath, path)
        return AuthorityError(
            .missing, "there is no CA in \(printable(place)): \(why)",
            hint: "name the CA's directory with --directory or PKI_DIRECTORY; for a new CA: "
                + "pki init-ca --directory \(Quoting.shell(path))")
    }

    /// A key in the directory does not match its certificate.
    static func mismatch(of key: String, _ certificate: String, in directory: CADirectory) -> AuthorityError {
        AuthorityError(
            .broken, "\(key) is not the key of \(certificate)",
            hint: "restore the matching file; replaced files are in \(directory.path(of: CADirectory.archiveDirectory))"
        )
    }
}

/// A time as `2026-01-01T00:00:00Z`.
func timestamp(_ date: Date) -> String { CivilTime(date).extended }

/// Adds the file's path to errors in its contents.
func naming<Result>(_ path: String, _ body: () throws(CertificateError) -> Result) throws(CertificateError) -> Result {
    do {
        return try body()
    } catch {
        throw CertificateError(error.code, "\(path): \(error.message)", hint: error.hint)
    }
}
