// SPDX-License-Identifier: Apache-2.0

/// Why a server could not be started.
///
/// Nothing that a client sends ends up here: a bad request is answered, not thrown.
public struct HTTPServiceError: Error, Equatable, CustomStringConvertible {
    /// The kind of failure. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind { case invalidAddress, invalidTimeToLive, addressUnavailable, invalidIdentity, invalidRoute }
        private let kind: Kind

        /// The address to listen on is not an IP address, the port is not one, the path of a unix socket is too long, or
        /// what was inherited is no socket that listens.
        public static let invalidAddress = Code(kind: .invalidAddress)
        /// The time to live of packets is not one.
        public static let invalidTimeToLive = Code(kind: .invalidTimeToLive)
        /// The address or the path is taken, is not this machine's, or needs more rights.
        public static let addressUnavailable = Code(kind: .addressUnavailable)
        /// The TLS certificate or its key cannot be used.
        public static let invalidIdentity = Code(kind: .invalidIdentity)
        /// A path template is malformed or was given twice.
        public static let invalidRoute = Code(kind: .invalidRoute)
    }

    /// The kind of failure.
    public let code: Code

    /// What is wrong, in lower case and without a full stop.
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

    /// The message.
    public var description: String { message }
}
