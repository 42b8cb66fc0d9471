// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date

/// Something that was done to the CA: a line of a table that only grows.
public struct AuditRecord: Hashable, Sendable {
    /// What was done.
    public enum Action: String, Sendable, CaseIterable {
        /// A CA was made.
        case create
        /// A certificate was issued.
        case issue
        /// A certificate took the place of another of the same name.
        case renew
        /// A certificate was revoked.
        case revoke
        /// A certificate was put on hold.
        case hold
        /// A hold was taken back.
        case release
        /// A certificate revocation list was made.
        case revocationList = "crl"
        /// A certificate was read into the inventory from files.
        case adopt
        /// A file was found gone.
        case lose
        /// A file was put back.
        case restore
        /// A new root took the place of the old one.
        case rotate
        /// The passphrase of a key was changed.
        case passphrase
    }

    /// The moment.
    public let date: Date
    /// Who did it.
    public let who: String
    /// What was done.
    public let action: Action
    /// To which name.
    public let name: String?
    /// To which certificate.
    public let serialNumber: SerialNumber?
    /// What there is to add.
    public let detail: String?
}
