// SPDX-License-Identifier: Apache-2.0

import Certificates
public import SystemSupport

/// Why the CA in a folder could not be made, opened or used.
public struct AuthorityError: ExplainedError, Equatable {
    /// The kind of failure. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind { case exists, missing, permissions, invalidRequest, policy, broken, storage }
        private let kind: Kind

        /// A file that would be made is there already.
        public static let exists = Code(kind: .exists)
        /// A file that is needed is not there.
        public static let missing = Code(kind: .missing)
        /// A file can be read by others than its owner.
        public static let permissions = Code(kind: .permissions)
        /// The request says something that cannot be.
        public static let invalidRequest = Code(kind: .invalidRequest)
        /// The request is well formed and the CA's rules forbid it.
        public static let policy = Code(kind: .policy)
        /// The CA's own files do not fit together, or the CA has expired.
        public static let broken = Code(kind: .broken)
        /// The folder could not be read or written.
        public static let storage = Code(kind: .storage)
    }

    /// The kind of failure.
    public let code: Code

    /// What is wrong, with the file it is about.
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
