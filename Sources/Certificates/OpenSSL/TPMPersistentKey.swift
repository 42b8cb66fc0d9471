// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// A key that stays in a TPM.
///
/// It is opened for each signature and closed after it: tpm2-tss before version 4 has one object for all who opened the same
/// key, so that one who closes it closes it for all, and the password of one would be the password of all.
struct TPMPersistentKey: Sendable {
    /// The TPM.
    let connection: TPMConnection

    /// Where it is: `0x81000001`.
    let number: String

    /// The public half.
    let publicKey: PublicKey

    /// Finds a key.
    ///
    /// - Parameters:
    ///   - number: Where it is.
    ///   - connection: The TPM.
    /// - Throws: ``OpenSSLError``, or ``CertificateError`` when its public half is of no use.
    init(_ number: String, in connection: TPMConnection) throws {
        self.connection = connection
        self.number = number
        publicKey = try unsafe connection.alone { library in
            let key = try unsafe Self.open(number, password: nil, library)
            return try key.publicKeyInTPM()
        }
    }

    /// Lets the TPM hash and sign a message.
    ///
    /// - Parameters:
    ///   - message: What to sign.
    ///   - digest: The hash function.
    ///   - password: The key's password; without one, the empty one.
    /// - Returns: The signature in the form of X.509.
    /// - Throws: ``OpenSSLError``, or ``CertificateError`` when another key is there now.
    func signature(for message: [UInt8], digest: Digest, password: SecretBytes?) throws -> [UInt8] {
        try unsafe connection.alone { library in
            let key = try unsafe Self.open(number, password: password, library)
            guard try key.publicKeyInTPM() == publicKey else {
                throw CertificateError(.mismatch, "another key is at \(number) in the TPM than before")
            }
            return try unsafe key.signatureInTPM(for: message, digest: digest, library)
        }
    }

    private static func open(_ number: String, password: SecretBytes?, _ library: OpaquePointer) throws -> Owned<
        KeyObject
    > {
        let method = try unsafe Owned<InterfaceMethodObject>(
            UI_UTIL_wrap_read_pem_callback(giveTPMPassword, 0),
            from: "UI_UTIL_wrap_read_pem_callback"
        )
        let address = "handle:\(number)" + (password == nil ? "" : "?pass")
        return try unsafe TPMPassword.lend(password) { secret in
            // "provider=tpm2" without a question mark: nobody else shall try the address, as the name of a file.
            let store = try unsafe Owned<StoreObject>(
                OSSL_STORE_open_ex(address, library, "provider=tpm2", method.pointer, secret, nil, nil, nil),
                from: "OSSL_STORE_open_ex"
            )
            while unsafe OSSL_STORE_eof(store.pointer) == 0 {
                let object = try unsafe Owned<StoreInfoObject>(OSSL_STORE_load(store.pointer), from: "OSSL_STORE_load")
                guard unsafe OSSL_STORE_INFO_get_type(object.pointer) == OSSL_STORE_INFO_PKEY else { continue }
                return try unsafe Owned(OSSL_STORE_INFO_get1_PKEY(object.pointer), from: "OSSL_STORE_INFO_get1_PKEY")
            }
            throw OpenSSLError(in: "OSSL_STORE_load")
        }
    }
}
