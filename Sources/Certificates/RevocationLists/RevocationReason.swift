// SPDX-License-Identifier: Apache-2.0

/// Why a certificate was revoked (RFC 5280 §5.3.1); the raw value is the CRLReason.
public enum RevocationReason: Int, Hashable, Sendable, CaseIterable {
    /// Nothing is known of the reason. Numbers that RFC 5280 does not know count as this.
    case unspecified = 0
    /// The certified key is known to others.
    case keyCompromise = 1
    /// The CA's key is known to others.
    case cACompromise = 2
    /// The subject's name, or something else in the certificate, has changed.
    case affiliationChanged = 3
    /// Another certificate has taken its place.
    case superseded = 4
    /// It is no longer needed for what it was made for.
    case cessationOfOperation = 5
    /// It is suspended, and may come back.
    case certificateHold = 6
    /// It is no longer revoked: stands in lists of changes, where it takes back an earlier entry.
    case removeFromCRL = 8
    /// A privilege that the certificate names was withdrawn.
    case privilegeWithdrawn = 9
    /// The key of an attribute authority is known to others.
    case aACompromise = 10

    /// The name in RFC 5280, for example `keyCompromise`.
    public var name: String { "\(self)" }
}
