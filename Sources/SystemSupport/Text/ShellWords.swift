// SPDX-License-Identifier: Apache-2.0

/// The words of a text as Python's `shlex.split` and, for what both take literally, a POSIX shell read it; nothing is expanded.
/// `nil` when a quotation mark is not closed or nothing follows a backslash.
package func shellWords(_ text: some Sequence<UInt8>) -> [[UInt8]]? {
    let (apostrophe, quotationMark, backslash) = (UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "\\"))
    var words: [[UInt8]] = []
    var isInWord = false
    var quote: UInt8?
    var rest = text.makeIterator()
    func append(_ bytes: UInt8...) {
        if !isInWord { words.append([]) }
        isInWord = true
        words[words.count - 1] += bytes
    }
    while let byte = rest.next() {
        switch (byte, quote) {
        case (apostrophe, nil), (quotationMark, nil):
            if !isInWord { words.append([]) }
            isInWord = true
            quote = byte
        case (_, byte): quote = nil
        case (backslash, nil):
            guard let next = rest.next() else { return nil }
            append(next)
        case (backslash, quotationMark):
            guard let next = rest.next() else { return nil }
            if next == quotationMark || next == backslash { append(next) } else { append(backslash, next) }
        case (0x20, nil), (0x09, nil), (0x0a, nil), (0x0d, nil): isInWord = false
        default: append(byte)
        }
    }
    return quote == nil ? words : nil
}
