// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport

/// The SSH agent of a user: OpenSSH's `ssh-agent`, or whatever else speaks its protocol (draft-miller-ssh-agent) on a unix
/// socket.
///
/// Every operation has a connection of its own, so that a value can be kept for as long as one likes and used from any
/// thread. Calls block until the agent has answered.
package struct SSHAgent: Sendable {
    /// The path of the socket.
    package let socket: String

    /// How long an answer may take.
    package let timeout: Duration

    /// Names an agent. It is not spoken to yet.
    ///
    /// - Parameters:
    ///   - socket: The path of its socket, as in the variable SSH_AUTH_SOCK; an empty one means that there is no agent.
    ///   - timeout: How long an answer may take, in which the user may have to touch a device or to confirm.
    package init(socket: String, timeout: Duration = .seconds(60)) {
        self.socket = socket
        self.timeout = timeout
    }

    /// Lists the keys that the agent holds, in its order, those that cannot be used here too.
    ///
    /// - Returns: The keys; none also when the agent is locked.
    /// - Throws: ``HardwareKeyError``: ``HardwareKeyErrorCode/absent`` when there is no agent,
    ///   ``HardwareKeyErrorCode/failed`` when it does not answer as an agent does.
    package func keys() throws(HardwareKeyError) -> [SSHAgentIdentity] {
        var answer = try ask([Message.requestIdentities])
        guard answer.byte() == Message.identitiesAnswer, let count = answer.number() else {
            throw HardwareKeyError(.failed, "the SSH agent did not list its keys")
        }
        var identities: [SSHAgentIdentity] = []
        while identities.count < count {
            guard let blob = answer.string(), let comment = answer.string() else {
                throw HardwareKeyError(.failed, "the SSH agent's list of keys ends before its last key")
            }
            identities.append(SSHAgentIdentity(blob: blob, comment: comment))
        }
        return identities
    }

    /// Finds a key.
    ///
    /// - Parameter fingerprint: The whole of it, as ``SSHAgentIdentity/fingerprint`` and `ssh-add -l` have it: `SHA256:`
    ///   and 43 characters, in which upper and lower case differ. Padding with `=` may follow.
    /// - Returns: The key.
    /// - Throws: ``HardwareKeyError``: ``HardwareKeyErrorCode/invalidAddress`` when this is no fingerprint of SHA-256,
    ///   ``HardwareKeyErrorCode/notFound`` with the keys that are there, ``HardwareKeyErrorCode/unsupported`` when the
    ///   key is there and cannot be used here, and what ``keys()`` throws.
    package func key(fingerprint: String) throws(HardwareKeyError) -> SSHAgentKey {
        guard fingerprint.hasPrefix("SHA256:") else {
            throw HardwareKeyError(
                .invalidAddress,
                "\(printable(fingerprint, limit: 100)) is not the fingerprint of a key: it does not begin with SHA256:",
                hint: "`ssh-add -l` prints those of the agent's keys"
            )
        }
        var wanted = Substring(fingerprint)
        while wanted.last == "=" { wanted.removeLast() }
        let identities = try keys()
        guard let identity = identities.first(where: { $0.fingerprint == wanted }) else {
            throw Self.notFound(printable(fingerprint, limit: 100), in: identities)
        }
        guard let publicKey = identity.publicKey else {
            throw HardwareKeyError(
                .unsupported,
                "the key \(identity) in the SSH agent cannot be used: \(identity.obstacle ?? "its kind is unknown")",
                hint: "use an ECDSA or RSA key: ssh-keygen -t ecdsa makes one, ssh-add gives it to the agent"
            )
        }
        return try SSHAgentKey(in: self, identity: identity, publicKey: publicKey)
    }

    /// Asks over a connection of its own.
    func ask(_ question: [UInt8]) throws(HardwareKeyError) -> SSHWireReader {
        let connection = try SSHAgentConnection.open(socket, timeout: timeout)
        return SSHWireReader(try connection.answer(to: question))
    }

    /// What messages begin with (draft-miller-ssh-agent §6.1).
    enum Message {
        static let failure: UInt8 = 5
        static let requestIdentities: UInt8 = 11
        static let identitiesAnswer: UInt8 = 12
        static let signRequest: UInt8 = 13
        static let signResponse: UInt8 = 14
    }

    private static func notFound(_ wanted: String, in identities: [SSHAgentIdentity]) -> HardwareKeyError {
        guard !identities.isEmpty else {
            return HardwareKeyError(
                .notFound,
                "the SSH agent has no key \(wanted): it holds none, or it is locked",
                hint: "`ssh-add KEY` gives it a key, `ssh-add -X` unlocks it"
            )
        }
        let shown = identities.prefix(20).map(\.description).joined(separator: ", ")
        let more = identities.count > 20 ? " and \(identities.count - 20) more" : ""
        return HardwareKeyError(
            .notFound,
            "the SSH agent has no key \(wanted); it holds \(shown)\(more)",
            hint: "name one of those by its whole fingerprint, or add the key with `ssh-add KEY`"
        )
    }
}
