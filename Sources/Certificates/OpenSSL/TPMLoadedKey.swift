// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// A key that a TPM has wrapped, loaded into it for as long as this value lives.
@safe final class TPMLoadedKey: @unchecked Sendable {
    // SAFETY: set in `init`, emptied in `deinit`, and used in between under the connection's lock only.
    private var key: Owned<KeyObject>?

    /// The TPM.
    let connection: TPMConnection

    /// The public half.
    let publicKey: PublicKey

    private init(_ key: consuming Owned<KeyObject>, publicKey: PublicKey, in connection: TPMConnection) {
        self.publicKey = publicKey
        self.connection = connection
        self.key = consume key
    }

    // A key is unloaded from the TPM when it is freed.
    deinit { unsafe connection.alone { _ in key = nil } }

    /// Loads a key.
    ///
    /// - Parameters:
    ///   - file: What the key's file says.
    ///   - password: Its password; without one, the empty one.
    ///   - connection: The TPM.
    /// - Returns: The key.
    /// - Throws: ``OpenSSLError``, or ``CertificateError`` when its public half is of no use.
    static func load(_ file: TPMKeyFile, password: SecretBytes?, in connection: TPMConnection) throws -> TPMLoadedKey {
        try unsafe connection.alone { library in
            let key = try unsafe open(file, password: password ?? SecretBytes([]), library)
            let publicKey = try key.publicKeyInTPM()
            return TPMLoadedKey(key, publicKey: publicKey, in: connection)
        }
    }

    /// Lets the TPM hash and sign a message.
    ///
    /// - Parameters:
    ///   - message: What to sign.
    ///   - digest: The hash function.
    /// - Returns: The signature in the form of X.509.
    /// - Throws: ``OpenSSLError``.
    func signature(for message: [UInt8], digest: Digest) throws -> [UInt8] {
        try unsafe connection.alone { library in
            try unsafe key?.signatureInTPM(for: message, digest: digest, library) ?? []
        }
    }

    private static func open(
        _ file: TPMKeyFile,
        password: SecretBytes,
        _ library: OpaquePointer
    ) throws -> Owned<KeyObject> {
        // Only what decodes into this kind: the others would load the key too.
        let kind = file.isRSA ? "RSA" : "EC"
        var key: OpaquePointer?
        let decoder = try unsafe Owned<DecoderContextObject>(
            OSSL_DECODER_CTX_new_for_pkey(&key, "DER", "TSS2", kind, 0, library, "provider=tpm2"),
            from: "OSSL_DECODER_CTX_new_for_pkey"
        )
        let status = try unsafe TPMPassword.lend(password) { secret in
            unsafe OSSL_DECODER_CTX_set_pem_password_cb(decoder.pointer, giveTPMPassword, secret)
            return unsafe file.derEncoded.withUnsafeBufferPointer { bytes in
                var position = bytes.baseAddress
                var count = bytes.count
                return unsafe OSSL_DECODER_from_data(decoder.pointer, &position, &count)
            }
        }
        try check(status, "OSSL_DECODER_from_data")
        return try unsafe Owned(key, from: "OSSL_DECODER_from_data")
    }
}
