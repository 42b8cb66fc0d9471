// SPDX-License-Identifier: Apache-2.0

/// How often to ask again, and how long to wait in between.
///
/// Only what may pass is tried again: throttling, faults of the service and of the network. Waits grow exponentially with
/// full jitter, a random part of the whole, so that many machines which failed together do not come back together.
public struct RetryPolicy: Hashable, Sendable {
    /// How often a request is sent at most, the first time included. At least 1.
    public var attempts: Int

    /// The longest that the wait after the first failure can be; it doubles with each further one.
    public var firstDelay: Duration

    /// The longest wait, also when the server asks for more.
    public var longestDelay: Duration

    /// Makes a policy.
    ///
    /// - Parameters:
    ///   - attempts: How often a request is sent at most; less than 1 counts as 1.
    ///   - firstDelay: The longest that the first wait can be.
    ///   - longestDelay: The longest wait.
    public init(attempts: Int = 4, firstDelay: Duration = .milliseconds(500), longestDelay: Duration = .seconds(20)) {
        self.attempts = max(1, attempts)
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
    }

    /// The wait after a failure.
    ///
    /// - Parameters:
    ///   - failures: How many attempts have failed, at least 1.
    ///   - requested: What the server asked for in `Retry-After`; it is honoured up to the longest wait.
    ///   - random: A number from 0 up to but not including 1.
    /// - Returns: How long to wait.
    func delay(after failures: Int, requested: Duration?, random: Double) -> Duration {
        let ceiling = min(longestDelay, firstDelay * (1 << min(failures - 1, 20)))
        return min(longestDelay, max(ceiling * random, requested ?? .zero))
    }
}
