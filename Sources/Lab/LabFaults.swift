// SPDX-License-Identifier: Apache-2.0

/// What the lab is to do otherwise than the service, so that clients can be tested against bad days.
package struct LabFaults: Sendable {
    /// Waits so long before it looks at a request.
    package var delay: Duration = .zero

    /// So many requests are answered with ``failureStatus`` instead, whatever they are; then none.
    package var failureCount = 0

    /// The status of those answers, 400 to 599.
    package var failureStatus = 503

    /// Sessions end after so many seconds, whatever was asked for.
    package var expiresIn: Int?

    /// CreateSession is throttled beyond so many requests a second.
    package var sessionsPerSecond: Int?

    /// No faults.
    package init() {}
}
