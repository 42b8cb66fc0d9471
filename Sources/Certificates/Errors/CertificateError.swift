// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Why a key, a name, a certificate or a request could not be read, made or accepted.
public typealias CertificateError = CodedError<CertificateErrorCode>

/// The kinds of ``CertificateError``.
public enum CertificateErrorCode: Sendable {
    /// The bytes or the text are not what they should be.
    case malformed
    /// Well formed, but this libcrypto or this module cannot do it.
    case unsupported
    /// An encrypted key or container came without a passphrase.
    case missingPassphrase
    /// The passphrase does not open the key or the container.
    case wrongPassphrase
    /// A distinguished name or an alternative name breaks the rules of its kind.
    case invalidName
    /// Something was asked for that a rule of RFC 5280 forbids.
    case forbidden
    /// Two things that must belong together do not.
    case mismatch
    /// No valid path leads to a trusted certificate.
    case untrusted
    /// There is no such device, or no such key in it.
    case absent
    /// The device takes no more passwords for a time.
    case locked
    /// libcrypto failed in a way that names no fault of the caller.
    case failed
}
