// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Why there are no session credentials.
public struct RolesAnywhereError: ExplainedError, Equatable {
    /// The kind of failure. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind {
            case invalidArgument, unusableIdentity, unreadableFile, unprotectedFile, missingLibrary
            case unreachable, untrustedServer, unavailable, malformedAnswer, denied
        }
        private let kind: Kind

        /// An ARN, a region, a duration, an endpoint or a name is not what it should be. Nothing was sent.
        public static let invalidArgument = Code(kind: .invalidArgument)
        /// Certificate, chain and key do not make an identity that the service accepts. Nothing was sent.
        public static let unusableIdentity = Code(kind: .unusableIdentity)
        /// A file could not be read. Nothing was sent.
        public static let unreadableFile = Code(kind: .unreadableFile)
        /// A private key lies in a file that others may read, or somebody else wrote. Nothing was sent.
        public static let unprotectedFile = Code(kind: .unprotectedFile)
        /// libcurl is not installed.
        public static let missingLibrary = Code(kind: .missingLibrary)
        /// The network, a name server or a proxy is in the way, or something took too long.
        public static let unreachable = Code(kind: .unreachable)
        /// The server could not prove who it is.
        public static let untrustedServer = Code(kind: .untrustedServer)
        /// The service answered that it cannot answer: throttled, overloaded or broken.
        public static let unavailable = Code(kind: .unavailable)
        /// The service, or something in its place, answered what cannot be understood, or with a session that was not asked
        /// for.
        public static let malformedAnswer = Code(kind: .malformedAnswer)
        /// The service refused the request.
        public static let denied = Code(kind: .denied)
    }

    /// The kind of failure.
    public let code: Code

    /// What is wrong. Never holds a secret.
    public let message: String

    /// The way out, when there is one to name.
    public let remedy: String?

    /// What the service said; nothing when it was not the service that failed.
    public let service: ServiceError?

    /// Whether the same request may succeed a little later.
    public let isTransient: Bool

    /// Makes an error, as a transport of one's own has to.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What is wrong, in lower case and without a full stop.
    ///   - remedy: The way out.
    ///   - service: What the service said.
    ///   - isTransient: Whether the same request may succeed a little later.
    public init(
        _ code: Code,
        _ message: String,
        remedy: String? = nil,
        service: ServiceError? = nil,
        isTransient: Bool = false
    ) {
        self.code = code
        self.message = message
        self.remedy = remedy
        self.service = service
        self.isTransient = isTransient
    }
}
