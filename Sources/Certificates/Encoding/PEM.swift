// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport

/// One object of a PEM text (RFC 7468): a label and bytes.
package struct PEMDocument: Hashable, Sendable {
    /// The text between `BEGIN` and the dashes: `CERTIFICATE`, `PRIVATE KEY`, …; `a PEM object` if it was not a plain
    /// label.
    package let label: String

    package let bytes: [UInt8]

    /// Whether lines of the kind `Name: value` stood before the data, as in keys encrypted after RFC 1421.
    package let hasHeaders: Bool

    package init(label: String, bytes: [UInt8]) {
        self.label = label
        self.bytes = bytes
        hasHeaders = false
    }

    private init(label: String, bytes: [UInt8], hasHeaders: Bool) {
        self.label = label
        self.bytes = bytes
        self.hasHeaders = hasHeaders
    }

    /// The PEM text, in lines of 64 characters, ending in a newline.
    package var text: String {
        let base64 = Data(bytes).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN \(label)-----\n\(base64)\n-----END \(label)-----\n"
    }

    /// Returns every object of a text, in order. Text around the objects is ignored; lines may end in CRLF, CR or LF; the
    /// last newline may be missing; a byte-order mark and blanks around lines are allowed. A text on one line, with `\n`
    /// for its line ends, in quotes or in base64 is read as well.
    package static func documents(in text: some Sequence<UInt8>) throws(CertificateError) -> [PEMDocument] {
        let bytes = WrappedText.unwrapped(Array(text))
        return try unsafe bytes.withUnsafeBufferPointer { (buffer) throws(CertificateError) in
            let blocks = try unsafe PEMBlock.blocks(in: UnsafeRawBufferPointer(buffer))
            return blocks.map { block in
                PEMDocument(label: block.label, bytes: block.contents.array, hasHeaders: !block.headers.isEmpty)
            }
        }
    }
}

/// One object of a PEM text whose contents may be secret.
struct PEMBlock {
    /// The text between `BEGIN` and the dashes; ``PEMLabel/unnamed`` if it is not a plain label.
    let label: String

    /// The lines of the kind `Name: value` before the data (RFC 1421), each with its continuations.
    let headers: [String]

    let contents: SecretBytes

    /// Returns every object of a text; see ``PEMDocument/documents(in:)``. No error repeats anything of the text.
    static func blocks(in text: UnsafeRawBufferPointer) throws(CertificateError) -> [PEMBlock] {
        var blocks: [PEMBlock] = []
        var open: Boundary?
        var headers: [String] = []
        var inHeader = false
        var data: [Range<Int>] = []
        for line in unsafe Lines(text: text) {
            let content = line.content
            if let begun = unsafe Boundary("BEGIN", line, of: text) {
                if let open { throw open.isUnended }
                (open, headers, inHeader, data) = (begun, [], false, [])
            } else if let ended = unsafe Boundary("END", line, of: text) {
                guard let begun = open else { continue }
                guard unsafe text[ended.text].elementsEqual(text[begun.text]) else { throw begun.ends(as: ended) }
                let contents = try unsafe decode(data, of: text, begun)
                blocks.append(PEMBlock(label: begun.label, headers: headers, contents: contents))
                open = nil
            } else if open != nil, !content.isEmpty {
                // Header lines hold a colon, which base64 never does; their continuations begin with a blank.
                let isHeader = unsafe text[content].contains(UInt8(ascii: ":"))
                let continuesHeader = inHeader && line.isIndented
                inHeader = isHeader || continuesHeader
                if isHeader {
                    headers.append(unsafe String(decoding: text[content], as: UTF8.self))
                } else if continuesHeader {
                    headers[headers.count - 1] += unsafe String(decoding: text[content], as: UTF8.self)
                } else {
                    data.append(content)
                }
            }
        }
        if let open { throw open.isUnended }
        return blocks
    }

    private static func decode(
        _ lines: [Range<Int>], of text: UnsafeRawBufferPointer, _ begun: Boundary
    ) throws(CertificateError) -> SecretBytes {
        let digits = lines.reduce(0) { $0 + $1.count }
        return try unsafe SecretBytes(capacity: digits / 4 * 3 + 3) { (output) throws(CertificateError) in
            var decoder = unsafe Base64Decoder(into: output)
            var isValid = true
            for line in lines {
                for index in line where isValid { isValid = unsafe decoder.take(text[index]) }
            }
            guard isValid, decoder.finish() else { throw begun.isNotBase64(digits) }
            return decoder.count
        }
    }
}

/// A line such as `-----BEGIN CERTIFICATE-----`.
private struct Boundary {
    /// The range of the text between `BEGIN` or `END` and the dashes.
    let text: Range<Int>

    /// The same where it is a label; ``PEMLabel/unnamed`` otherwise.
    let label: String

