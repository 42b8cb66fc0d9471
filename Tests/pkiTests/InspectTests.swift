// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@testable import pki

@Suite struct InspectTests {
    private let samples: InspectSamples
    private let key: PrivateKey

    init() throws {
        samples = try InspectSamples()
        key = try PrivateKey(generating: .ecP256)
    }

    private func sha256(_ key: PublicKey) -> String { hexadecimal(Digest.sha256.hash(key.derEncoded)) }

    private func pem(_ key: PrivateKey, passphrase: String? = nil) throws -> String {
        let text = try key.pemEncoded(passphrase: passphrase.map { SecretBytes($0.utf8) })
        return unsafe text.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }

    @Test func `a client's certificate fits one screen`() throws {
        let certificate = try samples.client(
            key: key,
            names: [.dns("a.example.com"), .dns("b.example.com"), .uri("spiffe://x/y,z"), .ip([10, 0, 0, 1])])
        let identifiers = [certificate.subjectKeyIdentifier, certificate.authorityKeyIdentifier]
            .map { $0.map { hexadecimal($0) } ?? "absent" }
        let report = try InspectSamples.report(on: "before\n" + certificate.pemEncoded)
        #expect(
            report.text == """
                file.pem: PEM, 1 object

                certificate CN=web-1,OU=Ops,O=Acme
                  subject           CN=web-1,OU=Ops,O=Acme
                  issuer            CN=Root,O=Acme
                  serial            0abc
                  serial, decimal   2748
                  valid             2026-02-28T12:00:00Z to 2026-05-30T12:00:00Z, 90 days left
                  key               EC P-256
                  signature         ecdsa-with-SHA256
                  CA                no
                  key usage         digitalSignature (critical)
                  extended usage    clientAuth
                  names             DNS:a.example.com
                                    DNS:b.example.com
                                    URI:spiffe://x/y,z
                                    IP:10.0.0.1
                  key identifier    \(identifiers[0])
                  issuer's          \(identifiers[1])
                  SHA-256           \(certificate.fingerprint)
                  of the key        \(sha256(key.publicKey))
                  IAM Roles Anywhere
                  verdict           can be a client's certificate, below a trust anchor of its issuer
                  signs with        AWS4-X509-ECDSA-SHA256
                  session name      0abc
                  source identity   CN=web-1
                  session tags      x509Issuer/CN = Root
                                    x509Issuer/O = Acme
                                    x509SAN/DNS = a.example.com
                                    x509Subject/CN = web-1
                                    x509Subject/O = Acme
                                    x509Subject/OU = Ops
                  dropped           x509SAN/URI = spiffe://x/y,z (a character that tags cannot hold)
                                    x509SAN/DNS = b.example.com (only the first of a kind becomes a tag)
                                    x509SAN/IP = 10.0.0.1 (no tags are made of this kind)
                                    a StringNotEquals condition on a tag that is missing is met: do not rely on one
                """
        )
    }

    @Test func `a CA's certificate is judged as a trust anchor`() throws {
        let text = try InspectSamples.report(on: samples.root.pemEncoded).text
        for line in [
            "  issuer            self-signed", "  CA                yes, at most 1 more below it",
            "  key usage         keyCertSign, cRLSign (critical)", "  verdict           can be a trust anchor",
        ] { #expect(text.contains(line + "\n") || text.hasSuffix(line), "\(line)") }
        #expect(!text.contains("session tags"))
    }

    @Test func `every rule that is broken is named, with its hint`() throws {
        let certificate = try samples.client(
            "", key: key, template: "[ v3 ]\nbasicConstraints = CA:FALSE\n", days: -0.5)
        let report = try InspectSamples.report(on: certificate.pemEncoded)
        for line in [
            "verdict           REFUSED as a client's certificate",
            "rule broken       has an empty subject\n                    hint: issue one with a common name",
            "rule broken       has no key usage, not digitalSignature",
            "rule broken       has expired: it was valid until 2026-03-01T00:00:00Z",
            "EXPIRED 12 hours ago", "source identity   ID=0abc", "subject           (empty)",
        ] { #expect(report.text.contains(line), "\(line)") }
        let verdict = try InspectSamples.json(report)["objects"]?[0]?["rolesAnywhere"]
        #expect(verdict?["acceptable"] == .flag(false))
        for (index, rule) in ["aws-client-subject", "aws-client-key-usage", "aws-client-validity"].enumerated() {
            #expect(verdict?["rulesBroken"]?[index]?["rule"] == .text(rule))
            #expect(verdict?["rulesBroken"]?[index]?["hint"] != nil)
        }
    }

    @Test func `a program gets every field`() throws {
        let names = [GeneralName.dns("a.example.com"), .dns("b.example.com")]
        let certificate = try samples.client(key: key, names: names)
        let report = try InspectSamples.json(try InspectSamples.report(on: certificate.pemEncoded))
        #expect(report["file"] == .text("file.pem"))
        #expect(report["form"] == .text("pem"))
        let object = try #require(report["objects"]?[0])
        let texts = [
            "kind": "certificate", "subject": "CN=web-1,OU=Ops,O=Acme", "issuer": "CN=Root,O=Acme",
            "serialNumber": "0abc", "serialNumberDecimal": "2748", "notBefore": "2026-02-28T12:00:00Z",
            "notAfter": "2026-05-30T12:00:00Z", "validity": "valid", "signatureAlgorithm": "ecdsa-with-SHA256",
            "sha256": certificate.fingerprint, "pem": certificate.pemEncoded,
        ]
        for (name, text) in texts { #expect(object[name] == .text(text), "\(name)") }
        #expect(object["ca"] == .flag(false))
        #expect(object["selfSigned"] == .flag(false))
        #expect(object["keyUsage"] == .list([.text("digitalSignature")]))
        #expect(object["key"]?["curve"] == .text("prime256v1"))
        #expect(object["key"]?["sha256"] == .text(sha256(key.publicKey)))
        #expect(object["subjectAlternativeNames"]?[1]?["value"] == .text("b.example.com"))
        let verdict = try #require(object["rolesAnywhere"])
        #expect(verdict["acceptable"] == .flag(true))
        #expect(verdict["rulesBroken"] == .list([]))
        #expect(verdict["tags"]?["x509SAN/DNS"] == .text("a.example.com"))
        #expect(verdict["droppedValues"]?[0]?["reason"] == .text("notFirst"))
        #expect(verdict["sourceIdentity"] == .text("CN=web-1"))
        #expect(verdict["roleSessionName"] == .text("0abc"))
        #expect(verdict["signingAlgorithm"] == .text("AWS4-X509-ECDSA-SHA256"))
        #expect(verdict["credentialSerialNumber"] == .text("2748"))
    }

    @Test func `what belongs together is found across files`() throws {
        let certificate = try samples.client(key: key)
        let files = [
            try InspectSamples.file(certificate.pemEncoded, name: "a.pem"),
            try InspectSamples.file(pem(key) + pem(samples.rootKey) + samples.root.pemEncoded, name: "b.pem"),
        ]
        let reports = InspectReport.reports(on: files, at: InspectSamples.now)
        #expect(reports.map(\.file) == ["a.pem", "b.pem"])
        #expect(!reports[0].text.contains("who issued whom"))
        let text = reports[1].text
        #expect(text.contains("#2 private key\n"))
        #expect(text.contains("  key of            #1 certificate CN=web-1,OU=Ops,O=Acme\n"))
        #expect(text.contains("  key of            #4 CA certificate CN=Root,O=Acme\n"))
        #expect(
            text.hasSuffix(
                """

                who issued whom
                  #4 CA certificate CN=Root,O=Acme
                    #1 certificate CN=web-1,OU=Ops,O=Acme
                """
            )
        )
        let issuer = try InspectSamples.json(reports[0])["objects"]?[0]?["issuedBy"]
        #expect(issuer == .text(samples.root.fingerprint))
        let owner = try InspectSamples.json(reports[1])["objects"]?[0]?["certificates"]
        #expect(owner == .list([.text(certificate.fingerprint)]))
    }

    @Test func `certificates that issued one another in a circle end`() throws {
        let other = try PrivateKey(generating: .ecP256)
        let first = try InspectSamples.parameters("CN=A", key, InspectSamples.caText).selfSigned(by: key)
        let second = try InspectSamples.parameters("CN=B", other, InspectSamples.caText).selfSigned(by: other)
        let circle = [
            try InspectSamples.parameters("CN=A", key, InspectSamples.caText).signed(by: other, issuer: second),
            try InspectSamples.parameters("CN=B", other, InspectSamples.caText).signed(by: key, issuer: first),
        ]
        let tree = Relations(of: circle.map(InspectedObject.certificate)).tree
        #expect(tree.map(\.number) == [0, 1])
        #expect(tree.map(\.depth) == [0, 1])
    }

    @Test func `of many certificates each gets a few lines`() throws {
        let report = try InspectSamples.report(on: String(repeating: samples.root.pemEncoded, count: 5))
        #expect(report.text.split(separator: "\n").count < 30)
        #expect(report.text.contains("#5 CA certificate"))
    }

    @Test func `a private key is described and never shown`() throws {
        let plain = try pem(key)
        let report = try InspectSamples.report(on: plain)
        #expect(report.text.contains("encryption        NONE"))
        #expect(report.text.contains(sha256(key.publicKey)))
        let encoded = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
        let lines = plain.split(separator: "\n").filter { !$0.hasPrefix("-") }
        for line in lines { #expect(!encoded.contains(line) && !report.text.contains(line)) }
        #expect(try InspectSamples.json(report)["objects"]?[0]?["encrypted"] == .flag(false))
    }

    @Test func `an encrypted key is opened with its passphrase alone`() throws {
        let text = try pem(key, passphrase: "secret")
        let closed = try InspectSamples.report(on: text)
        #expect(closed.text.contains("encrypted private key\n"))
        #expect(closed.text.contains("encryption        PBES2"))
        #expect(closed.text.contains("not opened"))
        #expect(!closed.text.contains("SHA-256  "))
        let open = try InspectSamples.report(on: text, passphrase: "secret")
        #expect(open.text.contains("SHA-256           \(sha256(key.publicKey))"))
        #expect(!open.text.contains("secret"))
        #expect(throws: CertificateError.self) { try InspectSamples.report(on: text, passphrase: "other") }
    }

    @Test func `a hostile name steers no terminal`() throws {
        let hostile = "a\u{1b}[31m\r\n\u{202e}b\u{9b}2J\u{2028}"
        let value = Array(hostile.utf8)
        let commonName: [UInt8] = [0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, UInt8(value.count)] + value
        let sequence: [UInt8] = [0x30, UInt8(commonName.count)] + commonName
        let set: [UInt8] = [0x31, UInt8(sequence.count)] + sequence
        var parameters = try InspectSamples.parameters("CN=x", key, InspectSamples.clientText)
        parameters.subject = DistinguishedName(derEncoded: [0x30, UInt8(set.count)] + set)
        parameters.subjectAlternativeNames = [.dns(hostile), .uri("x:\(hostile)"), .email(hostile)]
        let certificate = try parameters.signed(by: samples.rootKey, issuer: samples.root)
        let report = try InspectSamples.report(on: certificate.pemEncoded)
        #expect(!report.text.unicodeScalars.contains { $0.isControl && $0 != "\n" })
        // What would forge a line begins none.
        #expect(!report.text.contains("\nb"))
        let encoded = terminalSafe(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
        #expect(!encoded.unicodeScalars.contains { $0.isControl })
        let names = try JSONDecoder().decode([String: JSONPart].self, from: Data(encoded.utf8))
        #expect(names["objects"]?[0]?["subjectAlternativeNames"]?[0]?["value"] == .text(hostile))
        #expect(names["objects"]?[0]?["rolesAnywhere"]?["droppedValues"]?[0]?["key"] == .text("x509Subject/CN"))
    }

    @Test func `lines are broken where a reader would break them`() throws {
        let unit = "OU=a name that is long"
        let certificate = try samples.client(
            (1...9).map { "\(unit) \($0)" }.joined(separator: ","),
            key: key,
            names: [.dns(String(repeating: "a", count: 63) + "." + String(repeating: "b", count: 63) + ".example")]
        )
        let text = try InspectSamples.report(on: certificate.pemEncoded).text
        let long = text.split(separator: "\n").filter { $0.count > 100 }
        #expect(long.allSatisfy { $0.contains("aaaa") && $0.contains(".example") })
        #expect(long.count == 2)
    }

    @Test(arguments: [
        (0, "less than a minute"), (61, "1 minute"), (7200, "2 hours"), (-86_400, "1 day"), (864_000, "10 days"),
    ])
    func `a span is told in its largest unit`(seconds: Double, text: String) {
        #expect(Validity.span(seconds) == text)
    }

    @Test func `what is damaged is refused or described, and nothing else`() throws {
        var parameters = try InspectSamples.parameters("CN=Root,O=Acme", key, InspectSamples.caText)
        parameters.nameConstraints = try NameConstraints(permitted: [.init("dns:example.com"), .init("ip:10.0.0.0/8")])
        parameters.subjectAlternativeNames = [
            .dns("a"), .uri("x:y"), .directory(parameters.subject), .ip([1, 2, 3, 4]),
        ]
        let encoded = try parameters.selfSigned(by: key).derEncoded
        var described = 0
        for place in encoded.indices {
            for mask: UInt8 in [0x01, 0x80, 0xff] {
                var damaged = encoded
                damaged[place] ^= mask
                guard let file = try? InspectedFile(SecretBytes(damaged), name: "x", passphrase: nil) else { continue }
                let report = try #require(InspectReport.reports(on: [file], at: InspectSamples.now).first)
                #expect(!report.text.unicodeScalars.contains { $0.isControl && $0 != "\n" })
                described += 1
            }
        }
        #expect(described > encoded.count)
    }

    @Test func `an object of another kind is named`() throws {
        let report = try InspectSamples.report(
            on: "-----BEGIN DH PARAMETERS-----\nMAYCAQICAQM=\n-----END DH PARAMETERS-----\n")
        #expect(report.text.contains("\"DH PARAMETERS\"\n"))
    }

    @Test func `a file without objects is refused`() throws {
        #expect(throws: CertificateError.self) { try InspectSamples.report(on: "nothing here") }
    }
}
