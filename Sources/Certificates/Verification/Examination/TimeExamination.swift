// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension FindingList {
    /// Examines how a moment is written.
    ///
    /// - Parameters:
    ///   - time: A UTCTime or a GeneralizedTime.
    ///   - name: What the moment is: `notBefore`.
    mutating func examine(time: DER.Element, _ name: String) {
        let text = String(decoding: time.contents, as: UTF8.self)
        let shown = printable(text, limit: 40)
        let yearDigits = time.tag == DER.generalizedTime ? 4 : 2
        if time.tag == DER.generalizedTime {
            if let year = Int(text.prefix(4)), year < 2050 {
                add(TimeRule.form, "has \(name) as GeneralizedTime (\(shown)), and it is before 2050")
            }
            if text.contains(".") || text.contains(",") {
                add(TimeRule.fraction, "has \(name) with a fraction of a second (\(shown))")
            }
        }
        if time.contents.last != UInt8(ascii: "Z") {
            add(TimeRule.zone, "has \(name) with an offset from UTC (\(shown))")
        }
        // Year, month, day, hour, minute and second, two digits each but for the year.
        if text.prefix(while: \.isNumber).count < yearDigits + 10 {
            add(TimeRule.seconds, "has \(name) without seconds (\(shown))")
        }
    }
}
