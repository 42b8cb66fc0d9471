// SPDX-License-Identifier: Apache-2.0

package import Certificates
import SystemSupport

/// A private key that an SSH agent holds: RSA, or ECDSA on P-256, P-384 or P-521. The agent chooses the hash function.
/// RSA keys sign with SHA-256 or SHA-512 (RFC 8332), EC keys with the one that goes with their curve and no other (RFC
/// 5656 §6.2.1): SHA-256 for P-256, SHA-384 for P-384, SHA-512 for P-521. Roles Anywhere is spoken to with SHA-256, for
/// which a P-384 key in an agent is of no use; for a CA's key it is.
package struct SSHAgentKey: SigningKey {
    package let identity: SSHAgentIdentity

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

    /// Lets the agent sign a message; see `SigningKey`. The signature is checked before it is returned.
    package func signature(for message: [UInt8], digest: Digest) throws(HardwareKeyError) -> [UInt8] {
        let scheme = try SSHSignatureScheme(of: publicKey.algorithm, digest: digest)
        let question =
            [SSHAgent.Message.signRequest] + sshString(identity.blob) + sshString(message) + sshNumber(scheme.flags)
        guard question.count <= SSHAgentConnection.longestMessage else {
            throw HardwareKeyError(
                .unsupported,
                "an SSH agent signs no more than \(SSHAgentConnection.longestMessage) bytes, and there are \(message.count)",
                hint: "keep the key that signs this in a file or a token")
        }
        var answer = try agent.ask(question)
        let kind = answer.byte()
        guard kind == SSHAgent.Message.signResponse, let blob = answer.string(), answer.isAtEnd else {
            throw kind == SSHAgent.Message.failure
                ? refusal() : HardwareKeyError(.failed, "the SSH agent did not answer with a signature")
        }
        let signature = try scheme.signature(from: blob)
        guard verifier.isValid(signature: signature, for: message, digest: digest) else {
            throw HardwareKeyError(.failed, "what the SSH agent answered is not a signature of the key \(identity)")
        }
        return signature
    }

    /// The agent does not say why it refuses; whether it still lists the key gives a clue.
    private func refusal() -> HardwareKeyError {
        if let identities = try? agent.keys(), !identities.contains(where: { $0.blob == identity.blob }) {
            return HardwareKeyError(
                .failed,
                "the SSH agent refused to sign and no longer lists the key \(identity): it is locked, or the key is gone",
                hint: "`ssh-add -X` unlocks an agent, `ssh-add KEY` gives it a key")
        }
        return HardwareKeyError(
            .failed,
            "the SSH agent refused to sign with the key \(identity): the use was not confirmed, or its device failed",
            hint: "a key added with `ssh-add -c` has to be confirmed each time it is used")
    }
}

/// How an agent signs, and the conversion of its signature.
struct SSHSignatureScheme {
    /// The flags of the request (draft-miller-ssh-agent §4.5.1).
    let flags: Int

    /// The name that the signature bears.
    private let name: String

    /// The length of an RSA modulus or of a curve's order, in octets.
    private let size: Int

    private let isRSA: Bool

    /// Finds the scheme for a key and a hash function.
    init(of algorithm: KeyAlgorithm, digest: Digest) throws(HardwareKeyError) {
        switch (algorithm, digest) {
        case (.rsa(let bits), .sha256): self.init(flags: 2, "rsa-sha2-256", size: (bits + 7) / 8, isRSA: true)
        case (.rsa(let bits), .sha512): self.init(flags: 4, "rsa-sha2-512", size: (bits + 7) / 8, isRSA: true)
        case (.ec("prime256v1"), .sha256): self.init("ecdsa-sha2-nistp256", size: 32)
        case (.ec("secp384r1"), .sha384): self.init("ecdsa-sha2-nistp384", size: 48)
        case (.ec("secp521r1"), .sha512): self.init("ecdsa-sha2-nistp521", size: 66)
        default:
            let possible =
                switch algorithm {
                case .rsa: "SHA-256 or SHA-512"
                case .ec("prime256v1"): "SHA-256"
                case .ec("secp384r1"): "SHA-384"
                default: "SHA-512"
                }
            throw HardwareKeyError(
                .unsupported,
                "in an SSH agent, a key of the kind \(algorithm) signs with \(possible) only, not with \(digest.name)",
                hint: "use a P-256 or RSA key where SHA-256 is asked for, as by Roles Anywhere")
        }
    }

    private init(flags: Int = 0, _ name: String, size: Int, isRSA: Bool = false) {
        self.flags = flags
        self.name = name
        self.size = size
        self.isRSA = isRSA
    }

    /// Converts a signature (RFC 8332 §3, RFC 5656 §3.1.2) to the form of X.509.
    func signature(from blob: [UInt8]) throws(HardwareKeyError) -> [UInt8] {
        var reader = SSHWireReader(blob)
        guard let found = reader.name(), var inner = reader.string().map({ SSHWireReader($0) }), reader.isAtEnd else {
            throw HardwareKeyError(.failed, "the SSH agent's signature cannot be read")
        }
        guard found == name else {
            throw HardwareKeyError(
                .failed,
                "the SSH agent was asked for a signature by \(name) and made one by \(printable(found, limit: 64))",
                hint: found == "ssh-rsa" ? "this agent knows SHA-1 only: use another, or an ECDSA key" : nil)
        }
        guard !isRSA else {
            // Some agents drop its leading zeros.
            let number = inner.rest.drop { $0 == 0 }
            guard number.count <= size else {
                throw HardwareKeyError(.failed, "the SSH agent's signature is longer than the key's modulus")
            }
            return [UInt8](repeating: 0, count: size - number.count) + number
        }
        guard let r = inner.magnitude(), let s = inner.magnitude(), inner.isAtEnd, max(r.count, s.count) <= size else {
            throw HardwareKeyError(.failed, "the SSH agent's signature is not a pair of numbers of the key's size")
        }
        return DER.sequence([DER.unsignedInteger(r), DER.unsignedInteger(s)])
    }
}

extension Digest {
    /// The name that a person would use.
    fileprivate var name: String {
        switch self {
        case .sha256: "SHA-256"
        case .sha384: "SHA-384"
        case .sha512: "SHA-512"
        }
    }
}
