// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Keys and certificates as variables, shells and secret stores give them: PEM on one line, with `\n` for its line ends
/// or in quotes, and base64 of PEM, DER or PKCS#12. A text whose `BEGIN` lines are on lines of their own is left as it
/// is, so that PEM is parsed no less strictly.
enum WrappedText {
    /// The largest file that is looked at: base64 of the largest that is read.
    private static let limit = 8 << 20

    /// Returns what the reader of PEM and DER expects.
    static func unwrapped(_ file: SecretBytes) -> SecretBytes {
        guard (2...limit).contains(file.count), file.first != DER.sequence else { return file }
        if let lines = separated(file) { return lines }
        guard let decoded = decoded(file) else { return file }
        if decoded.first == DER.sequence { return decoded }
        return holdsObject(decoded) ? separated(decoded) ?? decoded : file
    }

    /// The same for what is no secret.
    static func unwrapped(_ file: [UInt8]) -> [UInt8] {
        // What most files are costs no copy.
        if file.first == DER.sequence || file.starts(with: "-----BEGIN CERTIFICATE-----\n".utf8) { return file }
        let contents = SecretBytes(file)
        let result = unwrapped(contents)
        return result === contents ? file : result.array
    }

    // MARK: - Lines

    /// A PEM text with every object on lines of its own; `nil` when it has no object, or they are so already.
    private static func separated(_ file: SecretBytes) -> SecretBytes? {
        guard holdsObject(file) else { return nil }
        var hasChanged = false
        let result = unsafe SecretBytes(capacity: 2 * file.count + 16) { buffer in
            unsafe file.withUnsafeBytes { bytes in
                var output = unsafe Output(buffer: buffer)
                let (text, isQuoted) = unsafe content(of: bytes)
                hasChanged = isQuoted
                let isAlone = unsafe !bytes[text].contains(where: isLineEnd)
                var start = text.lowerBound
                while start < text.upperBound {
                    let end = unsafe bytes[start..<text.upperBound].firstIndex(where: isLineEnd) ?? text.upperBound
                    let line = start..<end
                    if unsafe writeEscaped(bytes, line, isAlone: isAlone, &output)
                        || writeObjects(bytes, line, &output)
                    {
                        hasChanged = true
                    } else {
                        unsafe output.write(bytes[line])
                    }
                    // The line's own end, whatever it is.
                    if end < text.upperBound { unsafe output.write(bytes[end]) }
                    start = end + 1
                }
                return output.count
            }
        }
        return hasChanged ? result : nil
    }

    /// Writes a line with `\n` for line ends, which must begin with an object unless it is the only line.
    private static func writeEscaped(
        _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, isAlone: Bool, _ output: inout Output
    ) -> Bool {
        let start = unsafe bytes[line].firstIndex { !isBlank($0) } ?? line.upperBound
        let beginsObject = unsafe bytes[start..<line.upperBound].starts(with: begin)
        guard isAlone || beginsObject, unsafe escape(bytes, line, from: nil) != nil else { return false }
        var index = line.lowerBound
        while let found = unsafe escape(bytes, line, from: index) {
            unsafe output.write(bytes[index..<found.lowerBound])
            // JSON may write `\/`.
            let last = unsafe bytes[found.upperBound - 1]
            output.write(last == UInt8(ascii: "/") ? last : 0x0a)
            index = found.upperBound
        }
        unsafe output.write(bytes[index..<line.upperBound])
        return true
    }

    /// The next backslashes followed by a letter that means a line end. Without a start, a `\/` does not count.
    private static func escape(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, from start: Int?) -> Range<Int>? {
        var index = start ?? line.lowerBound
        while index < line.upperBound {
            guard unsafe bytes[index] == backslash else {
                index += 1
                continue
            }
            let end = unsafe bytes[index..<line.upperBound].firstIndex { $0 != backslash } ?? line.upperBound
            guard end < line.upperBound else { return nil }
            switch unsafe bytes[end] {
            case UInt8(ascii: "n"), UInt8(ascii: "r"): return index..<(end + 1)
            case UInt8(ascii: "/") where start != nil: return index..<(end + 1)
            default: index = end
            }
        }
        return nil
    }

