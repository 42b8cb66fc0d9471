// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import FoundationEssentials
import SystemSupport

/// A moment on a command line.
struct Moment: Sendable {
    /// The moment.
    var date: Date

    /// Reads an option's value: a moment in UTC, or a day, which counts from its beginning.
    static func argument(_ text: String) throws -> Moment {
        guard let date = CivilTime.date(fromISO8601: text.contains("T") ? text : text + "T00:00:00Z") else {
            throw ValidationError("\"\(text)\" is not a moment such as 2030-12-31 or 2030-12-31T12:00:00Z")
        }
        return Moment(date: date)
    }
}
