// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import SystemSupport

extension Digest {
    /// libcrypto's description of the function, which is static.
    var method: OpaquePointer? {
        switch self {
        case .sha256: unsafe EVP_sha256()
        case .sha384: unsafe EVP_sha384()
        case .sha512: unsafe EVP_sha512()
        }
    }

    /// Returns the hash: 32, 48 or 64 octets.
    public func hash(_ bytes: [UInt8]) -> [UInt8] { unsafe digest(bytes, method) }
}

/// The SHA-1 of bytes, for identifiers that need no security.
func sha1(_ bytes: [UInt8]) -> [UInt8] { unsafe digest(bytes, EVP_sha1()) }

private func digest(_ bytes: [UInt8], _ method: OpaquePointer?) -> [UInt8] {
    var hash = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: CUnsignedInt = 0
    let status = unsafe EVP_Digest(bytes, bytes.count, &hash, &count, method, nil)
    precondition(status == 1, "libcrypto cannot hash")
    return Array(hash.prefix(Int(count)))
}

/// HMAC-SHA256 (RFC 2104), with which SigV4 signs by a secret.
package enum HMACSHA256 {
    package static func code(_ message: some Sequence<UInt8>, key: [UInt8]) -> [UInt8] {
        let message = Array(message)
        var code = [UInt8](repeating: 0, count: 32)
        let result = unsafe HMAC(EVP_sha256(), key, CInt(key.count), message, message.count, &code, nil)
        precondition(unsafe result != nil, "libcrypto has no HMAC-SHA256")
        return code
    }
}

/// Compares bytes in a time that depends on their number alone.
package func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    unsafe left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
}

extension SecretBytes {
    /// Compares secrets in a time that depends on their length alone.
    package func isEqual(to other: SecretBytes) -> Bool {
        guard count == other.count else { return false }
        return unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { unsafe CRYPTO_memcmp(left.baseAddress, $0.baseAddress, left.count) == 0 }
        }
    }

    /// Lends a passphrase to a libcrypto function.
    func withText<Result>(_ body: (UnsafePointer<CChar>?, CInt) -> Result) -> Result {
        unsafe withUnsafeBytes { unsafe body($0.bindMemory(to: CChar.self).baseAddress, CInt($0.count)) }
    }
}
