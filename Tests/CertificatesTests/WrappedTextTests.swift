// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

/// D2: the shapes in which variables, shells and secret stores hand over keys and certificates.
@Suite struct WrappedTextTests {
    /// How a text or its bytes are wrapped.
    struct Shape: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let wrap: @Sendable (String) -> String

        init(_ name: String, _ wrap: @escaping @Sendable (String) -> String) {
            (testDescription, self.wrap) = (name, wrap)
        }
    }

    static let shapes: [Shape] = [
        Shape("blanks for line ends") { $0.replacing("\n", with: " ") },
        Shape("no line ends") { $0.replacing("\n", with: "") },
        Shape("tabs for line ends") { "\t" + $0.replacing("\n", with: "\t") },
        Shape(#"\n for line ends"#) { $0.replacing("\n", with: #"\n"#) },
        Shape(#"\r\n for line ends"#) { $0.replacing("\n", with: #"\r\n"#) },
        Shape(#"\\n for line ends"#) { $0.replacing("\n", with: #"\\n"#) },
        Shape(#"a JSON string"#) { "\"" + $0.replacing("\n", with: #"\n"#).replacing("/", with: #"\/"#) + "\"\n" },
        Shape("double quotation marks") { "\"\($0)\"" },
        Shape("single quotation marks") { "'\($0)'\n" },
        Shape("one line in quotation marks") { "'" + $0.replacing("\n", with: " ") + "'" },
        Shape("base64") { base64($0) },
        Shape("base64 in lines") { lines(base64($0)) + "\n" },
        Shape("base64 in quotation marks") { "\"\(base64($0))\"" },
        Shape("base64 without padding") { base64($0).replacing("=", with: "") },
        Shape("base64 for URLs") { base64($0).replacing("+", with: "-").replacing("/", with: "_") },
        Shape("base64 of one line") { base64($0.replacing("\n", with: " ")) },
        Shape("a byte order mark and one line") { "\u{feff}" + $0.replacing("\n", with: " ") },
    ]

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    private static func lines(_ text: String) -> String {
        stride(from: 0, to: text.utf8.count, by: 76)
            .map { start in String(text.dropFirst(start).prefix(76)) }
            .joined(separator: "\r\n")
    }

    @Test(arguments: shapes)
    func `a key is read in every shape`(shape: Shape) throws {
        for name in ["openssl-ed25519.pem", "openssl-p256-headers-aes256.pem", "python-rsa-pkcs1.pem"] {
            let plain = try Corpus.text(name)
            // RFC 1421's header cannot be told from the data that follows it without anything between.
            if name.contains("headers"), shape.testDescription == "no line ends" { continue }
            let passphrase = name.contains("headers") ? SecretBytes("correct horse battery".utf8) : nil
            let expected = try? PrivateKey(reading: SecretBytes(plain.utf8), passphrase: passphrase)
            let wrapped = SecretBytes(shape.wrap(plain).utf8)
            let key = try Container(reading: wrapped).privateKeys.first
            #expect(key?.form == (try Container(reading: SecretBytes(plain.utf8)).privateKeys.first?.form))
            let read = try? PrivateKey(reading: wrapped, passphrase: passphrase)
            #expect(read?.publicKey == expected?.publicKey)
        }
    }

    @Test(arguments: shapes)
    func `a chain and its key are read in every shape`(shape: Shape) throws {
        let plain = try Corpus.text("openssl-bundle-intermediate-key-leaf.pem")
        let container = try Container(reading: SecretBytes(shape.wrap(plain).utf8))
        #expect(container.certificates.count == 2)
        #expect(container.privateKeys.count == 1)
        #expect(try Certificate.certificates(in: Array(shape.wrap(plain).utf8)) == container.certificates)
    }

    @Test(arguments: shapes)
    func `a request is read in every shape`(shape: Shape) throws {
        let plain = try Corpus.text("python-request.pem")
        let request = try CertificateRequest(reading: Array(plain.utf8), name: "plain")
        #expect(try CertificateRequest(reading: Array(shape.wrap(plain).utf8), name: "plain") == request)
    }

    @Test(arguments: ["openssl-request.der", "certtool-certificate.der", "openssl-ed25519.der", "openssl-no-seal.p12"])
    func `base64 of a binary file is read`(name: String) throws {
        let bytes = try Corpus.bytes(name)
        let plain = try? Container(reading: SecretBytes(bytes))
        for text in [Data(bytes).base64EncodedString(), Self.lines(Data(bytes).base64EncodedString())] {
            let wrapped = try? Container(reading: SecretBytes(text.utf8))
            #expect(wrapped?.form == plain?.form)
            #expect(wrapped?.objects.count == plain?.objects.count)
        }
    }

    @Test(arguments: [
        // An object that is not whole.
        "-----BEGIN CERTIFICATE----- AQID",
        "-----BEGIN CERTIFICATE----- AQID -----END OTHER-----",
        // More than objects on the line.
        "-----BEGIN CERTIFICATE----- AQID -----END CERTIFICATE----- and more",
        "see -----BEGIN CERTIFICATE----- AQID -----END CERTIFICATE-----",
        // What decodes to something else than DER or PEM, mixed alphabets, a wrong number of digits, base64 twice.
        "AQIDBA==", "LS0tLS1-/w==", "MIIBIjANBgkqh", "TFMwdExTMUNSVWRKVGlCRFJWSlVTVVpKUTBGVVJTMHRMUzB0",
        "", "\"", "\"\"", "''", "\\", "\\n", "\"-----BEGIN ", "-----BEGIN -----END -----",
    ])
    func `nothing else is taken for an object`(text: String) {
        #expect(throws: CertificateError.self) { try Container(reading: SecretBytes(text.utf8)) }
    }

    @Test func `PEM on lines of its own is no less strict than before`() throws {
        let plain = try Corpus.text("openssl-certificate.pem")
        // Prose that mentions objects and line ends stays prose.
        let prose = "see -----BEGIN CERTIFICATE----- and \\n\n-----BEGIN CERTIFICATE----- begins one\n"
        #expect(try Certificate.certificates(in: Array((prose + plain + prose).utf8)).count == 1)
        for damaged in [plain.replacing("-----END", with: "----END"), plain.replacing("MII", with: "MI\\nI")] {
            #expect(throws: CertificateError.self) { try Container(reading: SecretBytes(damaged.utf8)) }
        }
    }
}

/// F1: what cannot be read is not repeated.
@Suite struct SilentErrorTests {
    private static let secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFQ1BiaQUi6c8U1MBEwWJ7rk4bb7mFZ"

    @Test(arguments: [
        "-----BEGIN \(secret)-----\nAQID\n", "-----BEGIN \(secret)-----\nAQID\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAQID\n-----END \(secret)-----\n",
        "-----BEGIN \(secret)-----\n!\n-----END \(secret)-----\n",
        "-----BEGIN PRIVATE KEY----- \(secret) -----END PRIVATE KE-----", "-----BEGIN PRIVATE KEY----- \(secret)",
        "-----BEGIN PRIVATE KEY-----\n\(secret)\n", "-----BEGIN \(secret.uppercased().prefix(40))-----\nAQID\n",
        "-----BEGIN \(secret.uppercased().prefix(12))-----\nAQID\n",
        "{\"key\": \"-----BEGIN PRIVATE KEY-----\\n\(secret)\"}",
        "-----BEGIN EC PRIVATE KEY-----\nDEK-Info: \(secret),AB\n\n\(secret)\n-----END EC PRIVATE KEY-----\n", secret,
    ])
    func `F1: no error repeats a key`(text: String) {
        var said: [String] = []
        do {
            let container = try Container(reading: SecretBytes(text.utf8))
            said = container.objects.map { "\($0)" } + container.privateKeys.map { $0.encryption ?? "" }
            for key in container.privateKeys {
                _ = try key.key(passphrase: SecretBytes("x".utf8))
            }
        } catch {
            said += [error.message, error.hint ?? ""]
            #expect(error.message.utf8.count < 200)
        }
        #expect(!said.isEmpty)
        for text in said {
            let isSilent = !Self.pieces.contains { text.lowercased().contains($0) }
            #expect(isSilent, "\(text)")
        }
    }

    @Test func `what has no label has another name`() throws {
        let text = "-----BEGIN \(Self.secret)-----\nAQID\n-----END \(Self.secret)-----\n"
        #expect(try PEMDocument.documents(in: text.utf8).map(\.label) == ["a PEM object"])
    }

    @Test func `an error names the line`() {
        let text = "prose\r\n\r\n-----BEGIN CERTIFICATE-----\r\nAQID\r\n"
        #expect { try PEMDocument.documents(in: text.utf8) } throws: { "\($0)".contains("\"CERTIFICATE\" in line 3 ") }
    }

    /// Any twelve characters.
    private static let pieces: [String] = {
        let text = Array(secret.lowercased())
        return (0...(text.count - 12)).map { String(text[$0..<($0 + 12)]) }
    }()
}

extension Corpus {
    fileprivate static func bytes(_ name: String) throws -> [UInt8] {
        try unsafe FileContents(of: directory + name).bytes.withUnsafeBytes { unsafe Array($0) }
    }

    fileprivate static func text(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }
}
