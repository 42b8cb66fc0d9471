// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Why a key, a name, a certificate or a request could not be read, made or accepted.
public struct CertificateError: ExplainedError, Equatable {
    /// The kind of failure. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind {
            case malformed, unsupported, missingPassphrase, wrongPassphrase, invalidName, forbidden, mismatch,
                untrusted, absent, locked, failed
        }
        private let kind: Kind

        /// The bytes or the text are not what they should be.
        public static let malformed = Code(kind: .malformed)
        /// Well formed, but this libcrypto or this module cannot do it.
        public static let unsupported = Code(kind: .unsupported)
        /// An encrypted key or container came without a passphrase.
        public static let missingPassphrase = Code(kind: .missingPassphrase)
        /// The passphrase does not open the key or the container.
        public static let wrongPassphrase = Code(kind: .wrongPassphrase)
        /// A distinguished name or an alternative name breaks the rules of its kind.
        public static let invalidName = Code(kind: .invalidName)
        /// Something was asked for that a rule of RFC 5280 forbids.
        public static let forbidden = Code(kind: .forbidden)
        /// Two things that must belong together do not.
        public static let mismatch = Code(kind: .mismatch)
        /// No valid path leads to a trusted certificate.
        public static let untrusted = Code(kind: .untrusted)
        /// There is no such device, or no such key in it.
        public static let absent = Code(kind: .absent)
        /// The device takes no more passwords for a time.
        public static let locked = Code(kind: .locked)
        /// libcrypto failed in a way that names no fault of the caller.
        public static let failed = Code(kind: .failed)
    }

    /// The kind of failure.
    public let code: Code

    /// What is wrong.
    public let message: String

    /// The way out, when there is one to name.
    public let remedy: String?

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What is wrong, in lower case and without a full stop.
    ///   - remedy: The way out.
    public init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }
}
