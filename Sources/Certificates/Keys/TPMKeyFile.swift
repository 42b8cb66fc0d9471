// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// A key that a TPM has wrapped, as a file keeps it: the ASN.1 of "TPM 2.0 Key Files" (draft-bottomley-tpm2-keys). It is
/// no secret: only the TPM that made it can open it.
struct TPMKeyFile {
    /// The label in PEM.
    static let label = "TSS2 PRIVATE KEY"

    let derEncoded: [UInt8]

    /// Whether the key is used without a password; `false` if the file does not say.
    let isWithoutPassword: Bool

    let isRSA: Bool

    static func isIn(_ file: SecretBytes) -> Bool { range(in: WrappedText.unwrapped(file)) != nil }

    /// Reads the first such key of a text.
    init(reading file: SecretBytes) throws(CertificateError) {
        let file = WrappedText.unwrapped(file)
        guard let range = Self.range(in: file) else {
            throw CertificateError(
                .malformed, "there is no key of a TPM in it",
                hint: "such a key begins with the line -----BEGIN \(Self.label)-----")
        }
        // Only this part: what else the file has may be secret.
        let text = unsafe file.withUnsafeBytes { unsafe Array($0[range]) }
        guard let document = try PEMDocument.documents(in: text).first else { throw Self.malformed }
        try self.init(derEncoded: document.bytes)
    }

    private init(derEncoded: [UInt8]) throws(CertificateError) {
        guard let elements = DER.elements(inSequence: derEncoded), elements.first?.tag == 0x06 else {
            throw Self.malformed
        }
        guard elements[0].contents.elementsEqual(DER.objectIdentifier("2.23.133.10.1.3").dropFirst(2)) else {
            throw CertificateError(
                .unsupported, "the key of a TPM is one to import or a sealed secret, not one to load",
                hint: "import it first: tpm2_import")
        }
        let strings = elements.filter { $0.tag == DER.octetString }.map { Array($0.contents) }
        guard strings.count == 2, strings[0].count >= 10 else { throw Self.malformed }
        // TPM2B_PUBLIC: size, type, the hash of the name, attributes (TPM 2.0 Library, part 2, 12.2.5).
        let area = strings[0]
        guard [[0x00, 0x01], [0x00, 0x23]].contains(area[2..<4]) else {
            throw CertificateError(.unsupported, "the key of a TPM is neither an RSA nor an EC key")
        }
        let attributes = area[6..<10].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard attributes & 1 << 18 != 0 else {
            throw CertificateError(
                .unsupported, "the key of a TPM may not sign: it lacks the attribute sign",
                hint: "make a key for signing: openssl genpkey -provider tpm2 -algorithm EC -pkeyopt group:P-256")
        }
        guard !elements.contains(where: { $0.tag == DER.constructed(1) }) else {
            throw CertificateError(.unsupported, "the key of a TPM can be used under a policy only")
        }
        let emptyAuthorization = elements.first { $0.tag == DER.constructed(0) }
        isWithoutPassword = emptyAuthorization?.contents.last.map { $0 != 0 } ?? false
        isRSA = area[3] == 0x01
        self.derEncoded = derEncoded
    }

    private static var malformed: CertificateError {
        CertificateError(.malformed, "the key of a TPM cannot be read: it is not what its label says")
    }

    /// From the first dash of the first line to the last of the last.
    private static func range(in file: SecretBytes) -> Range<Int>? {
        let begin = Array("-----BEGIN \(label)-----".utf8)
        let end = Array("-----END \(label)-----".utf8)
        return unsafe file.withUnsafeBytes { bytes in
            guard let first = unsafe firstIndex(of: begin, in: bytes, from: 0),
                let last = unsafe firstIndex(of: end, in: bytes, from: first)
            else { return nil }
            return first..<(last + end.count)
        }
    }

    private static func firstIndex(of text: [UInt8], in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        while index + text.count <= bytes.count {
            if unsafe bytes[index..<(index + text.count)].elementsEqual(text) { return index }
            index += 1
        }
        return nil
    }
}