    /// Writes a line that is whole objects, with blanks between them and inside at most.
    private static func writeObjects(
        _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>, _ output: inout Output
    ) -> Bool {
        var objects: [(begin: Range<Int>, body: Range<Int>, end: Range<Int>)] = []
        var rest = unsafe bytes[line].drop(while: isBlank)
        while unsafe !rest.isEmpty {
            guard let opening = unsafe PEMLabel.boundary(begin, atStartOf: rest) else { return false }
            let body = opening.line.upperBound
            guard let dashes = unsafe index(of: end, in: bytes, body..<line.upperBound),
                let closing = unsafe PEMLabel.boundary(end, atStartOf: bytes[dashes..<line.upperBound]),
                unsafe bytes[opening.label].elementsEqual(bytes[closing.label])
            else { return false }
            objects.append((opening.line, body..<dashes, closing.line))
            unsafe rest = unsafe bytes[closing.line.upperBound..<line.upperBound].drop(while: isBlank)
        }
        for object in objects {
            unsafe output.writeLine(bytes[object.begin])
            var isHeader = false
            for part in unsafe bytes[object.body].split(whereSeparator: isBlank).map({ unsafe $0.indices }) {
                let word = unsafe bytes[part]
                // `Proc-Type: 4,ENCRYPTED DEK-Info: AES-256-CBC,…`: a header is two words.
                if isHeader { output.write(UInt8(ascii: " ")) }
                isHeader = unsafe !isHeader && word.last == UInt8(ascii: ":")
                if isHeader { unsafe output.write(word) } else { unsafe output.writeLine(word) }
            }
            unsafe output.writeLine(bytes[object.end])
        }
        return !objects.isEmpty
    }

    // MARK: - Base64

    /// Decodes base64 in the standard or the URL alphabet (RFC 4648 §4, §5), with or without padding; `nil` if it is not
    /// that.
    private static func decoded(_ file: SecretBytes) -> SecretBytes? {
        var isWhole = false
        let result = unsafe SecretBytes(capacity: file.count / 4 * 3 + 3) { buffer in
            unsafe file.withUnsafeBytes { bytes in
                var decoder = unsafe Base64Decoder(into: buffer)
                var (hasStandard, hasURL) = (false, false)
                var isEscaped = false
                for index in unsafe content(of: bytes).text {
                    let byte = unsafe bytes[index]
                    if isBlank(byte) || isLineEnd(byte) { continue }
                    if byte == backslash {
                        isEscaped = true
                        continue
                    }
                    if isEscaped, byte == UInt8(ascii: "n") || byte == UInt8(ascii: "r") {
                        isEscaped = false
                        continue
                    }
                    guard !isEscaped || byte == UInt8(ascii: "/") else { return 0 }
                    isEscaped = false
                    var digit = byte
                    switch byte {
                    case UInt8(ascii: "-"): (digit, hasURL) = (UInt8(ascii: "+"), true)
                    case UInt8(ascii: "_"): (digit, hasURL) = (UInt8(ascii: "/"), true)
                    case UInt8(ascii: "+"), UInt8(ascii: "/"): hasStandard = true
                    default: break
                    }
                    guard decoder.take(digit), !(hasStandard && hasURL) else { return 0 }
                }
                isWhole = decoder.finish(isPadded: false)
                return decoder.count
            }
        }
        return isWhole ? result : nil
    }

    // MARK: - Bytes

    private static let begin = Array("-----BEGIN ".utf8)
    private static let end = Array("-----END ".utf8)
    private static let backslash = UInt8(ascii: "\\")

    /// The text without a byte-order mark, blanks and quotation marks around it.
    private static func content(of bytes: UnsafeRawBufferPointer) -> (text: Range<Int>, isQuoted: Bool) {
        let mark = unsafe bytes.starts(with: [0xef, 0xbb, 0xbf]) ? 3 : 0
        let whole = unsafe trimmed(bytes, mark..<bytes.count)
        guard whole.count >= 2, let first = unsafe bytes[whole].first, let last = unsafe bytes[whole].last,
            first == last, first == UInt8(ascii: "\"") || first == UInt8(ascii: "'")
        else { return (whole, false) }
        return unsafe (trimmed(bytes, (whole.lowerBound + 1)..<(whole.upperBound - 1)), true)
    }

