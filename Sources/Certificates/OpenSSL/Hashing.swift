// SPDX-License-Identifier: Apache-2.0

import COpenSSL
package import SystemSupport

extension Digest {
    // SAFETY: fetched once and never freed or changed. libcrypto would search its providers at each use of EVP_sha256().
    private nonisolated(unsafe) static let sha256Method = unsafe EVP_MD_fetch(nil, "SHA256", nil)
    private nonisolated(unsafe) static let sha384Method = unsafe EVP_MD_fetch(nil, "SHA384", nil)
    private nonisolated(unsafe) static let sha512Method = unsafe EVP_MD_fetch(nil, "SHA512", nil)

    /// libcrypto's implementation of the function, which is static.
    var method: OpaquePointer? {
        switch self {
        case .sha256: unsafe Self.sha256Method
        case .sha384: unsafe Self.sha384Method
        case .sha512: unsafe Self.sha512Method
        }
    }

    /// Returns the hash: 32, 48 or 64 octets.
    public func hash(_ bytes: [UInt8]) -> [UInt8] { unsafe digest(bytes, method) }
}

/// The SHA-1 of bytes, for identifiers that need no security.
func sha1(_ bytes: [UInt8]) -> [UInt8] { unsafe digest(bytes, EVP_sha1()) }

private func digest(_ bytes: [UInt8], _ method: OpaquePointer?) -> [UInt8] {
    unsafe Array(unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { hash, count in
        var size: CUnsignedInt = 0
        let status = unsafe EVP_Digest(bytes, bytes.count, hash.baseAddress, &size, method, nil)
        precondition(status == 1, "libcrypto cannot hash")
        count = Int(size)
    }
}

/// HMAC-SHA256 (RFC 2104), with which SigV4 signs by a secret.
package enum HMACSHA256 {
    private static let blockSize = 64

    package static func code(_ message: some Sequence<UInt8>, key: [UInt8]) -> [UInt8] {
        // libcrypto 3.0 looks HMAC and its hash up at each call, which takes five times as long as the hashes.
        let short = key.count > blockSize ? Digest.sha256.hash(key) : key
        var inner = [UInt8](repeating: 0x36, count: blockSize)
        var outer = [UInt8](repeating: 0x5c, count: blockSize)
        let message = Array(message)
        // A larger buffer would leave the key behind in the smaller one.
        inner.reserveCapacity(blockSize + message.count)
        outer.reserveCapacity(blockSize + 32)
        defer {
            wipe(&inner)
            wipe(&outer)
        }
        for (index, octet) in short.enumerated() {
            inner[index] ^= octet
            outer[index] ^= octet
        }
        inner += message
        outer += Digest.sha256.hash(inner)
        return Digest.sha256.hash(outer)
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
