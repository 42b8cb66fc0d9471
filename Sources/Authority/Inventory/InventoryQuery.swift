// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date

/// Which entries of an inventory are wanted. Those that another certificate took the place of are left out unless asked for.
public struct InventoryQuery: Sendable {
    /// Only those whose last moment is not after this one, and which are not over already.
    public var expiringBy: Date?

    /// Only those that were revoked, on hold included.
    public var isRevoked = false

    /// Only those whose name begins with this.
    public var namePrefix = ""

    /// Whether replaced and lost ones are wanted too. Revoked ones always are when ``isRevoked``.
    public var includesFormer = false

    /// Only CAs, or only what is none.
    public var isCA: Bool?

    /// The moment that counts as now.
    public var now: Date

    /// Asks for everything that stands under its name.
    ///
    /// - Parameter now: The moment that counts as now.
    public init(at now: Date) { self.now = now }
}
