// SPDX-License-Identifier: Apache-2.0

import Certificates
public import struct FoundationEssentials.Date
import SystemSupport

/// How long a certificate is good for.
public enum Lifetime: Hashable, Sendable {
    /// A number of days of 24 hours, from now.
    case days(Int)
    /// Until this moment, to the second.
    case until(Date)

    /// Reads a last moment: one in ISO 8601, or a day, which counts to its end in UTC. Gives nothing when it is neither.
    ///
    /// - Parameter text: Such as `2030-12-31` or `2030-12-31T12:00:00Z`.
    package init?(notAfter text: String) {
        guard let date = CivilTime.date(fromISO8601: text.contains("T") ? text : text + "T23:59:59Z") else {
            return nil
        }
        self = .until(date)
    }

    /// How much earlier than now validity begins, for clocks that are behind. It is added to the lifetime.
    static let backdating: Double = 300

    /// The last moment of validity.
    ///
    /// - Parameter now: The moment of issue.
    /// - Returns: The moment, in whole seconds.
    /// - Throws: ``AuthorityError`` when it is not after now, or lies behind the year 9999.
    func end(from now: Date) throws(AuthorityError) -> Date {
        let end: Date
        switch self {
        case .days(let days):
            guard days >= 1 else {
                throw AuthorityError(
                    .invalidRequest,
                    "a lifetime of \(days) days is not possible",
                    hint: "give at least 1"
                )
            }
            end = now.addingTimeInterval(Double(days) * 86400)
        case .until(let date):
            guard date > now else {
                throw AuthorityError(
                    .invalidRequest,
                    "the certificate would end at \(timestamp(date)), which is past",
                    hint: "give a later moment, or a number of days; it is \(timestamp(now)) by this machine's clock"
                )
            }
            end = date
        }
        // 9999-12-31T23:59:59Z, the last moment that X.509 can say (RFC 5280 §4.1.2.5).
        guard end.timeIntervalSince1970 <= 253_402_300_799 else {
            throw AuthorityError(
                .invalidRequest,
                "the certificate would end after the year 9999, the last that X.509 can say",
                hint: "give fewer days, or an earlier moment"
            )
        }
        return Date(timeIntervalSince1970: end.timeIntervalSince1970.rounded(.down))
    }
}
