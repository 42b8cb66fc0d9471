// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// When credentials are replaced, and until when they are handed out: the arithmetic of it, which reads no clock.
package struct RefreshSchedule: Hashable, Sendable {
    /// How many seconds before their end credentials are replaced in the background, where their half-life is earlier.
    ///
    /// SDKs ask again when less than 15 minutes are left. Whoever asks gets more than that.
    package var backgroundMargin = 25.0 * 60

    /// How many seconds credentials must last to be handed out of a cache, where half their lifetime is longer.
    package var cacheMargin = 20.0 * 60

    /// The longest wait after the first failure, in seconds; it doubles with each further one.
    package var firstDelay = 1.0

    /// The longest wait after a failure, in seconds.
    package var longestDelay = 60.0

    /// The shortest time between two attempts that succeed, in seconds, whatever the lifetime.
    package var shortestInterval = 1.0

    /// The longest that credentials can be valid, in seconds: 12 hours, and what two clocks may be apart. Those that say
    /// otherwise are not believed.
    package static let longestLifetime = 12.0 * 3600 + 300

    /// The schedule that every command keeps.
    package init() {}

    /// When credentials are due to be replaced: 25 minutes before their end, or at their half-life when that is later.
    ///
    /// - Parameter credentials: The credentials.
    /// - Returns: The moment.
    package func refreshDate(of credentials: Credentials) -> Date {
        let halfLife = credentials.issued.addingTimeInterval(credentials.lifetime / 2)
        let margin = credentials.expiration.addingTimeInterval(-backgroundMargin)
        return max(margin, halfLife, credentials.issued.addingTimeInterval(shortestInterval))
    }

    /// Whether credentials are valid: they have not expired, and expire no later than any can.
    ///
    /// - Parameters:
    ///   - credentials: The credentials.
    ///   - date: The time.
    /// - Returns: Whether they can be used.
    package func isValid(_ credentials: Credentials, at date: Date) -> Bool {
        let left = credentials.expiration.timeIntervalSince(date)
        return left > 0 && left <= Self.longestLifetime
    }

    /// Whether credentials may still come out of a cache: with 20 minutes left, or half their lifetime when that is less.
    ///
    /// - Parameters:
    ///   - credentials: The credentials.
    ///   - date: The time.
    /// - Returns: Whether they last long enough.
    package func isFresh(_ credentials: Credentials, at date: Date) -> Bool {
        let left = credentials.expiration.timeIntervalSince(date)
        return isValid(credentials, at: date) && left >= min(cacheMargin, credentials.lifetime / 2)
    }

    /// How long to wait after failures: exponentially growing, between half of the limit and all of it by chance, so that
    /// machines which failed together do not come back together.
    ///
    /// - Parameters:
    ///   - failures: How many attempts in a row have failed, at least 1.
    ///   - random: A number from 0 up to but not including 1.
    /// - Returns: Seconds.
    package func delay(after failures: Int, random: Double) -> Double {
        var limit = firstDelay
        for _ in 1..<max(1, min(failures, 64)) where limit < longestDelay { limit *= 2 }
        return min(limit, longestDelay) * (0.5 + random / 2)
    }
}

extension Credentials {
    /// How many seconds they last altogether; zero for those that had ended when they came.
    var lifetime: Double { max(0, expiration.timeIntervalSince(issued)) }
}
