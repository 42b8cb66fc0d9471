// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// One object of a PEM text whose contents may be secret.
struct PEMBlock {
    /// What stands between `BEGIN` and the dashes; ``PEMLabel/unnamed`` where that is no label.
    let label: String

    /// The lines of the kind `Name: value` before the data (RFC 1421), each with its continuations.
    let headers: [String]

    /// The decoded bytes.
    let contents: SecretBytes

    /// Reads every object of a text; see ``PEMDocument/documents(in:)``. No error repeats what stands in the text.
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
        _ lines: [Range<Int>],
        of text: UnsafeRawBufferPointer,
        _ begun: Boundary
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
    /// What stands between `BEGIN` or `END` and the dashes, whatever it is.
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

    /// The object, as a noun with its place. What is no label is told by its length.
    private var noun: String {
        isNamed
            ? "the PEM object \"\(label)\" in line \(line)"
            : "a PEM object in line \(line), whose label of \(text.count) characters is none,"
    }

    var isUnended: CertificateError {
        CertificateError(.malformed, "\(noun) has no END line", hint: Self.hint)
    }

    func ends(as other: Boundary) -> CertificateError {
        let end =
            other.isNamed ? "as \"\(other.label)\"" : "with a label of \(other.text.count) characters that is none"
        return CertificateError(.malformed, "\(noun) ends \(end) in line \(other.line)", hint: Self.hint)
    }

    func isNotBase64(_ digits: Int) -> CertificateError {
        CertificateError(.malformed, "\(noun) is not valid base64: it has \(digits) characters", hint: Self.hint)
    }

    private static let hint = "copy the object again, whole: from -----BEGIN to the dashes behind END"
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
