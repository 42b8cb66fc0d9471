// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Why IAM Roles Anywhere would not take a trust anchor's bundle, or what goes with it.
public typealias TrustAnchorError = CodedError<TrustAnchorErrorCode>

/// The kinds of ``TrustAnchorError``.
public enum TrustAnchorErrorCode: Sendable {
    /// There is no certificate.
    case empty
    /// There are more certificates than a trust anchor takes.
    case tooMany
    /// The text has more characters than a trust anchor takes.
    case tooLong
    /// A private key stands among the certificates.
    case privateKey
    /// Something else than a certificate stands among them.
    case foreignObject
    /// The text or a certificate in it cannot be read.
    case malformed
    /// A certificate is not a CA's.
    case notCA
    /// A CA may not sign certificates.
    case keyUsage
    /// A certificate is not of version 3.
    case version
    /// A certificate is signed with a hash weaker than SHA-256.
    case weakSignature
    /// A certificate has expired or is not valid yet.
    case validity
    /// A resource name has characters that AWS does not allow.
    case name
    /// A role could be taken by anybody, or by nobody.
    case condition
    /// A session would last too short or too long.
    case duration
    /// A template cannot be filled.
    case template
}
