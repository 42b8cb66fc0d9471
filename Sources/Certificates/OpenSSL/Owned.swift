// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// A kind of libcrypto object, known by the function that frees it.
protocol OpenSSLObject {
    /// Gives up one reference.
    static func free(_ pointer: OpaquePointer)
}

/// A libcrypto object that this scope owns and frees. Bind it to a name before taking its pointer: a temporary is freed
/// before the call that was given its pointer runs.
@safe struct Owned<Object: OpenSSLObject>: ~Copyable {
    /// Valid as long as this value lives.
    let pointer: OpaquePointer

    /// Adopts the result of a libcrypto function, or throws libcrypto's errors if it is null.
    init(_ pointer: OpaquePointer?, from function: StaticString) throws(OpenSSLError) {
        guard let pointer = unsafe pointer else { throw OpenSSLError(in: function) }
        unsafe self.pointer = unsafe pointer
    }

    deinit { unsafe Object.free(pointer) }
}

enum X509Object: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_free(pointer) }
}

enum X509RequestObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_REQ_free(pointer) }
}

enum X509NameObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_NAME_free(pointer) }
}

enum X509ExtensionObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_EXTENSION_free(pointer) }
}

enum X509ExtensionsObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe pki_sk_X509_EXTENSION_pop_free(pointer) }
}

enum X509StackObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe pki_sk_X509_pop_free(pointer) }
}

enum X509StoreObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_STORE_free(pointer) }
}

enum X509StoreContextObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_STORE_CTX_free(pointer) }
}

enum IntegerObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe ASN1_INTEGER_free(UnsafeMutablePointer(pointer)) }
}

enum TimeObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe ASN1_TIME_free(UnsafeMutablePointer(pointer)) }
}

enum AlgorithmObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_ALGOR_free(UnsafeMutablePointer(pointer)) }
}

enum GeneralNamesObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe GENERAL_NAMES_free(pointer) }
}

enum PublicKeyInfoObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_PUBKEY_free(pointer) }
}

enum KeyObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe EVP_PKEY_free(pointer) }
}

enum KeyContextObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe EVP_PKEY_CTX_free(pointer) }
}

enum DigestContextObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe EVP_MD_CTX_free(pointer) }
}

enum InputOutputObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe BIO_free_all(pointer) }
}

enum PrivateKeyInfoObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe PKCS8_PRIV_KEY_INFO_free(pointer) }
}

enum EncryptedKeyObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe X509_SIG_free(pointer) }
}

enum ConfigurationObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe NCONF_free(UnsafeMutablePointer<CONF>(pointer)) }
}

enum LibraryContextObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe OSSL_LIB_CTX_free(pointer) }
}

enum ProviderObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe OSSL_PROVIDER_unload(pointer) }
}

enum StoreObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe OSSL_STORE_close(pointer) }
}

enum StoreInfoObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe OSSL_STORE_INFO_free(pointer) }
}

enum DecoderContextObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe OSSL_DECODER_CTX_free(pointer) }
}

enum InterfaceMethodObject: OpenSSLObject {
    static func free(_ pointer: OpaquePointer) { unsafe UI_destroy_method(pointer) }
}