    private static func trimmed(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int> {
        func isSpace(_ byte: UInt8) -> Bool { isBlank(byte) || isLineEnd(byte) }
        guard let first = unsafe bytes[range].firstIndex(where: { !isSpace($0) }),
            let last = unsafe bytes[range].lastIndex(where: { !isSpace($0) })
        else { return range.lowerBound..<range.lowerBound }
        return first..<(last + 1)
    }

    /// The number of the first line with the beginning of a PEM object, from 1, and its length; `nil` if there is none.
    static func firstLineWithObject(of file: SecretBytes) -> (number: Int, count: Int)? {
        unsafe file.withUnsafeBytes { bytes in
            guard let place = unsafe index(of: begin, in: bytes, 0..<bytes.count) else { return nil }
            let start = unsafe bytes[..<place].lastIndex(where: isLineEnd).map { $0 + 1 } ?? 0
            let end = unsafe bytes[place...].firstIndex(where: isLineEnd) ?? bytes.count
            let lineFeeds = unsafe bytes[..<start].count { $0 == 0x0a }
            return (lineFeeds + 1, end - start)
        }
    }

    private static func holdsObject(_ file: SecretBytes) -> Bool {
        unsafe file.withUnsafeBytes { bytes in unsafe index(of: begin, in: bytes, 0..<bytes.count) != nil }
    }

    private static func index(of text: [UInt8], in bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int? {
        var index = range.lowerBound
        while index + text.count <= range.upperBound {
            if unsafe bytes[index] == text[0], unsafe bytes[index..<(index + text.count)].elementsEqual(text) {
                return index
            }
            index += 1
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    private static func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0a || byte == 0x0d }
}

/// Writes into the place of a secret, and never past its end.
@safe private struct Output {
    // SAFETY: the owner of the place keeps it as long as it uses this value.
    let buffer: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(buffer: UnsafeMutableBufferPointer<UInt8>) { unsafe self.buffer = unsafe buffer }

    mutating func write(_ byte: UInt8) {
        guard unsafe count < buffer.count else { return }
        unsafe buffer[count] = byte
        count += 1
    }

    mutating func write(_ bytes: Slice<UnsafeRawBufferPointer>) {
        for index in unsafe bytes.indices { write(unsafe bytes[index]) }
    }

    mutating func writeLine(_ bytes: Slice<UnsafeRawBufferPointer>) {
        unsafe write(bytes)
        write(0x0a)
    }
}

/// Decodes base64 (RFC 4648 §4) that arrives in pieces into the caller's memory, so that a private key has no copy that
/// is not wiped.
@safe struct Base64Decoder {
    // SAFETY: the owner of the place keeps it as long as it uses this value.
    private let output: UnsafeMutableBufferPointer<UInt8>
    private var bits: UInt32 = 0
    private var digits = 0
    private var padding = 0

    private(set) var count = 0

    init(into output: UnsafeMutableBufferPointer<UInt8>) { unsafe self.output = unsafe output }

    mutating func take(_ character: UInt8) -> Bool {
        if character == UInt8(ascii: "=") {
            padding += 1
            return digits & 3 >= 2 && padding <= 2
        }
        guard padding == 0, let value = Self.value(of: character) else { return false }
        bits = bits << 6 | UInt32(value)
        digits += 1
        return digits & 3 != 0 || write(3)
    }

    /// Writes the last, incomplete group; returns `false` if the number of digits or the padding is wrong.
    mutating func finish(isPadded: Bool = true) -> Bool {
        let missing = (4 - digits & 3) & 3
        switch (digits & 3, isPadded || padding > 0 ? padding : missing) {
        case (0, 0): return true
        case (2, 2):
            bits <<= 12
            return write(1)
        case (3, 1):
            bits <<= 6
            return write(2)
        default: return false
        }
    }

    private mutating func write(_ octets: Int) -> Bool {
        guard unsafe count + octets <= output.count else { return false }
        for octet in 0..<octets {
            unsafe output[count] = UInt8(truncatingIfNeeded: bits >> (16 - 8 * UInt32(octet)))
            count += 1
        }
        bits = 0
        return true
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
