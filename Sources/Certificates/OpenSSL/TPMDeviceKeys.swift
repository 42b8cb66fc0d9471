// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// Operations of a key that the provider `tpm2` has opened. Call them under the lock of its connection.
extension Owned where Object == KeyObject {
    /// The public half in its usual encoding.
    borrowing func publicKeyInTPM() throws -> PublicKey {
        try PublicKey(derEncoded: unsafe derEncoding(by: "i2d_PUBKEY") { unsafe i2d_PUBKEY(pointer, $0) })
    }

    borrowing func signatureInTPM(
        for message: [UInt8], digest: Digest, _ library: OpaquePointer
    ) throws(OpenSSLError) -> [UInt8] {
        let context = try unsafe Owned<DigestContextObject>(EVP_MD_CTX_new(), from: "EVP_MD_CTX_new")
        var settings: OpaquePointer?
        let name = digest.rawValue
        try unsafe check(
            EVP_DigestSignInit_ex(context.pointer, &settings, name, library, "?provider=tpm2", pointer, nil),
            "EVP_DigestSignInit_ex")
        if unsafe EVP_PKEY_is_a(pointer, "RSA") == 1 {
            // A key made for PSS would sign with it otherwise.
            try unsafe check(EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PADDING), "EVP_PKEY_CTX_set_rsa_padding")
        }
        return try context.signature(of: message)
    }
}

/// A key that stays in a TPM. It is opened for each signature and closed after it: tpm2-tss before version 4 has one
/// object for all who opened the same key, so that one who closes it closes it for all, and the password of one would be
/// the password of all.
struct TPMPersistentKey: Sendable {
    let connection: TPMConnection

    /// Where it is: `0x81000001`.
    let number: String

    let publicKey: PublicKey

    init(_ number: String, in connection: TPMConnection) throws {
        self.connection = connection
        self.number = number
        publicKey = try unsafe connection.alone { library in
            let key = try unsafe Self.open(number, password: nil, library)
            return try key.publicKeyInTPM()
        }
    }

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
            UI_UTIL_wrap_read_pem_callback(givePassword, 0), from: "UI_UTIL_wrap_read_pem_callback")
        let address = "handle:\(number)" + (password == nil ? "" : "?pass")
        return try unsafe lendPassword(password) { secret in
            // "provider=tpm2" without a question mark: no other provider may try the address, as the name of a file.
            let store = try unsafe Owned<StoreObject>(
                OSSL_STORE_open_ex(address, library, "provider=tpm2", method.pointer, secret, nil, nil, nil),
                from: "OSSL_STORE_open_ex")
            while unsafe OSSL_STORE_eof(store.pointer) == 0 {
                let object = try unsafe Owned<StoreInfoObject>(OSSL_STORE_load(store.pointer), from: "OSSL_STORE_load")
                guard unsafe OSSL_STORE_INFO_get_type(object.pointer) == OSSL_STORE_INFO_PKEY else { continue }
                return try unsafe Owned(OSSL_STORE_INFO_get1_PKEY(object.pointer), from: "OSSL_STORE_INFO_get1_PKEY")
            }
            throw OpenSSLError(in: "OSSL_STORE_load")
        }
    }
}

/// A key that a TPM has wrapped, loaded into it for as long as this value lives.
@safe final class TPMLoadedKey: @unchecked Sendable {
    // SAFETY: set in `init`, emptied in `deinit`, and used in between under the connection's lock only.
    private var key: Owned<KeyObject>?
    let connection: TPMConnection

    let publicKey: PublicKey

    private init(_ key: consuming Owned<KeyObject>, publicKey: PublicKey, in connection: TPMConnection) {
        self.publicKey = publicKey
        self.connection = connection
        self.key = consume key
    }

    // A key is unloaded from the TPM when it is freed.
    deinit { unsafe connection.alone { _ in key = nil } }

    static func load(_ file: TPMKeyFile, password: SecretBytes?, in connection: TPMConnection) throws -> TPMLoadedKey {
        try unsafe connection.alone { library in
            let key = try unsafe open(file, password: password ?? SecretBytes([]), library)
            let publicKey = try key.publicKeyInTPM()
            return TPMLoadedKey(key, publicKey: publicKey, in: connection)
        }
    }

    func signature(for message: [UInt8], digest: Digest) throws -> [UInt8] {
        try unsafe connection.alone { library in
            try unsafe key?.signatureInTPM(for: message, digest: digest, library) ?? []
        }
    }

    /// The format of a key's file, in C: a decoder keeps both texts as pointers.
    private static let format: (type: StaticString, structure: StaticString) = ("DER", "TSS2")

    private static func open(
        _ file: TPMKeyFile, password: SecretBytes, _ library: OpaquePointer
    ) throws -> Owned<KeyObject> {
        // Only what decodes into this kind: the others would load the key too.
        let kind = file.isRSA ? "RSA" : "EC"
        // The decoder keeps this pointer, too.
        let key = UnsafeMutablePointer<OpaquePointer?>.allocate(capacity: 1)
        unsafe key.initialize(to: nil)
        defer { unsafe key.deallocate() }
        let decoder = try unsafe Owned<DecoderContextObject>(
            OSSL_DECODER_CTX_new_for_pkey(
                key, UnsafeRawPointer(format.type.utf8Start).assumingMemoryBound(to: CChar.self),
                UnsafeRawPointer(format.structure.utf8Start).assumingMemoryBound(to: CChar.self), kind, 0, library,
                "provider=tpm2"),
            from: "OSSL_DECODER_CTX_new_for_pkey")
        let status = unsafe lendPassword(password) { secret in
            unsafe OSSL_DECODER_CTX_set_pem_password_cb(decoder.pointer, givePassword, secret)
            return unsafe file.derEncoded.withUnsafeBufferPointer { bytes in
                var position = bytes.baseAddress
                var count = bytes.count
                return unsafe OSSL_DECODER_from_data(decoder.pointer, &position, &count)
            }
        }
        try check(status, "OSSL_DECODER_from_data")
        return try unsafe Owned(key.pointee, from: "OSSL_DECODER_from_data")
    }
}
