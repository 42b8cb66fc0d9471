// SPDX-License-Identifier: Apache-2.0

import Certificates
import Testing

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
