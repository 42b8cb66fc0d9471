// SPDX-License-Identifier: Apache-2.0

public import Certificates
import SystemSupport

/// A key outside of the CA's directory.
public struct ExternalKey: Sendable {
    /// The address under which it is found again, which holds no secret.
    public var address: String

    /// Opens the key, or makes it. Called once, when nothing else in the request stands in the way: what is made in a
    /// token stays there.
    public var open: @Sendable () throws -> any SigningKey

    /// Names a key.
    ///
    /// - Parameters:
    ///   - address: The address under which it is found again, which holds no secret.
    ///   - open: Opens the key, or makes it.
    public init(address: String, open: @escaping @Sendable () throws -> any SigningKey) {
        self.address = AuthorityFiles.lastingAddress(address)
        self.open = open
    }

    /// Opens the key.
    ///
    /// - Parameter type: The kind that it must be of, when that was said.
    /// - Returns: The key.
    /// - Throws: ``AuthorityError`` when it is of another kind, or what ``open`` throws.
    func opened(as type: KeyType?) throws -> any SigningKey {
        let key = try open()
        if let type, key.publicKey.algorithm != type.algorithm {
            throw AuthorityError(
                .invalidRequest,
                "the key \(address) is of the kind \(key.publicKey.algorithm), and \(type.rawValue) was asked for",
                hint: "leave --key-type out, or name another key"
            )
        }
        return key
    }
}
