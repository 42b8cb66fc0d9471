// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// One object of a PEM text (RFC 7468): a label and bytes.
public struct PEMDocument: Hashable, Sendable {
    /// What stands between `BEGIN` and the dashes: `CERTIFICATE`, `PRIVATE KEY`, …
    public let label: String

    /// The decoded bytes, usually DER.
    public let bytes: [UInt8]

    /// Whether lines of the kind `Name: value` stood before the data, as in keys encrypted after RFC 1421.
    public let hasHeaders: Bool

    /// Makes an object to be written.
    ///
    /// - Parameters:
    ///   - label: The label, in capitals.
    ///   - bytes: The bytes to encode.
    public init(label: String, bytes: [UInt8]) {
        self.label = label
        self.bytes = bytes
        hasHeaders = false
    }

    private init(label: String, bytes: [UInt8], hasHeaders: Bool) {
        self.label = label
        self.bytes = bytes
        self.hasHeaders = hasHeaders
    }

    /// The text form, in lines of 64 characters, ending in a newline.
    public var text: String {
        let base64 = Data(bytes).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN \(label)-----\n\(base64)\n-----END \(label)-----\n"
    }

    /// Reads every object of a text, in order.
    ///
    /// Text before, between and after the objects is passed over; lines may end in CRLF, CR or LF; the last newline may
    /// be missing; a byte-order mark and blanks around lines are allowed.
    ///
    /// - Parameter text: The contents of a file.
    /// - Returns: The objects; none when the text holds none.
    /// - Throws: ``CertificateError`` when an object has no end, the wrong end, or data that is not base64.
    public static func documents(in text: some Sequence<UInt8>) throws(CertificateError) -> [PEMDocument] {
        var documents: [PEMDocument] = []
        var label: String?
        var base64: [UInt8] = []
        var hasHeaders = false
        var inHeader = false
        for slice in Array(text).split(whereSeparator: { $0 == 0x0a || $0 == 0x0d }) {
            let line = trimmed(slice)
            if let begun = boundary("BEGIN", of: line) {
                if let label {
                    throw CertificateError(.malformed, "the PEM object \"\(label)\" has no END line")
                }
                (label, base64, hasHeaders, inHeader) = (begun, [], false, false)
            } else if let ended = boundary("END", of: line) {
                guard let open = label else { continue }
                guard ended == open else {
                    throw CertificateError(.malformed, "the PEM object \"\(open)\" ends as \"\(ended)\"")
                }
                guard let data = Data(base64Encoded: Data(base64)) else {
                    throw CertificateError(.malformed, "the PEM object \"\(open)\" is not valid base64")
                }
                documents.append(PEMDocument(label: open, bytes: Array(data), hasHeaders: hasHeaders))
                label = nil
            } else if label != nil {
                // Header lines hold a colon, which base64 never does; their continuations begin with a blank.
                let continuesHeader = inHeader && (slice.first == 0x20 || slice.first == 0x09)
                inHeader = line.contains(UInt8(ascii: ":")) || continuesHeader
                if inHeader { hasHeaders = true } else { base64 += line }
            }
        }
        if let label { throw CertificateError(.malformed, "the PEM object \"\(label)\" has no END line") }
        return documents
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        if line.starts(with: [0xef, 0xbb, 0xbf]) { line = line.dropFirst(3) }
        line = line.drop { $0 == 0x20 || $0 == 0x09 }
        while line.last == 0x20 || line.last == 0x09 { line = line.dropLast() }
        return line
    }

    private static func boundary(_ kind: String, of line: ArraySlice<UInt8>) -> String? {
        let prefix = Array("-----\(kind) ".utf8)
        let suffix = Array("-----".utf8)
        guard line.count > prefix.count + suffix.count, line.starts(with: prefix), line.suffix(5).elementsEqual(suffix)
        else { return nil }
        return String(decoding: line.dropFirst(prefix.count).dropLast(suffix.count), as: UTF8.self)
    }
}
