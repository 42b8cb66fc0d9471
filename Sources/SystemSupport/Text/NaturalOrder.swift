// SPDX-License-Identifier: Apache-2.0

/// Compares names as people do, with runs of digits as numbers: `node-2` is before `node-10`. Negative if the first one comes
/// first, 0 if neither does.
package func naturalOrder<Bytes: RandomAccessCollection>(_ first: Bytes, _ second: Bytes) -> Int
where Bytes.Element == UInt8, Bytes.Index == Int {
    var (index, other) = (first.startIndex, second.startIndex)
    while index < first.endIndex, other < second.endIndex {
        guard isDigit(first[index]), isDigit(second[other]) else {
            guard first[index] == second[other] else { return Int(first[index]) - Int(second[other]) }
            index += 1
            other += 1
            continue
        }
        let (number, otherNumber) = (digits(first, &index), digits(second, &other))
        guard number.count == otherNumber.count else { return number.count - otherNumber.count }
        for (digit, otherDigit) in zip(number, otherNumber) where digit != otherDigit {
            return Int(digit) - Int(otherDigit)
        }
    }
    return (first.endIndex - index) - (second.endIndex - other)
}

/// The digits at an index without leading zeros, which moves behind them.
private func digits<Bytes: RandomAccessCollection>(_ bytes: Bytes, _ index: inout Int) -> Bytes.SubSequence
where Bytes.Element == UInt8, Bytes.Index == Int {
    while index < bytes.endIndex, bytes[index] == UInt8(ascii: "0") { index += 1 }
    let start = index
    while index < bytes.endIndex, isDigit(bytes[index]) { index += 1 }
    return bytes[start..<index]
}

private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

extension Sequence {
    /// The elements in the natural order of their names.
    package func sortedNaturally(by name: (Element) -> String) -> [Element] {
        map { (Array(name($0).utf8), $0) }.sorted { naturalOrder($0.0, $1.0) < 0 }.map(\.1)
    }
}

extension Sequence<String> {
    /// The names in their natural order.
    package func sortedNaturally() -> [String] { sortedNaturally { $0 } }
}
