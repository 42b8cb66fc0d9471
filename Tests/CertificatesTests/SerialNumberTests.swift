// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Certificates

@Suite struct SerialNumberTests {
    /// Gives the same number for ever.
    struct Constant: RandomNumberGenerator {
        var value: UInt64
        mutating func next() -> UInt64 { value }
    }

    @Test(arguments: [
        ([UInt8](), "0", "00"),
        ([1], "1", "01"),
        ([0, 0, 255], "255", "ff"),
        ([0x3b, 0x9a, 0xca, 0x00], "1000000000", "3b9aca00"),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616", "010000000000000000"),
        (
            [0x7f] + [UInt8](repeating: 0xff, count: 19), "730750818665451459101842416358141509827966271487",
            "7f" + String(repeating: "f", count: 38)
        ),
    ])
    func `a serial number is printed in decimal and in hexadecimal`(
        bytes: [UInt8], decimal: String, hexadecimal: String
    ) {
        #expect(SerialNumber(bytes).decimal == decimal)
        #expect(SerialNumber(bytes).hexadecimal == hexadecimal)
    }

    @Test(arguments: [
        (1, "0201ff", "-1", "-01"), (77, "0201b3", "-77", "-4d"), (128, "020180", "-128", "-80"),
        (129, "0202ff7f", "-129", "-81"), (255, "0202ff01", "-255", "-ff"), (256, "0202ff00", "-256", "-0100"),
        (32768, "02028000", "-32768", "-8000"), (32769, "0203ff7fff", "-32769", "-8001"),
    ])
    func `F10: a negative serial number keeps its sign`(
        magnitude: UInt32, encoded: String, decimal: String, hexadecimal: String
    ) {
        let bytes = (0..<4).reversed().map { UInt8(truncatingIfNeeded: magnitude >> (8 * $0)) }
        let (negative, positive) = (SerialNumber(bytes, isNegative: true), SerialNumber(bytes))
        #expect(SystemSupport.hexadecimal(negative.derEncoded) == encoded)
        #expect(negative.decimal == decimal && negative.hexadecimal == hexadecimal)
        #expect(negative != positive && negative < positive && negative < SerialNumber([]))
        #expect(SerialNumber(stored: negative.stored) == negative && SerialNumber(stored: positive.stored) == positive)
        #expect(negative.integer == nil && positive.integer == Int64(magnitude))
    }

    @Test func `zero has no sign, negative numbers are ordered, and integers have a limit`() {
        #expect(SerialNumber([0], isNegative: true) == SerialNumber([]))
        #expect(SerialNumber([2], isNegative: true) < SerialNumber([1], isNegative: true))
        #expect(SerialNumber([1, 0], isNegative: true) < SerialNumber([2], isNegative: true))
        let largest = [0x7f] + [UInt8](repeating: 0xff, count: 7)
        #expect(SerialNumber(largest).integer == nil)
        #expect(SerialNumber(largest.dropLast() + [0xfe]).integer == Int64.max - 1)
        #expect(SerialNumber([1] + [UInt8](repeating: 0, count: 8)).integer == nil)
    }

    @Test func `a random serial number is positive, fills 159 bits and never repeats`() {
        var generator = SystemRandomNumberGenerator()
        var seen: Set<SerialNumber> = []
        for _ in 0..<1000 {
            let serial = SerialNumber.random(using: &generator)
            #expect(serial.magnitude.count <= 20 && !serial.magnitude.isEmpty)
            #expect(serial.magnitude.count < 20 || serial.magnitude[0] < 0x80)
            #expect(seen.insert(serial).inserted)
        }
        #expect(seen.contains { $0.magnitude.count == 20 && $0.magnitude[0] & 0x40 != 0 })
    }

    @Test func `the highest draw has 159 bits set`() {
        var ones = Constant(value: .max)
        #expect(SerialNumber.random(using: &ones).magnitude == [0x7f] + [UInt8](repeating: 0xff, count: 19))
    }
}
