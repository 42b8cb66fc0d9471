// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

func derEncoding(
    by function: StaticString, _ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>) -> CInt
) throws(OpenSSLError) -> [UInt8] {
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = unsafe encode(&bytes)
    guard count > 0, let bytes = unsafe bytes else { throw OpenSSLError(in: function) }
    defer { unsafe pki_OPENSSL_free(bytes) }
    return unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
}

/// Decodes bytes that must be one libcrypto object and nothing else.
func derDecoded<Object: OpenSSLObject>(
    _ bytes: [UInt8], by function: StaticString,
    _ decode: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?
) throws(OpenSSLError) -> Owned<Object> {
    var isWhole = false
    let pointer = unsafe bytes.withUnsafeBytes { unsafe derDecoded($0, isWhole: &isWhole, decode) }
    let object = try unsafe Owned<Object>(pointer, from: function)
    guard isWhole else { throw OpenSSLError(in: function) }
    return object
}

/// Decodes secret bytes that must be one libcrypto object and nothing else.
func derDecoded<Object: OpenSSLObject>(
    _ bytes: SecretBytes, by function: StaticString,
    _ decode: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?
) throws(OpenSSLError) -> Owned<Object> {
    var isWhole = false
    let pointer = unsafe bytes.withUnsafeBytes { unsafe derDecoded($0, isWhole: &isWhole, decode) }
    let object = try unsafe Owned<Object>(pointer, from: function)
    guard isWhole else { throw OpenSSLError(in: function) }
    return object
}

private func derDecoded(
    _ bytes: UnsafeRawBufferPointer, isWhole: inout Bool,
    _ decode: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?
) -> OpaquePointer? {
    let start = unsafe bytes.assumingMemoryBound(to: UInt8.self).baseAddress
    var position = unsafe start
    let pointer = unsafe decode(&position, bytes.count)
    isWhole = unsafe position == start.map { unsafe $0 + bytes.count }
    return unsafe pointer
}

func octets(of string: UnsafePointer<ASN1_STRING>?) -> [UInt8] {
    guard let string = unsafe string, let data = unsafe ASN1_STRING_get0_data(string) else { return [] }
    return unsafe Array(UnsafeBufferPointer(start: data, count: Int(ASN1_STRING_length(string))))
}

/// An INTEGER with its sign.
func integer(_ number: UnsafePointer<ASN1_INTEGER>?) -> SerialNumber {
    unsafe SerialNumber(octets(of: number), isNegative: ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER)
}

/// Copies a NUL-terminated string; `nil` for a null pointer.
func text(of pointer: UnsafePointer<CChar>?) -> String? {
    unsafe pointer.map { unsafe String(cString: $0) }
}

/// The short name of an object identifier, or its dots and digits when libcrypto has no name for it.
func name(of object: OpaquePointer?) -> String {
    guard let object = unsafe object else { return "" }
    let identifier = unsafe OBJ_obj2nid(object)
    if identifier != NID_undef, let name = unsafe text(of: OBJ_nid2sn(identifier)) { return name }
    return unsafe dottedText(of: object)
}

/// The dots and digits of an object identifier.
func dottedText(of object: OpaquePointer?) -> String {
    guard let object = unsafe object else { return "" }
    var buffer = [CChar](repeating: 0, count: 128)
    let count = unsafe OBJ_obj2txt(&buffer, CInt(buffer.count), object, 1)
    return String(decoding: buffer.prefix(max(0, min(Int(count), 127))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
