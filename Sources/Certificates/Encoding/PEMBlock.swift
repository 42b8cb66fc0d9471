// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// One object of a PEM text whose contents may be secret.
struct PEMBlock {
    /// What stands between `BEGIN` and the dashes.
    let label: String

    /// The lines of the kind `Name: value` before the data (RFC 1421), each with its continuations.
    let headers: [String]

    /// The decoded bytes.
    let contents: SecretBytes

    /// Reads every object of a text; see ``PEMDocument/documents(in:)``.
    static func blocks(in text: UnsafeRawBufferPointer) throws(CertificateError) -> [PEMBlock] {
        var blocks: [PEMBlock] = []
        var label: String?
        var headers: [String] = []
        var inHeader = false
        var data: [Range<Int>] = []
        for line in unsafe Lines(text: text) {
            let content = line.content
            if let begun = unsafe boundary("BEGIN", content, of: text) {
                if let label {
                    throw CertificateError(.malformed, "the PEM object \"\(label)\" has no END line")
                }
                (label, headers, inHeader, data) = (begun, [], false, [])
            } else if let ended = unsafe boundary("END", content, of: text) {
                guard let open = label else { continue }
                guard ended == open else {
                    throw CertificateError(.malformed, "the PEM object \"\(open)\" ends as \"\(ended)\"")
                }
                let contents = try unsafe decode(data, of: text, label: open)
                blocks.append(PEMBlock(label: open, headers: headers, contents: contents))
                label = nil
            } else if label != nil, !content.isEmpty {
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
        if let label { throw CertificateError(.malformed, "the PEM object \"\(label)\" has no END line") }
        return blocks
    }

    private static func decode(
        _ lines: [Range<Int>],
        of text: UnsafeRawBufferPointer,
        label: String
    ) throws(CertificateError) -> SecretBytes {
        let digits = lines.reduce(0) { $0 + $1.count }
        return try unsafe SecretBytes(capacity: digits / 4 * 3 + 3) { (output) throws(CertificateError) in
            var decoder = unsafe Base64Decoder(into: output)
            var isValid = true
            for line in lines {
                for index in line where isValid { isValid = unsafe decoder.take(text[index]) }
            }
            guard isValid, decoder.finish() else {
                throw CertificateError(.malformed, "the PEM object \"\(label)\" is not valid base64")
            }
            return decoder.count
        }
    }

    /// The label of a line such as `-----BEGIN CERTIFICATE-----`.
    private static func boundary(
        _ kind: StaticString,
        _ line: Range<Int>,
        of text: UnsafeRawBufferPointer
    ) -> String? {
        let (dashes, prefix) = (Array("-----".utf8), Array("-----\(kind) ".utf8))
        guard line.count > prefix.count + dashes.count, unsafe text[line].starts(with: prefix),
            unsafe text[line].suffix(dashes.count).elementsEqual(dashes)
        else { return nil }
        return unsafe String(decoding: text[line].dropFirst(prefix.count).dropLast(dashes.count), as: UTF8.self)
    }
}

/// The lines of a text, which end in CRLF, CR or LF.
@safe private struct Lines: Sequence, IteratorProtocol {
    /// A line without blanks around it and without a byte-order mark.
    struct Line {
        var content: Range<Int>
        var isIndented: Bool
    }

    private let text: UnsafeRawBufferPointer
    private var position = 0

    init(text: UnsafeRawBufferPointer) { unsafe self.text = unsafe text }

    mutating func next() -> Line? {
        while unsafe position < text.count, unsafe isLineEnd(text[position]) { position += 1 }
        guard unsafe position < text.count else { return nil }
        var start = position
        while unsafe position < text.count, unsafe !isLineEnd(text[position]) { position += 1 }
        var end = position
        if unsafe text[start..<end].starts(with: [0xef, 0xbb, 0xbf]) { start += 3 }
        let beginning = start
        while start < end, unsafe isBlank(text[start]) { start += 1 }
        while start < end, unsafe isBlank(text[end - 1]) { end -= 1 }
        return Line(content: start..<end, isIndented: start > beginning)
    }

    private func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0a || byte == 0x0d }
    private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
