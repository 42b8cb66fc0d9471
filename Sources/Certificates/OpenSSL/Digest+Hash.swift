// SPDX-License-Identifier: Apache-2.0

import COpenSSL

extension Digest {
    /// libcrypto's description of the function, which is static.
    var method: OpaquePointer? {
        switch self {
        case .sha256: unsafe EVP_sha256()
        case .sha384: unsafe EVP_sha384()
        case .sha512: unsafe EVP_sha512()
        }
    }

    /// Hashes bytes.
    ///
    /// - Parameter bytes: The message.
    /// - Returns: 32, 48 or 64 octets.
    public func hash(_ bytes: [UInt8]) -> [UInt8] {
        let count =
            switch self {
            case .sha256: 32
            case .sha384: 48
            case .sha512: 64
            }
        var hash = [UInt8](repeating: 0, count: count)
        var length: CUnsignedInt = 0
        let status = unsafe EVP_Digest(bytes, bytes.count, &hash, &length, method, nil)
        precondition(status == 1 && length == count, "libcrypto has no \(self)")
        return hash
    }
}
