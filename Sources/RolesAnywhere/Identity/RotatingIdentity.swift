// SPDX-License-Identifier: Apache-2.0

import Synchronization
public import SystemSupport

/// An identity that follows its files through rotations.
///
/// Certificate, chain and key are read as one snapshot and replaced as a whole. While the files do not belong together, as
/// in the middle of a rotation, or cannot be read, the identity stays the one that it was. The kind of key may change.
public final class RotatingIdentity: Sendable {
    /// What looking at the files led to.
    public enum Change: Sendable {
        /// There is a new identity.
        case replaced(Identity)
        /// The files have changed, and what is in them now cannot be used: the identity stays.
        case kept(any Error)
    }

    private struct State {
        var identity: Identity
        var stamps: IdentityStamps
    }

    private let source: IdentitySource
    private let passphrase: @Sendable () throws -> SecretBytes?
    private let state: Mutex<State>

    /// Reads an identity.
    ///
    /// - Parameters:
    ///   - source: Where it comes from.
    ///   - passphrase: Called when something encrypted is to be opened, each time that the files are read.
    /// - Throws: What ``IdentitySource/read(passphrase:)`` throws: there is no earlier identity to use the first time.
    public init(_ source: IdentitySource, passphrase: @escaping @Sendable () throws -> SecretBytes?) throws {
        self.source = source
        self.passphrase = passphrase
        let (identity, stamps) = try source.readStamped(passphrase: passphrase)
        state = Mutex(State(identity: identity, stamps: stamps))
    }

    /// The identity, whole.
    public var identity: Identity { state.withLock { $0.identity } }

    /// Whether the files are other than those that were read last.
    public var hasChanged: Bool { !state.withLock { $0.stamps }.areCurrent }

    /// Looks at the files and reads them when they have changed.
    ///
    /// - Returns: What that led to; `nil` if they have not changed, or say the same as before.
    public func update() -> Change? {
        guard hasChanged else { return nil }
        do {
            let (identity, stamps) = try source.readStamped(passphrase: passphrase)
            let isNew = state.withLock { state in
                defer { state = State(identity: identity, stamps: stamps) }
                return state.identity.certificate != identity.certificate
                    || state.identity.intermediates != identity.intermediates
            }
            return isNew ? .replaced(identity) : nil
        } catch {
            return .kept(error)
        }
    }
}
