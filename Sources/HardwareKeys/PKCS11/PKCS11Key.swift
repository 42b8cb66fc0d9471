// SPDX-License-Identifier: Apache-2.0

package import Certificates
import CPKCS11
import Synchronization
import SystemSupport

/// A private key in a PKCS#11 token, which signs without ever leaving it.
///
/// The key keeps a session with its token open. When the session is lost (the token was pulled out and put back, another
/// part of the process closed it) it is opened again and the key looked for again, once for each signature, with the PIN
/// that was accepted before. Signatures are made one at a time, and each is checked before it is handed out.
///
/// Calls block, for as long as the token takes or a person at its keypad.
package final class PKCS11Key: SigningKey {
    /// The public half, proven to be this key's.
    package let publicKey: PublicKey

    /// The key's label in the token (CKA_LABEL); may be empty.
    package let label: String

    /// The key's identifier in the token (CKA_ID); may be empty.
    package let identifier: [UInt8]

    /// The label of the token, made fit for a terminal.
    package let tokenLabel: String

    private let verifier: SignatureVerifier
    private let signer: Mutex<TokenSigner?>
    private let reopen: @Sendable () throws -> TokenSigner

    /// Takes a key that has been found and proven.
    ///
    /// - Parameters:
    ///   - signer: The key in its session.
    ///   - publicKey: Its public half.
    ///   - reopen: Finds the key in a new session.
    /// - Throws: `CertificateError` when libcrypto cannot use the public key.
    init(
        _ signer: TokenSigner,
        publicKey: PublicKey,
        reopen: @escaping @Sendable () throws -> TokenSigner
    ) throws(CertificateError) {
        verifier = try SignatureVerifier(publicKey)
        self.publicKey = publicKey
        label = String(decoding: signer.key.label, as: UTF8.self)
        identifier = signer.key.identifier
        tokenLabel = signer.token.name
        self.signer = Mutex(signer)
        self.reopen = reopen
    }

    /// Signs a message in the token; see `SigningKey`.
    ///
    /// - Parameters:
    ///   - message: The bytes to sign, not their hash.
    ///   - digest: The hash function.
    /// - Returns: The signature, which has been checked.
    /// - Throws: ``HardwareKeyError``, or what the source of PINs throws.
    package func signature(for message: [UInt8], digest: Digest) throws -> [UInt8] {
        do {
            return try signer.withLock { signer in
                if let open = signer {
                    // What fails may leave an operation half-way, so the session is not used again.
                    signer = nil
                    do {
                        if let signature = try signature(by: open, message, digest) {
                            signer = open
                            return signature
                        }
                    } catch let error as CryptokiError where error.isLostSession {}
                }
                let reopened = try reopen()
                guard let signature = try signature(by: reopened, message, digest) else {
                    throw HardwareKeyError(
                        .mismatch,
                        "the token \(tokenLabel) signs with another key than it did before"
                    )
                }
                signer = reopened
                return signature
            }
        } catch let error as CryptokiError {
            throw error.explained("the token \(tokenLabel) cannot sign")
        }
    }

    /// A signature that this key's public half accepts; nothing when it does not, as when a handle has come to mean
    /// something else.
    private func signature(by signer: TokenSigner, _ message: [UInt8], _ digest: Digest) throws -> [UInt8]? {
        let signature = try signer.signature(for: message, digest: digest, algorithm: publicKey.algorithm)
        return verifier.isValid(signature: signature, for: message, digest: digest) ? signature : nil
    }
}
