// SPDX-License-Identifier: Apache-2.0

package import Certificates
import SystemSupport

/// A private key that an SSH agent holds: RSA, or ECDSA on P-256, P-384 or P-521.
///
/// The agent chooses the hash function. RSA keys sign with SHA-256 or SHA-512 (RFC 8332), EC keys with the one that goes
/// with their curve and no other (RFC 5656 §6.2.1): SHA-256 for P-256, SHA-384 for P-384, SHA-512 for P-521. Roles Anywhere
/// is spoken to with SHA-256, for which a P-384 key in an agent is of no use; for a CA's key it is.
package struct SSHAgentKey: SigningKey {
    /// What the agent says of the key.
    package let identity: SSHAgentIdentity

    /// The public half.
    package let publicKey: PublicKey

    private let agent: SSHAgent
    private let verifier: SignatureVerifier

    init(in agent: SSHAgent, identity: SSHAgentIdentity, publicKey: PublicKey) throws(HardwareKeyError) {
        self.agent = agent
        self.identity = identity
        self.publicKey = publicKey
        do {
            verifier = try SignatureVerifier(publicKey)
        } catch {
            throw HardwareKeyError(.unsupported, "the key \(identity) in the SSH agent cannot be used: \(error)")
        }
    }

    /// Lets the agent sign a message; see `SigningKey`.
    ///
    /// The signature is checked before it is returned.
    ///
    /// - Parameters:
    ///   - message: The bytes to sign, fewer than 256 KiB.
    ///   - digest: The hash function, one that the agent would choose.
    /// - Returns: The signature in the form of X.509.
    /// - Throws: ``HardwareKeyError``: ``HardwareKeyErrorCode/unsupported`` for another hash function or a message that is
    ///   too long, ``HardwareKeyErrorCode/absent`` when the agent is gone, ``HardwareKeyErrorCode/failed`` when it
    ///   refuses, does not answer in time, or what it answers is not this key's signature.
    package func signature(for message: [UInt8], digest: Digest) throws(HardwareKeyError) -> [UInt8] {
        let scheme = try SSHSignatureScheme(of: publicKey.algorithm, digest: digest)
        let question =
            [SSHAgent.Message.signRequest] + sshString(identity.blob) + sshString(message) + sshNumber(scheme.flags)
        guard question.count <= SSHAgentConnection.longestMessage else {
            throw HardwareKeyError(
                .unsupported,
                "an SSH agent signs no more than \(SSHAgentConnection.longestMessage) bytes, and there are \(message.count)",
                hint: "keep the key that signs this in a file or a token"
            )
        }
        var answer = try agent.ask(question)
        let kind = answer.byte()
        guard kind == SSHAgent.Message.signResponse, let blob = answer.string(), answer.isAtEnd else {
            throw kind == SSHAgent.Message.failure
                ? refusal() : HardwareKeyError(.failed, "the SSH agent did not answer with a signature")
        }
        let signature = try scheme.signature(from: blob)
        guard verifier.isValid(signature: signature, for: message, digest: digest) else {
            throw HardwareKeyError(
                .failed,
                "what the SSH agent answered is not a signature of the key \(identity)"
            )
        }
        return signature
    }

    /// The agent does not say why it refuses; whether it still lists the key tells some of it.
    private func refusal() -> HardwareKeyError {
        if let identities = try? agent.keys(), !identities.contains(where: { $0.blob == identity.blob }) {
            return HardwareKeyError(
                .failed,
                "the SSH agent refused to sign and no longer lists the key \(identity): it is locked, or the key is gone",
                hint: "`ssh-add -X` unlocks an agent, `ssh-add KEY` gives it a key"
            )
        }
        return HardwareKeyError(
            .failed,
            "the SSH agent refused to sign with the key \(identity): the use was not confirmed, or its device failed",
            hint: "a key added with `ssh-add -c` has to be confirmed each time it is used"
        )
    }
}
