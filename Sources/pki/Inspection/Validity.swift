// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// Where a moment lies between two others.
enum Validity: String, Encodable, Sendable {
    case notYetValid, valid, expired

    /// Compares.
    init(of date: Date, from start: Date, to end: Date?) {
        self = date < start ? .notYetValid : end.map { date > $0 } ?? false ? .expired : .valid
    }

    /// `84 days`, `5 hours`, `1 minute`: the whole ones between two moments.
    static func span(_ seconds: Double) -> String {
        let seconds = Int(abs(seconds))
        for (name, length) in [("day", 86_400), ("hour", 3600), ("minute", 60)] where seconds >= length {
            let count = seconds / length
            return "\(count) \(name)\(count == 1 ? "" : "s")"
        }
        return "less than a minute"
    }

    /// Both ends, and how long it is to the one or since the other.
    static func text(from start: Date, to end: Date, at now: Date) -> [String] {
        let state =
            switch Validity(of: now, from: start, to: end) {
            case .notYetValid: "NOT YET VALID: begins in \(span(start.timeIntervalSince(now)))"
            case .valid: "\(span(end.timeIntervalSince(now))) left"
            case .expired: "EXPIRED \(span(now.timeIntervalSince(end))) ago"
            }
        return ["\(CivilTime(start).extended) to \(CivilTime(end).extended), \(state)"]
    }
}
