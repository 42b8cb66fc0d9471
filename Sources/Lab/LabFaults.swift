// SPDX-License-Identifier: Apache-2.0

/// What the lab is to do otherwise than the service, so that clients can be tested against bad days.
public struct LabFaults: Sendable {
    /// Waits so long before it looks at a request.
    public var delay: Duration = .zero

    /// So many requests are answered with ``failureStatus`` instead, whatever they are; then none.
    public var failureCount = 0

    /// The status of those answers, 400 to 599.
    public var failureStatus = 503

    /// Sessions end after so many seconds, whatever was asked for.
    public var expiresIn: Int?

    /// CreateSession is throttled beyond so many requests a second.
    public var sessionsPerSecond: Int?

    /// No faults.
    public init() {}
}
