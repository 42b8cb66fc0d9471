// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@Suite struct PEMDocumentTests {
    static let plain = "-----BEGIN THING-----\nAQIDBA==\n-----END THING-----\n"

    @Test(arguments: [
        plain,
        plain.replacing("\n", with: "\r\n"),
        plain.replacing("\n", with: "\r"),
        String(plain.dropLast()),
        "Bag Attributes\n    friendlyName: x\nsubject=CN = a: b\n" + plain,
        "\u{FEFF}" + plain,
        plain.replacing("AQIDBA==", with: "  AQID\n\n\tBA==  "),
        plain.replacing("-----\n", with: "-----  \n"),
        plain + "trailing text without end",
    ])
    func `every mess that editors and tools make of a PEM text is read`(text: String) throws {
        let documents = try PEMDocument.documents(in: text.utf8)
        #expect(documents.map(\.label) == ["THING"])
        #expect(documents.map(\.bytes) == [[1, 2, 3, 4]])
        #expect(documents.map(\.hasHeaders) == [false])
    }

    @Test func `several objects are read in their order`() throws {
        let text = Self.plain + Self.plain.replacing("THING", with: "OTHER")
        #expect(try PEMDocument.documents(in: text.utf8).map(\.label) == ["THING", "OTHER"])
    }

    @Test func `a text without objects has none`() throws {
        #expect(try PEMDocument.documents(in: "hello\nworld".utf8).isEmpty)
        #expect(try PEMDocument.documents(in: "".utf8).isEmpty)
    }

    @Test func `headers of an encrypted object are seen and not taken for data`() throws {
        let text = Self.plain.replacing(
            "AQIDBA==", with: "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,\n 0011\n\nAQIDBA==")
        let document = try #require(try PEMDocument.documents(in: text.utf8).first)
        #expect(document.hasHeaders)
        #expect(document.bytes == [1, 2, 3, 4])
    }

    @Test(arguments: [
        "-----BEGIN THING-----\nAQIDBA==\n",
        "-----BEGIN THING-----\nAQIDBA==\n-----END OTHER-----\n",
        "-----BEGIN THING-----\nAQI!DBA==\n-----END THING-----\n",
        "-----BEGIN THING-----\nAQID\n-----BEGIN THING-----\nAQID\n-----END THING-----\n",
    ])
    func `a damaged object is an error and not silently left out`(text: String) {
        #expect { try PEMDocument.documents(in: text.utf8) } throws: { error in
            (error as? CertificateError)?.code == .malformed && "\(error)".contains("THING")
        }
    }

    @Test(arguments: [0, 1, 47, 48, 49, 1000])
    func `what is written is read back`(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let text = PEMDocument(label: "THING", bytes: bytes).text
        #expect(try PEMDocument.documents(in: text.utf8).first?.bytes == bytes)
        #expect(text.split(separator: "\n").allSatisfy { $0.utf8.count <= 64 })
        #expect(text.hasSuffix("-----END THING-----\n"))
    }
}
