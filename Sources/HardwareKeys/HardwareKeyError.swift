// SPDX-License-Identifier: Apache-2.0

import Certificates
public import SystemSupport

/// Why a key in a token or an agent could not be found or used.
public struct HardwareKeyError: ExplainedError, Equatable {
    /// The kind of failure. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind {
            case invalidAddress, missingLibrary, absent, notFound, ambiguous, pinNeeded, wrongPIN, locked, unsupported,
                mismatch, failed
        }
        private let kind: Kind

        /// The text that names a key is not what it should be.
        public static let invalidAddress = Code(kind: .invalidAddress)
        /// The library that speaks to the device cannot be opened.
        public static let missingLibrary = Code(kind: .missingLibrary)
        /// There is no such token, or no agent answers.
        public static let absent = Code(kind: .absent)
        /// The token or the agent is there and does not hold what was asked for.
        public static let notFound = Code(kind: .notFound)
        /// More than one object is what was asked for.
        public static let ambiguous = Code(kind: .ambiguous)
        /// The token wants a PIN and none was given.
        public static let pinNeeded = Code(kind: .pinNeeded)
        /// The token refused the PIN. It is not tried again.
        public static let wrongPIN = Code(kind: .wrongPIN)
        /// The token's PIN is locked, or one wrong try would lock it.
        public static let locked = Code(kind: .locked)
        /// The key cannot do what is asked of it.
        public static let unsupported = Code(kind: .unsupported)
        /// The key is not the certificate's.
        public static let mismatch = Code(kind: .mismatch)
        /// The device failed in a way that names no fault of the caller.
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
