// SPDX-License-Identifier: Apache-2.0

import Certificates
public import SystemSupport

/// Why the lab cannot be set up or go on.
///
/// Nothing that a client sends ends up here: a bad request is answered, not thrown.
public struct LabError: ExplainedError, Equatable {
    /// The kind of failure. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind { case invalidResource, invalidIdentity, stateUnavailable }
        private let kind: Kind

        /// A resource breaks a rule that IAM Roles Anywhere puts on it.
        public static let invalidResource = Code(kind: .invalidResource)
        /// The server's own certificate could not be made.
        public static let invalidIdentity = Code(kind: .invalidIdentity)
        /// The file in which the lab remembers cannot be read or written.
        public static let stateUnavailable = Code(kind: .stateUnavailable)
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
