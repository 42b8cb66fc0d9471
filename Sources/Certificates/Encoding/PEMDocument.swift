// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import SystemSupport

/// One object of a PEM text (RFC 7468): a label and bytes.
public struct PEMDocument: Hashable, Sendable {
    /// What stands between `BEGIN` and the dashes: `CERTIFICATE`, `PRIVATE KEY`, …; `a PEM object` when what was read has
    /// anything else than few capitals and digits there.
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
    /// be missing; a byte-order mark and blanks around lines are allowed. A text on one line, with `\n` for its line ends, in
    /// quotes or in base64 is read as well.
    ///
    /// - Parameter text: The contents of a file.
    /// - Returns: The objects; none when the text holds none.
    /// - Throws: ``CertificateError`` when an object has no end, the wrong end, or data that is not base64.
    public static func documents(in text: some Sequence<UInt8>) throws(CertificateError) -> [PEMDocument] {
        let bytes = WrappedText.unwrapped(Array(text))
        return try unsafe bytes.withUnsafeBufferPointer { (buffer) throws(CertificateError) in
            let blocks = try unsafe PEMBlock.blocks(in: UnsafeRawBufferPointer(buffer))
            return blocks.map { block in
                let contents = unsafe block.contents.withUnsafeBytes { unsafe Array($0) }
                return PEMDocument(label: block.label, bytes: contents, hasHeaders: !block.headers.isEmpty)
            }
        }
    }
}
