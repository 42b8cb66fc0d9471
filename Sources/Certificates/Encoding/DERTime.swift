// SPDX-License-Identifier: Apache-2.0

import struct FoundationEssentials.Date
import SystemSupport

extension DER {
    /// A moment as RFC 5280 §4.1.2.5 wants it: UTCTime from 1950 through 2049, GeneralizedTime otherwise.
    ///
    /// - Parameter date: The moment; what is less than a second is dropped.
    /// - Returns: The whole encoding.
    /// - Throws: ``CertificateError`` for a year that has not four digits.
    static func time(_ date: Date) throws(CertificateError) -> [UInt8] {
        var encoded: [UInt8] = []
        try append(time: date, to: &encoded)
        return encoded
    }

    /// Appends a moment in the form of ``time(_:)``.
    static func append(time date: Date, to encoded: inout [UInt8]) throws(CertificateError) {
        let time = try civilTime(date)
        guard (1950...2049).contains(time.year) else {
            append(generalized: time, to: &encoded)
            return
        }
        encoded.append(utcTime)
        encoded.append(13)
        append(clock: time, to: &encoded)
    }

    /// Appends a moment as GeneralizedTime, whatever its year.
    static func append(generalizedTime date: Date, to encoded: inout [UInt8]) throws(CertificateError) {
        append(generalized: try civilTime(date), to: &encoded)
    }

    private static func append(generalized time: CivilTime, to encoded: inout [UInt8]) {
        encoded.append(generalizedTime)
        encoded.append(15)
        append(digits: time.year / 100, to: &encoded)
        append(clock: time, to: &encoded)
    }

    /// The year without its century, and all that follows.
    private static func append(clock time: CivilTime, to encoded: inout [UInt8]) {
        for number in [time.year % 100, time.month, time.day, time.hour, time.minute, time.second] {
            append(digits: number, to: &encoded)
        }
        encoded.append(UInt8(ascii: "Z"))
    }

    private static func append(digits number: Int, to encoded: inout [UInt8]) {
        encoded.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / 10 % 10))
        encoded.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10))
    }

    private static func civilTime(_ date: Date) throws(CertificateError) -> CivilTime {
        // From the year 0 to the last second of 9999.
        guard (-62_167_219_200..<253_402_300_800).contains(date.timeIntervalSince1970) else {
            throw CertificateError(.forbidden, "a time must lie in the years 0 to 9999")
        }
        return CivilTime(date)
    }
}
