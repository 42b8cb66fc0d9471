// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date

/// Where credentials come from, as far as this module knows.
public struct CredentialSource: Sendable {
    /// Obtains credentials. It may block, and is called by one thread at a time.
    public var obtain: @Sendable () throws -> Credentials

    /// Whether what the credentials are obtained with has changed since it was last asked: a rotated certificate. It is
    /// asked every few seconds and must not block.
    public var hasChanged: @Sendable () -> Bool

    /// When the certificate behind the credentials ends; nothing when that is not known.
    public var certificateExpiration: @Sendable () -> Date?

    /// Makes a source.
    ///
    /// - Parameters:
    ///   - obtain: Obtains credentials.
    ///   - hasChanged: Whether what they are obtained with has changed.
    ///   - certificateExpiration: When the certificate behind them ends.
    public init(
        obtain: @escaping @Sendable () throws -> Credentials,
        hasChanged: @escaping @Sendable () -> Bool = { false },
        certificateExpiration: @escaping @Sendable () -> Date? = { nil }
    ) {
        self.obtain = obtain
        self.hasChanged = hasChanged
        self.certificateExpiration = certificateExpiration
    }
}
