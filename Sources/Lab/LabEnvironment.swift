// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// What the lab takes from outside: where it stands in AWS, the time, and chance.
package struct LabEnvironment: Sendable {
    /// The region that the lab plays.
    package var region: String

    /// The account that the lab plays, twelve digits.
    package var account: String

    /// The current time.
    package var now: @Sendable () -> Date

    /// Makes so many random bytes, cryptographically secure outside of tests.
    package var randomBytes: @Sendable (Int) -> [UInt8]

    /// Makes an environment.
    ///
    /// - Parameters:
    ///   - region: The region that the lab plays.
    ///   - account: The account that the lab plays, twelve digits.
    ///   - now: The current time.
    ///   - randomBytes: Makes so many random bytes.
    package init(
        region: String,
        account: String,
        now: @escaping @Sendable () -> Date,
        randomBytes: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.region = region
        self.account = account
        self.now = now
        self.randomBytes = randomBytes
    }

    /// Draws an identifier for a request (RFC 9562, version 4).
    func requestIdentifier() -> String { UniversalIdentifier.text(randomBytes(16), version: 4) }
}
