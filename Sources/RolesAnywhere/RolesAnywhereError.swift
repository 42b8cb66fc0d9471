// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// Why there are no session credentials.
public struct RolesAnywhereError: ExplainedError, Equatable {
    /// The kind of failure.
    public enum Code: Sendable {
        /// An ARN, a region, a duration, an endpoint or a name is not what it should be. Nothing was sent.
        case invalidArgument
        /// Certificate, chain and key do not make an identity that the service accepts. Nothing was sent.
        case unusableIdentity
        /// A file could not be read. Nothing was sent.
        case unreadableFile
        /// A private key lies in a file that others may read, or somebody else wrote. Nothing was sent.
        case unprotectedFile
        /// libcurl is not installed.
        case missingLibrary
        /// The network, a name server or a proxy is in the way, or something took too long.
        case unreachable
        /// The server could not prove who it is.
        case untrustedServer
        /// The service answered that it cannot answer: throttled, overloaded or broken.
        case unavailable
        /// The service, or something in its place, answered what cannot be understood, or with a session that was not asked
        /// for.
        case malformedAnswer
        /// The service refused the request.
        case denied
    }

    /// The kind of failure.
    public let code: Code

    /// What is wrong. Never holds a secret.
    public let message: String

    /// The way out, when there is one to name.
    public let hint: String?

    /// What the service answered; `nil` if the failure is not the service's.
    public let service: ServiceError?

    /// Whether the same request may succeed a little later.
    public let isTransient: Bool

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What is wrong, in lower case and without a full stop.
    ///   - hint: The way out.
    ///   - service: What the service said.
    ///   - isTransient: Whether the same request may succeed a little later.
    public init(
        _ code: Code,
        _ message: String,
        hint: String? = nil,
        service: ServiceError? = nil,
        isTransient: Bool = false
    ) {
        self.code = code
        self.message = message
        self.hint = hint
        self.service = service
        self.isTransient = isTransient
    }
}
