// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// Where credentials come from, as far as this module knows.
package struct CredentialSource: Sendable {
    /// Obtains credentials. It may block, and is called by one thread at a time.
    package var obtain: @Sendable () throws -> Credentials

    /// Whether what the credentials are obtained with has changed since it was last asked: a rotated certificate. It is
    /// asked every few seconds and must not block.
    package var hasChanged: @Sendable () -> Bool

    /// When the certificate behind the credentials ends; nothing when that is not known.
    package var certificateExpiration: @Sendable () -> Date?

    /// Makes a source.
    ///
    /// - Parameters:
    ///   - obtain: Obtains credentials.
    ///   - hasChanged: Whether what they are obtained with has changed.
    ///   - certificateExpiration: When the certificate behind them ends.
    package init(
        obtain: @escaping @Sendable () throws -> Credentials,
        hasChanged: @escaping @Sendable () -> Bool = { false },
        certificateExpiration: @escaping @Sendable () -> Date? = { nil }
    ) {
        self.obtain = obtain
        self.hasChanged = hasChanged
        self.certificateExpiration = certificateExpiration
    }
}
