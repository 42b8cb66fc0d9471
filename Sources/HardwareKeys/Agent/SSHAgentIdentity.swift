// SPDX-License-Identifier: Apache-2.0

package import Certificates
import SystemSupport

/// A key that an SSH agent says it holds.
package struct SSHAgentIdentity: Hashable, Sendable {
    /// `SHA256:` and the SHA-256 of the public key in base64 without padding, as `ssh-add -l` prints it.
    package let fingerprint: String

    /// What the agent calls the key: often the file it came from, or who made it. Control characters are blanks.
    package let comment: String

    /// SSH's name of its kind: `ecdsa-sha2-nistp256`, `ssh-rsa`, `ssh-ed25519`, …
    package let keyType: String

    /// The public key, when the key can be used here.
    package let publicKey: PublicKey?

    /// Why the key cannot be used here, when it cannot.
    package let obstacle: String?

    /// The public key as the agent wants to be asked for it.
    let blob: [UInt8]

    init(blob: [UInt8], comment: [UInt8]) {
        self.blob = blob
        self.comment = printable(String(decoding: comment, as: UTF8.self), limit: 200)
        fingerprint = SSHPublicKey.fingerprint(of: blob)
        let key = SSHPublicKey(blob)
        keyType = printable(key.kind, limit: 64)
        switch key.result {
        case .success(let usable): (publicKey, obstacle) = (usable, nil)
        case .failure(let reason): (publicKey, obstacle) = (nil, reason.text)
        }
    }
}

extension SSHAgentIdentity: CustomStringConvertible {
    /// Fingerprint, comment and kind on one line.
    package var description: String {
        let kind = publicKey?.algorithm.description ?? keyType
        return comment.isEmpty ? "\(fingerprint) (\(kind))" : "\(fingerprint) \(comment) (\(kind))"
    }
}
