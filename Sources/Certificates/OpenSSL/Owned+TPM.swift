// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// What a key that the provider `tpm2` has opened can do. To be called under the lock of its connection.
extension Owned where Object == KeyObject {
    /// The public half, as everybody else encodes it.
    borrowing func publicKeyInTPM() throws -> PublicKey {
        try PublicKey(derEncoded: unsafe derEncoding(by: "i2d_PUBKEY") { unsafe i2d_PUBKEY(pointer, $0) })
    }

    /// Lets the TPM hash and sign a message.
    ///
    /// - Parameters:
    ///   - message: What to sign.
    ///   - digest: The hash function.
    ///   - library: The libcrypto that the provider is in.
    /// - Returns: The signature in the form of X.509.
    /// - Throws: ``OpenSSLError``.
    borrowing func signatureInTPM(
        for message: [UInt8],
        digest: Digest,
        _ library: OpaquePointer
    ) throws(OpenSSLError) -> [UInt8] {
        let context = try unsafe Owned<DigestContextObject>(EVP_MD_CTX_new(), from: "EVP_MD_CTX_new")
        var settings: OpaquePointer?
        let name = digest.rawValue
        try unsafe check(
            EVP_DigestSignInit_ex(context.pointer, &settings, name, library, "?provider=tpm2", pointer, nil),
            "EVP_DigestSignInit_ex"
        )
        if unsafe EVP_PKEY_is_a(pointer, "RSA") == 1 {
            // A key made for PSS would sign with it otherwise.
            try unsafe check(
                EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PADDING),
                "EVP_PKEY_CTX_set_rsa_padding"
            )
        }
        var count = 0
        try unsafe check(EVP_DigestSign(context.pointer, nil, &count, message, message.count), "EVP_DigestSign")
        var signature = [UInt8](repeating: 0, count: count)
        try unsafe check(
            EVP_DigestSign(context.pointer, &signature, &count, message, message.count),
            "EVP_DigestSign"
        )
        return Array(signature.prefix(count))
    }
}
