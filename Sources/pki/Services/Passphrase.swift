// SPDX-License-Identifier: Apache-2.0

import Certificates
import Synchronization
import SystemSupport

/// A secret that opens a key: read from where the command line says, or asked for, when it is needed and not before.
///
/// It can be asked for again when an identity's files have changed; what a person typed is kept.
final class Passphrase: Sendable {
    private let source: PassphraseSource?
    private let kept: Mutex<SecretBytes?>

    /// Takes a secret from a place, or from the terminal.
    ///
    /// - Parameter source: The place; nothing asks on the terminal.
    init(_ source: PassphraseSource?) {
        self.source = source
        kept = Mutex(nil)
    }

    /// Takes a secret that is at hand; without one, asks on the terminal.
    init(given secret: SecretBytes?) {
        source = nil
        kept = Mutex(secret)
    }

    /// Reads the place that was named, if one was: what cannot be read is said even when the key needs no passphrase.
    ///
    /// - Throws: ``InputError`` or `FileError` naming the place.
    func check() throws { _ = try source?.read() }

    /// The secret, if nobody needs to be asked for it.
    ///
    /// - Returns: The secret; nothing when only a person could give it.
    /// - Throws: ``InputError`` naming the place that cannot be read.
    func given() throws -> SecretBytes? { try source?.read() ?? kept.withLock { $0 } }

    /// The secret.
    ///
    /// - Parameter prompt: What a person is asked.
    /// - Returns: The secret; nothing when it is given nowhere and there is nobody to ask.
    /// - Throws: ``InputError`` naming the place that cannot be read.
    func read(_ prompt: String) throws -> SecretBytes? {
        if let source { return try source.read() }
        return try kept.withLock { kept in
            if let kept { return kept }
            kept = try Terminal.askSecret(prompt)
            return kept
        }
    }
}
