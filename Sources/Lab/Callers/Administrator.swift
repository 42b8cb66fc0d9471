// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Data

/// Who may do everything in the lab: a key pair that is known to everybody, unless another is chosen.
package struct Administrator: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The pair of AWS's own documentation, which every scanner of secrets knows to be none.
    package static let documented = Administrator(
        accessKeyIdentifier: "AKIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    )

    /// Makes a random pair.
    ///
    /// - Parameter randomBytes: Makes so many random bytes, cryptographically secure outside of tests.
    /// - Returns: The pair, in the form of AWS's own.
    package static func random(_ randomBytes: (Int) -> [UInt8]) -> Administrator {
        Administrator(
            accessKeyIdentifier: "AKIA" + Base32.characters(randomBytes(16)),
            secretAccessKey: Data(randomBytes(30)).base64EncodedString()
        )
    }

    /// The access key, 16 to 128 letters, digits and underscores.
    package let accessKeyIdentifier: String

    /// The secret.
    package let secretAccessKey: String

    /// Makes a pair.
    ///
    /// - Parameters:
    ///   - accessKeyIdentifier: The access key.
    ///   - secretAccessKey: The secret.
    package init(accessKeyIdentifier: String, secretAccessKey: String) {
        self.accessKeyIdentifier = accessKeyIdentifier
        self.secretAccessKey = secretAccessKey
    }

    /// The access key alone.
    package var description: String { "Administrator(\(accessKeyIdentifier))" }

    /// The access key alone.
    package var debugDescription: String { description }

    /// The access key alone.
    package var customMirror: Mirror { Mirror(self, children: ["accessKeyIdentifier": accessKeyIdentifier]) }
}
