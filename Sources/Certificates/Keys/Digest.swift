// SPDX-License-Identifier: Apache-2.0

/// A hash function of the SHA-2 family.
public enum Digest: String, CaseIterable, Sendable {
    /// SHA-256, 32 octets.
    case sha256
    /// SHA-384, 48 octets.
    case sha384
    /// SHA-512, 64 octets.
    case sha512
}
