// SPDX-License-Identifier: Apache-2.0

/// What stands between `BEGIN` and the dashes (RFC 7468 §3), where a damaged file may have anything, a key among others.
enum PEMLabel {
    /// What an object is called whose label is none.
    static let unnamed = "a PEM object"

    /// Whether bytes are the label of something: capitals, digits and blanks, few and in short words, so that they cannot be
    /// part of a key.
    static func isPlain(_ bytes: some Collection<UInt8>) -> Bool {
        guard (1...40).contains(bytes.count) else { return false }
        let words = bytes.split(separator: 0x20, omittingEmptySubsequences: false)
        return words.allSatisfy { word in
            // CERTIFICATE has eleven letters; `PKCS #7 SIGNED DATA` is one too.
            (1...11).contains(word.count)
                && word.allSatisfy { (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x23 }
        }
    }

    /// A boundary such as `-----BEGIN CERTIFICATE-----` at the start of bytes, whatever follows it.
    ///
    /// - Parameters:
    ///   - prefix: `-----BEGIN ` or `-----END `.
    ///   - bytes: The bytes.
    /// - Returns: Where the boundary and its label are; `nil` when there is none with a plain label.
    static func boundary(
        _ prefix: [UInt8],
        atStartOf bytes: Slice<UnsafeRawBufferPointer>
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
