// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// When credentials are replaced, and until when they are used. All times are in seconds.
package struct RefreshSchedule: Hashable, Sendable {
    /// How long before expiration credentials are replaced in the background, unless their half-life is later. SDKs ask again
    /// when less than 15 minutes are left.
    package var backgroundMargin = 25.0 * 60

    /// How long credentials in a cache must still last to be used, unless half their lifetime is shorter.
    package var cacheMargin = 20.0 * 60

    /// The longest wait after the first failure; it doubles with each further one.
    package var firstDelay = 1.0

    /// The longest wait after any failure.
    package var longestDelay = 60.0

    /// The shortest time between two successful attempts.
    package var shortestInterval = 1.0

    /// The longest possible lifetime: 12 hours, and 5 minutes for clocks that differ. Credentials that claim more are invalid.
    package static let longestLifetime = 12.0 * 3600 + 300

    package init() {}

    /// When credentials are replaced: 25 minutes before expiration, or at their half-life if that is later.
    package func refreshDate(of credentials: Credentials) -> Date {
        let halfLife = credentials.issued.addingTimeInterval(credentials.lifetime / 2)
        let margin = credentials.expiration.addingTimeInterval(-backgroundMargin)
        return max(margin, halfLife, credentials.issued.addingTimeInterval(shortestInterval))
    }

    /// Whether credentials have not expired, and do not claim to last longer than possible.
    package func isValid(_ credentials: Credentials, at date: Date) -> Bool {
        let left = credentials.expiration.timeIntervalSince(date)
        return left > 0 && left <= Self.longestLifetime
    }

    /// Whether cached credentials may be used: with 20 minutes left, or half their lifetime if that is less.
    package func isFresh(_ credentials: Credentials, at date: Date) -> Bool {
        let left = credentials.expiration.timeIntervalSince(date)
        return isValid(credentials, at: date) && left >= min(cacheMargin, credentials.lifetime / 2)
    }

    /// How long to wait after this many failures in a row: a random time between half of a limit that doubles and all of it, so
    /// that machines which failed together do not retry together.
    ///
    /// - Parameter random: From 0 up to but not including 1.
    package func delay(after failures: Int, random: Double) -> Double {
        var limit = firstDelay
        for _ in 1..<max(1, min(failures, 64)) where limit < longestDelay { limit *= 2 }
        return min(limit, longestDelay) * (0.5 + random / 2)
    }
}

extension Credentials {
    /// The lifetime in seconds; zero for credentials that had expired when they came.
    var lifetime: Double { max(0, expiration.timeIntervalSince(issued)) }
}
