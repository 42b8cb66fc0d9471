// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// The moment at which a request was signed: `YYYYMMDDTHHMMSSZ`, and nothing else.
struct RequestMoment: Equatable {
    /// As received.
    let text: String

    /// The moment.
    let date: Date

    /// The first eight digits, which stand in the scope too.
    var day: Substring { text.prefix(8) }

    /// Reads a moment. There is none when the text has another form or names no moment.
    ///
    /// - Parameter text: The value of `X-Amz-Date`.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 16, bytes[8] == 0x54, bytes[15] == 0x5a,
            (bytes[0..<8] + bytes[9..<15]).allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        func number(_ range: Range<Int>) -> Int { bytes[range].reduce(0) { $0 * 10 + Int($1 - 0x30) } }
        let time = CivilTime(
            year: number(0..<4),
            month: number(4..<6),
            day: number(6..<8),
            hour: number(9..<11),
            minute: number(11..<13),
            second: number(13..<15)
        )
        // The calendar reads a leap second; no clock that signs shows one.
        guard let time, number(13..<15) < 60 else { return nil }
        self.text = text
        date = time.date
    }
}
