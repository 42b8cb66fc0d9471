// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

extension EllipticKeyEncoding {
    private static let group: StaticString = "group"
    private static let publicPoint: StaticString = "pub"
    private static let privateNumber: StaticString = "priv"

    /// A private key in libcrypto; `nil` if it is not in this encoding, or libcrypto does not accept it.
    func key(of privateKey: SecretBytes) -> Owned<KeyObject>? {
        guard let parts = parts(of: privateKey) else { return nil }
        return key(parts.point, parts.number)
    }

    /// A public key in libcrypto; `nil` if it is not in this encoding, or its point is not on the curve.
    func key(of publicKey: [UInt8]) -> Owned<KeyObject>? {
        guard let point = point(of: publicKey) else { return nil }
        return key(Array(point), nil)
    }

    /// The usual encoding of a private key; `nil` if libcrypto does not give its number.
    func privateKey(_ key: OpaquePointer, point: ArraySlice<UInt8>) -> SecretBytes? {
        defer { forgiveOpenSSLErrors() }
        return unsafe privateKey(point) { number in
            var parameters = unsafe [
                OSSL_PARAM_construct_BN(
                    Self.pointer(Self.privateNumber), number.bindMemory(to: UInt8.self).baseAddress, number.count),
                OSSL_PARAM_construct_end(),
            ]
            guard unsafe EVP_PKEY_get_params(key, &parameters) == 1, unsafe parameters[0].return_size == number.count
            else { return false }
            unsafe Self.exchangeOrder(number)
            return true
        }
    }

    private func key(_ point: [UInt8], _ number: SecretBytes?) -> Owned<KeyObject>? {
        defer { forgiveOpenSSLErrors() }
        guard
            let context = try? unsafe Owned<KeyContextObject>(
                EVP_PKEY_CTX_new_from_name(nil, "EC", nil), from: "EVP_PKEY_CTX_new_from_name"),
            unsafe EVP_PKEY_fromdata_init(context.pointer) == 1
        else { return nil }
        var parts = OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS | OSSL_KEYMGMT_SELECT_PUBLIC_KEY
        if number != nil { parts |= OSSL_KEYMGMT_SELECT_PRIVATE_KEY }
        let number = Self.nativeOrder(number)
        var name = Array(curve.rawValue.utf8CString)
        var point = point
        var key: OpaquePointer?
        let status = unsafe name.withUnsafeMutableBufferPointer { name in
            unsafe point.withUnsafeMutableBufferPointer { point in
                unsafe number.withUnsafeBytes { number in
                    var parameters = unsafe [
                        OSSL_PARAM_construct_utf8_string(Self.pointer(Self.group), name.baseAddress, 0),
                        OSSL_PARAM_construct_octet_string(
                            Self.pointer(Self.publicPoint), point.baseAddress, point.count),
                        OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end(),
                    ]
                    if number.count > 0 {
                        let octets = unsafe UnsafeMutableRawBufferPointer(mutating: number).bindMemory(to: UInt8.self)
                        unsafe parameters[2] = OSSL_PARAM_construct_BN(
                            Self.pointer(Self.privateNumber), octets.baseAddress, octets.count)
                    }
                    return unsafe EVP_PKEY_fromdata(context.pointer, &key, parts, &parameters)
                }
            }
        }
        guard status == 1 else { return nil }
        return try? unsafe Owned<KeyObject>(key, from: "EVP_PKEY_fromdata")
    }

    /// libcrypto keeps the pointers to the names of parameters.
    private static func pointer(_ name: StaticString) -> UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
    }

    /// Changes the order of a number's octets from the encoding's to that of this processor, which libcrypto's parameters
    /// have, or back.
    private static func exchangeOrder(_ number: UnsafeMutableRawBufferPointer) {
        guard 1.littleEndian == 1 else { return }
        var number = unsafe number
        unsafe number.reverse()
    }

    /// A number in the order of this processor; no octets for none.
    private static func nativeOrder(_ number: SecretBytes?) -> SecretBytes {
        unsafe SecretBytes(capacity: number?.count ?? 0) { buffer in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            unsafe number?.withUnsafeBytes { unsafe bytes.copyMemory(from: $0) }
            unsafe exchangeOrder(bytes)
            return buffer.count
        }
    }
}
