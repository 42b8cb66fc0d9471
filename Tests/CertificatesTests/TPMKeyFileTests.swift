// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

@testable import Certificates

/// Files that a TPM is never asked about.
@Suite struct TPMKeyFileTests {
    /// The parts of a key that can be loaded, by their tags.
    static func file(
        type: String = "2.23.133.10.1.3", emptyAuthorization: [UInt8]? = [0x01, 0x01, 0xff], extra: [[UInt8]] = [],
        area: [UInt8] = [0, 12, 0, 0x23, 0, 0x0b, 0, 0x04, 0, 0x72, 0, 0]
    ) -> [UInt8] {
        DER.sequence(
            [DER.objectIdentifier(type)] + (emptyAuthorization.map { [DER.encode(DER.constructed(0), $0)] } ?? [])
                + extra
                + [
                    DER.unsignedInteger([0x40, 0, 0, 1]), DER.encode(DER.octetString, area),
                    DER.encode(DER.octetString, [1]),
                ]
        )
    }

    static func secret(_ der: [UInt8]) -> SecretBytes {
        SecretBytes(PEMDocument(label: TPMKeyFile.label, bytes: der).text.utf8)
    }

    static func code(_ file: SecretBytes) -> CertificateErrorCode? {
        do {
            _ = try TPMKeyFile(reading: file)
            return nil
        } catch { return error.code }
    }

    @Test func `what the file says of the password and the kind is read`() throws {
        let key = try TPMKeyFile(reading: Self.secret(Self.file()))
        #expect(key.isWithoutPassword && !key.isRSA && key.derEncoded == Self.file())
        for empty: [UInt8]? in [nil, [0x01, 0x01, 0x00], []] {
            #expect(try !TPMKeyFile(reading: Self.secret(Self.file(emptyAuthorization: empty))).isWithoutPassword)
        }
        let rsa = Self.file(area: [0, 12, 0, 0x01, 0, 0x0b, 0, 0x04, 0, 0x72, 0, 0])
        #expect(try TPMKeyFile(reading: Self.secret(rsa)).isRSA)
    }

    @Test func `what cannot be used is told from what cannot be read`() {
        let unsupported = [
            Self.file(type: "2.23.133.10.1.4"), Self.file(type: "2.23.133.10.1.5"),
            Self.file(area: [0, 12, 0, 0x08, 0, 0x0b, 0, 0x04, 0, 0x72, 0, 0]),
            Self.file(area: [0, 12, 0, 0x23, 0, 0x0b, 0, 0x02, 0, 0x72, 0, 0]),
            Self.file(extra: [DER.encode(DER.constructed(1), DER.sequence([]))]),
        ]
        for file in unsupported { #expect(Self.code(Self.secret(file)) == .unsupported) }
        let whole = Self.file()
        for count in 0..<whole.count { #expect(Self.code(Self.secret(Array(whole.prefix(count)))) == .malformed) }
        #expect(Self.code(Self.secret(Self.file(area: [0, 2, 0, 0x23]))) == .malformed)
    }

    @Test func `a file without such a key is not one`() throws {
        let plain = try PrivateKey(generating: .ecP256).pemEncoded()
        let half = SecretBytes("-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n".utf8)
        let reversed = SecretBytes("-----END TSS2 PRIVATE KEY-----\n-----BEGIN TSS2 PRIVATE KEY-----\n".utf8)
        for file in [plain, half, reversed, SecretBytes([])] {
            #expect(!TPMKey.isKeyFile(file))
            #expect(Self.code(file) == .malformed)
        }
    }
}