    /// The number of the line, from 1.
    private let line: Int

    init?(_ kind: StaticString, _ line: Line, of bytes: UnsafeRawBufferPointer) {
        let (dashes, prefix) = (Array("-----".utf8), Array("-----\(kind) ".utf8))
        let content = line.content
        guard content.count > prefix.count + dashes.count, unsafe bytes[content].starts(with: prefix),
            unsafe bytes[content].suffix(dashes.count).elementsEqual(dashes)
        else { return nil }
        text = (content.lowerBound + prefix.count)..<(content.upperBound - dashes.count)
        label =
            unsafe PEMLabel.isPlain(bytes[text])
            ? unsafe String(decoding: bytes[text], as: UTF8.self) : PEMLabel.unnamed
        self.line = line.number
    }

    private var isNamed: Bool { label != PEMLabel.unnamed }

    /// The object, as a noun with its line. A label that is not plain is described by its length.
    private var noun: String {
        isNamed
            ? "the PEM object \"\(label)\" in line \(line)"
            : "a PEM object in line \(line), whose label of \(text.count) characters is not plain,"
    }

    var isUnended: CertificateError {
        CertificateError(.malformed, "\(noun) has no END line", hint: Self.hint)
    }

    func ends(as other: Boundary) -> CertificateError {
        let end =
            other.isNamed ? "as \"\(other.label)\"" : "with a label of \(other.text.count) characters that is not plain"
        return CertificateError(.malformed, "\(noun) ends \(end) in line \(other.line)", hint: Self.hint)
    }

    func isNotBase64(_ digits: Int) -> CertificateError {
        CertificateError(.malformed, "\(noun) is not valid base64: it has \(digits) characters", hint: Self.hint)
    }

    private static let hint = "copy the whole object again, from -----BEGIN to the last dashes of the END line"
}

/// A line of a text, without blanks around it and without a byte-order mark.
private struct Line {
    var content: Range<Int>
    var isIndented: Bool
    /// From 1.
    var number: Int
}

/// The lines of a text, which end in CRLF, CR or LF. Empty ones are left out.
@safe private struct Lines: Sequence, IteratorProtocol {
    private let text: UnsafeRawBufferPointer
    private var position = 0
    private var number = 1

    init(text: UnsafeRawBufferPointer) { unsafe self.text = unsafe text }

    mutating func next() -> Line? {
        while unsafe position < text.count, unsafe isLineEnd(text[position]) {
            // The two of CRLF are one.
            let isFirstOfTwo = unsafe text[position] == 0x0d && position + 1 < text.count && text[position + 1] == 0x0a
            if !isFirstOfTwo { number += 1 }
            position += 1
        }
        guard unsafe position < text.count else { return nil }
        var start = position
        while unsafe position < text.count, unsafe !isLineEnd(text[position]) { position += 1 }
        var end = position
        if unsafe text[start..<end].starts(with: [0xef, 0xbb, 0xbf]) { start += 3 }
        let beginning = start
        while start < end, unsafe isBlank(text[start]) { start += 1 }
        while start < end, unsafe isBlank(text[end - 1]) { end -= 1 }
        return Line(content: start..<end, isIndented: start > beginning, number: number)
    }

    private func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0a || byte == 0x0d }
    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}

/// The text between `BEGIN` and the dashes (RFC 7468 §3), where a damaged file may have anything, even a key.
enum PEMLabel {
    /// The name of an object without a plain label.
    static let unnamed = "a PEM object"

    /// Whether bytes are a label: capitals, digits and blanks, few and in short words, so that they cannot be part of a
    /// key.
    static func isPlain(_ bytes: some Collection<UInt8>) -> Bool {
        guard (1...40).contains(bytes.count) else { return false }
        let words = bytes.split(separator: 0x20, omittingEmptySubsequences: false)
        return words.allSatisfy { word in
            // CERTIFICATE has eleven letters; `PKCS #7 SIGNED DATA` is one too.
            (1...11).contains(word.count)
                && word.allSatisfy { (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x23 }
        }
    }

    /// Finds a boundary such as `-----BEGIN CERTIFICATE-----` at the start of bytes; `nil` if there is none with a plain
    /// label.
    static func boundary(
        _ prefix: [UInt8], atStartOf bytes: Slice<UnsafeRawBufferPointer>
    ) -> (line: Range<Int>, label: Range<Int>)? {
        guard unsafe bytes.starts(with: prefix) else { return nil }
        let start = unsafe bytes.startIndex + prefix.count
        let dash = UInt8(ascii: "-")
        guard let end = unsafe bytes[start...].firstIndex(of: dash), unsafe isPlain(bytes[start..<end]),
            unsafe bytes[end...].prefix(5).elementsEqual(repeatElement(dash, count: 5))
        else { return nil }
        return (unsafe bytes.startIndex..<(end + 5), start..<end)
    }
}
