// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date

/// Everything a certificate revocation list says that is not its issuer's doing.
///
/// The list is a whole one: it speaks of every certificate of its issuer, and holds all that are revoked.
public struct RevocationListParameters: Sendable {
    /// The list's own number, which must grow from list to list: at most 20 octets (RFC 5280 §5.2.3).
    public var number: SerialNumber

    /// When the list is made; whole seconds.
    public var thisUpdate: Date

    /// When there will be another list at the latest; whole seconds.
    public var nextUpdate: Date

    /// The revoked certificates in any order, each once.
    public var entries: [Entry]

    /// When and why one certificate was revoked.
    public struct Entry: Hashable, Sendable {
        /// The certificate's serial number. One of more than 20 octets is taken as well: who issued such a certificate
        /// must be able to revoke it.
        public var serialNumber: SerialNumber

        /// When it was revoked; whole seconds.
        public var revocationDate: Date

        /// Why. ``RevocationReason/unspecified`` and nothing are the same: no reason is written (RFC 5280 §5.3.1).
        public var reason: RevocationReason?

        /// Since when the key was known to others, or the certificate was wrong otherwise, when that is known: usually
        /// before the revocation (RFC 5280 §5.3.2); whole seconds.
        public var invalidityDate: Date?

        /// Makes an entry.
        ///
        /// - Parameters:
        ///   - serialNumber: The certificate's serial number.
        ///   - revocationDate: When it was revoked.
        ///   - reason: Why.
        ///   - invalidityDate: Since when it was not to be relied on.
        public init(
            serialNumber: SerialNumber,
            revocationDate: Date,
            reason: RevocationReason? = nil,
            invalidityDate: Date? = nil
        ) {
            self.serialNumber = serialNumber
            self.revocationDate = revocationDate
            self.reason = reason
            self.invalidityDate = invalidityDate
        }
    }

    /// Makes parameters.
    ///
    /// - Parameters:
    ///   - number: The list's own number.
    ///   - thisUpdate: When the list is made.
    ///   - nextUpdate: When there will be another list at the latest.
    ///   - entries: The revoked certificates in any order, each once.
    public init(number: SerialNumber, thisUpdate: Date, nextUpdate: Date, entries: [Entry]) {
        self.number = number
        self.thisUpdate = thisUpdate
        self.nextUpdate = nextUpdate
        self.entries = entries
    }
}
