// SPDX-License-Identifier: Apache-2.0

/// Compares names as people do, with runs of digits as numbers: `node-2` is before `node-10`. Negative if the first one comes
/// first, 0 if neither does.
package func naturalOrder(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>) -> Int {
    var (index, other) = (first.startIndex, second.startIndex)
    while index < first.endIndex, other < second.endIndex {
        guard isDigit(first[index]), isDigit(second[other]) else {
            guard first[index] == second[other] else { return Int(first[index]) - Int(second[other]) }
            index += 1
            other += 1
            continue
        }
        let (end, otherEnd) = (endOfDigits(first, &index), endOfDigits(second, &other))
        guard end - index == otherEnd - other else { return (end - index) - (otherEnd - other) }
        while index < end {
            guard first[index] == second[other] else { return Int(first[index]) - Int(second[other]) }
            index += 1
            other += 1
        }
    }
    return (first.endIndex - index) - (second.endIndex - other)
}

/// The end of the digits at an index, which moves behind leading zeros.
private func endOfDigits(_ bytes: ArraySlice<UInt8>, _ index: inout Int) -> Int {
    while index < bytes.endIndex, bytes[index] == UInt8(ascii: "0") { index += 1 }
    var end = index
    while end < bytes.endIndex, isDigit(bytes[end]) { end += 1 }
    return end
}

private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

extension Sequence {
    /// The elements in the natural order of their names.
    package func sortedNaturally(by name: (Element) -> String) -> [Element] {
        map { (Array(name($0).utf8), $0) }.sorted { naturalOrder($0.0[...], $1.0[...]) < 0 }.map(\.1)
    }
}

extension Sequence<String> {
    /// The names in their natural order.
    package func sortedNaturally() -> [String] { sortedNaturally { $0 } }
}
