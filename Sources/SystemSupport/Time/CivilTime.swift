// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// A time in UTC by the calendar, to the second, as the wire formats write it.
package struct CivilTime: Hashable, Sendable {
    package var year: Int
    package var month: Int
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int

    /// The seconds since 1970 that have a date of four digits: year 0 through 9999.
    package static let range = -62_167_219_200...253_402_300_799

    /// The second in which a date lies. What is outside of ``range`` counts as its nearest end.
    package init(_ date: Date) {
        let (first, last) = (Double(Self.range.lowerBound), Double(Self.range.upperBound))
        let exact = date.timeIntervalSince1970
        let seconds = Int(exact.isNaN ? first : min(max(exact, first), last).rounded(.down))
        let (days, rest) = seconds.quotientAndRemainder(flooringBy: 86_400)
        (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
        // Years are counted from March, so that the leap day is the last of its year, in eras of 400 years.
        let (era, dayOfEra) = (days + 719_468).quotientAndRemainder(flooringBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// A time from its fields; `nil` if there is no such time. A leap second counts as the one before it.
    package init?(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        guard (0...9999).contains(year), (1...12).contains(month), (0...23).contains(hour), (0...59).contains(minute),
            (0...60).contains(second)
        else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...lengths[month - 1]).contains(day) else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
        (self.hour, self.minute, self.second) = (hour, minute, min(second, 59))
    }

    /// The time at which the second begins.
    package var date: Date {
        let monthFromMarch = (month + 9) % 12
        let shiftedYear = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = shiftedYear.quotientAndRemainder(flooringBy: 400)
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return Date(timeIntervalSince1970: Double(days * 86_400 + hour * 3600 + minute * 60 + second))
    }

    /// `20260102T030405Z`, as in `X-Amz-Date`.
    package var basic: String { "\(basicDay)T\(padded(hour))\(padded(minute))\(padded(second))Z" }

    /// `20260102`, as in a credential scope.
    package var basicDay: String { "\(padded(year, 4))\(padded(month))\(padded(day))" }

    /// `2026-01-02T03:04:05Z`, as all SDKs read it.
    package var extended: String {
        "\(padded(year, 4))-\(padded(month))-\(padded(day))T\(padded(hour)):\(padded(minute)):\(padded(second))Z"
    }

    /// `Fri, 02 Jan 2026 03:04:05 GMT`, the date of an HTTP header (RFC 9110 §5.6.7).
    package var http: String {
        let days = Int(date.timeIntervalSince1970).quotientAndRemainder(flooringBy: 86_400).quotient
        let weekday = Self.weekdays[days.quotientAndRemainder(flooringBy: 7).remainder]
        return "\(weekday), \(padded(day)) \(Self.months[month - 1]) \(padded(year, 4)) "
            + "\(padded(hour)):\(padded(minute)):\(padded(second)) GMT"
    }

    /// The names of the days, beginning with that of 1 January 1970.
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Reads ISO 8601: `2026-01-02T03:04:05Z`, with any fraction of a second, which is dropped, and any offset.
    package static func date(fromISO8601 text: String) -> Date? {
        var reader = DigitReader(text)
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), reader.skip("-"),
            let day = reader.number(2), reader.skip("T") || reader.skip("t") || reader.skip(" "),
            let hour = reader.number(2), reader.skip(":"), let minute = reader.number(2), reader.skip(":"),
            let second = reader.number(2),
            let time = CivilTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
        else { return nil }
        if reader.skip(".") || reader.skip(",") {
            guard reader.skipDigits() > 0 else { return nil }
        }
        if reader.skip("Z") || reader.skip("z") { return reader.isAtEnd ? time.date : nil }
        let sign: Int
        if reader.skip("+") { sign = 1 } else if reader.skip("-") { sign = -1 } else { return nil }
        guard let hours = reader.number(2), hours < 24 else { return nil }
        _ = reader.skip(":")
        guard let minutes = reader.number(2), minutes < 60, reader.isAtEnd else { return nil }
        return time.date.addingTimeInterval(Double(-sign * (hours * 3600 + minutes * 60)))
    }

    /// Reads the date of an HTTP header in the one form that is sent today (RFC 9110 §5.6.7):
    /// `Fri, 02 Jan 2026 03:04:05 GMT`.
    package static func date(fromHTTP text: String) -> Date? {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let month = Self.months.firstIndex(of: String(parts[2])) else {
            return nil
        }
        var day = DigitReader(parts[1])
        var year = DigitReader(parts[3])
        var clock = DigitReader(parts[4])
        guard let day = day.number(2), let year = year.number(4), let hour = clock.number(2), clock.skip(":"),
            let minute = clock.number(2), clock.skip(":"), let second = clock.number(2), clock.isAtEnd
        else { return nil }
        return CivilTime(year: year, month: month + 1, day: day, hour: hour, minute: minute, second: second)?.date
    }
}

private func padded(_ number: Int, _ width: Int = 2) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}

/// Reads fixed-width numbers out of ASCII.
private struct DigitReader {
    private var rest: Substring.UTF8View

    init(_ text: some StringProtocol) { rest = Substring(text).utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number(_ width: Int) -> Int? {
        var number = 0
        guard rest.count >= width else { return nil }
        for octet in rest.prefix(width) {
            guard (0x30...0x39).contains(octet) else { return nil }
            number = number * 10 + Int(octet - 0x30)
        }
        rest = rest.dropFirst(width)
        return number
    }

    mutating func skip(_ separator: Unicode.Scalar) -> Bool {
        guard let octet = rest.first, UInt32(octet) == separator.value else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func skipDigits() -> Int {
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        rest = rest.dropFirst(digits.count)
        return digits.count
    }
}

extension Int {
    fileprivate func quotientAndRemainder(flooringBy divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
