// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Glibc
import SystemSupport
import Testing

@testable import Authority

struct ImportedCATests {
    private let directory: TemporaryDirectory
    private let now = Date(timeIntervalSince1970: 1_780_000_000)

    init() throws { directory = try TemporaryDirectory() }

    @Test(
        arguments: [
            ("web-cert.pem", "web", nil), ("web-key.pem", "web", nil), ("issued/web.crt", "web", nil),
            ("a-cert-cert.pem", "a-cert", nil), ("ca.cert.pem", "ca", nil), ("root_ca_key", "root_ca", nil),
            ("archive/web-cert-20260101T000000Z.pem", "web", "20260101T000000Z"),
            ("archive/web-cert-20260101T000000Z-2.pem", "web", "20260101T000000Z-2"),
            ("archive/web-key-20260101T000000Z-17.pem", "web", "20260101T000000Z-17"),
            ("archive/a-2-cert-20260101T000000Z.pem", "a-2", "20260101T000000Z"),
            ("archive/web-cert-20260101T0000.pem", "web-cert-20260101T0000", nil),
            ("web-cert-20260101T000000Z.pem", "web-cert-20260101T000000Z", nil), (".pem", ".pem", nil), ("", "", nil),
        ] as [(String, String, String?)]
    )
    func `a file's name tells whose it is`(_ path: String, _ stem: String, _ stamp: String?) {
        let name = ForeignName(path)
        #expect(name.stem == stem)
        #expect(name.stamp == stamp)
    }

    @Test(
        arguments: [
            ("cacert.pem", "private/cakey.pem"), ("ca.crt", "private/ca.key"), ("rootCA.pem", "rootCA-key.pem"),
            ("certs/root_ca.crt", "secrets/root_ca_key"), ("root-cert.pem", "root-key.pem"),
            ("certs/ca.cert.pem", "private/ca.key.pem"), ("monkey-cert.pem", "monkey-key.pem"),
        ]
    )
    func `the two files of a pair are known by their names`(_ certificate: String, _ key: String) {
        #expect(ForeignName(certificate).pairing == ForeignName(key).pairing)
    }

    @Test(
        arguments: [
            ("web-1", "web-1"), ("*.example.com", "example.com"), ("..", nil), ("-x", "x"), ("a b  c", "a-b-c"),
            ("Käse", "K-se"), ("é", nil), ("a/../b", "a-..-b"), ("x\u{1b}[2J", "x-2J"), ("", nil), ("a-", "a"),
        ] as [(String, String?)]
    )
    func `any text becomes a name, or none`(_ text: String, _ name: String?) throws {
        #expect(ForeignName.fitting(text) == name)
        if let name { try EntryName.checkNew(name) }
    }

    @Test func `a subject in an index is a name again`() throws {
        func name(_ text: String) throws -> DistinguishedName? {
            let line = "V\t300101000000Z\t\t01\tunknown\t\(text)\n"
            return try CertificateIndex(SecretBytes(line.utf8), path: "index.txt", now: now).lines.first?.subjectName
        }
        #expect(try name("/C=DE/O=Acme/CN=web") == DistinguishedName("/C=DE/O=Acme/CN=web"))
        #expect(try name(#"/O=Gr\xC3\xB6\xC3\x9Fe/CN=a"#) == DistinguishedName("CN=a,O=Größe"))
        #expect(try name(#"/O=a\/b\+c/CN=x"#) == DistinguishedName(#"CN=x,O=a/b\+c"#))
        #expect(try name("/O=a/b/CN=x") == DistinguishedName("CN=x,O=a/b"))
        #expect(try name("/O=Acme+OU=Ops/CN=x") == DistinguishedName("CN=x,O=Acme+OU=Ops"))
        #expect(try name(#"/CN=tab\x09"#) == nil)
        for text in ["", "/", "web", "/=", "/nonsense=x", "//", #"/CN=\"#, #"/CN=\x"#, #"/CN=\x4"#] {
            let found = try name(text)
            #expect(found == nil || found?.commonName?.contains("\\") == true)
        }
    }

    @Test(arguments: [
        ("250101000000Z", RevocationReason.unspecified), ("250101000000Z,superseded", .superseded), ("", .unspecified),
        ("soon", .unspecified), ("soon,keyCompromise", .keyCompromise), ("250101000000Z,boredom", .unspecified),
        ("250101000000Z,removeFromCRL", .certificateHold), ("250101000000Z,keyTime", .keyCompromise),
        ("250101000000Z,superseded,a,b", .superseded),
    ])
    func `a line with the status R revokes`(text: String, reason: RevocationReason) throws {
        for notAfter in ["300101000000Z", "soon"] {
            let line = "R\t\(notAfter)\t\(text)\t02\tunknown\t/CN=x\n"
            let index = try CertificateIndex(SecretBytes(line.utf8), path: "index.txt", now: now)
            #expect(index.lines.map(\.serialNumber) == [SerialNumber([2])])
            #expect(index.lines.first?.revocation?.reason == reason)
        }
    }

    @Test(arguments: [
        "R\t300101000000Z\t250101000000Z\tzz\tunknown\t/CN=x", "R\t300101000000Z\t250101000000Z\t02\tunknown",
        "r\t300101000000Z\t250101000000Z\t02\tunknown\t/CN=x", "V\t300101000000Z\t250101000000Z\t02\tunknown\t/CN=x",
        "R 300101000000Z 250101000000Z 02 unknown /CN=x", "X\t300101000000Z\t\t02\tunknown\t/CN=x",
    ])
    func `a line that may revoke an unknown certificate refuses the index`(line: String) {
        let error = #expect(throws: AuthorityError.self) {
            try CertificateIndex(SecretBytes("# note\n\(line)\n".utf8), path: "index.txt", now: now)
        }
        #expect(error?.code == .broken && error?.message.contains("line 2") == true)
    }

    @Test func `a configuration file's variables and sections`() throws {
        let text = """
            home = /srv
            [ca]
            default_ca = mine # comment
            [ paths ]
            inner = deep
            [ mine ]
            dir = ${default::home}/ca
            certificate = "$dir/ca.pem"
            private_key = \\
              $dir/$(dir)
            database=${paths::inner}/index.txt
            serial = $nothing/../../etc/passwd
            new_certs_dir = ${dir
            """
        let found = try #require(OpenSSLConfiguration(text))
        #expect(found.directory == "/srv/ca")
        #expect(found.candidates(for: .certificate) == ["ca.pem", "/srv/ca/ca.pem"])
        #expect(found.paths[.privateKey] == "/srv/ca//srv/ca")
        #expect(found.candidates(for: .database) == ["deep/index.txt"])
        #expect(found.candidates(for: .serial).isEmpty)
        #expect(OpenSSLConfiguration("[req]\ndistinguished_name = x\n") == nil)
        #expect(OpenSSLConfiguration("") == nil)
    }

    @Test func `variables that contain each other come to an end`() {
        var text = "[ca]\ndefault_ca = x\n[x]\na0 = aaaaaaaaaaaaaaaa\n"
        for number in 1...60 { text += "a\(number) = $a\(number - 1)$a\(number - 1)\n" }
        text += "dir = $a60\ncertificate = $dir/$dir\n"
        let found = OpenSSLConfiguration(text)
        #expect(found?.paths[.certificate].map { $0.utf8.count < 20_000 } == true)
    }

    @Test func `serial numbers and the ones after them`() {
        #expect(SerialNumber(hexadecimal: "0F\n") == SerialNumber([15]))
        #expect(SerialNumber(hexadecimal: " fff ") == SerialNumber([0x0f, 0xff]))
        #expect(SerialNumber(hexadecimal: "") == nil)
        #expect(SerialNumber(hexadecimal: "0x1") == nil)
        #expect(SerialNumber(hexadecimal: String(repeating: "f", count: 65)) == nil)
        #expect(SerialNumber([0xff, 0xff]).successor == SerialNumber([1, 0, 0]))
        #expect(SerialNumber([UInt8]()).successor == SerialNumber([1]))
        #expect(SerialNumber([1, 0xff]).successor == SerialNumber([2, 0]))
    }

    @Test func `random bytes in place of every file do no harm`() throws {
        var generator = SystemRandomNumberGenerator()
        for round in 0..<20 {
            for name in ["index.txt", "openssl.cnf", "serial", "ca.crt", "x.key", "crl.pem", "y.uri"] {
                var text = String(
                    decoding: (0..<2000).map { _ in UInt8.random(in: 0...255, using: &generator) },
                    as: UTF8.self
                )
                if round % 2 == 0 {
                    text = "[ca]\ndefault_ca = ca\ncertificate = $dir\n-----BEGIN CERTIFICATE-----\n" + text
                }
                try directory.write(text, to: name)
            }
            #expect(throws: AuthorityError.self) { try ImportedCA(reading: directory.path, now: now) }
        }
    }

    @Test func `what this software made is read whole`() throws {
        var generator = SystemRandomNumberGenerator()
        let path = directory.path + "/ca"
        _ = try CertificateAuthority.create(
            in: path, RootRequest(template: BuiltInTemplate.root.template), now: now, using: &generator)
        let authority = try CertificateAuthority(openingIn: path, now: now)
        var request = ClientRequest(template: try BuiltInTemplate.client.template, name: "web")
        request.nameIsCommonName = true
        let first = try authority.issue(request, now: now, using: &generator)
        request.archivesExisting = true
        let second = try authority.issue(request, now: now, using: &generator)
        request.name = "mail"
        request.passphrase = SecretBytes("geheim".utf8)
        let third = try authority.issue(request, now: now, using: &generator)
        let found = try ImportedCA(reading: path, now: now)
        #expect(found.kind == .pki)
        #expect(found.root.certificate == authority.certificate)
        #expect(found.root.key == ForeignKey(file: "root-key.pem", proof: .publicKey, isEncrypted: false, address: nil))
        let entries = Dictionary(uniqueKeysWithValues: found.certificates.map { ($0.certificate, $0) })
        #expect(entries.count == 4)
        #expect(entries[first.certificate]?.place == .replaced)
        #expect(entries[first.certificate]?.key?.proof == .publicKey)
        #expect(entries[second.certificate]?.status == .valid)
        #expect(entries[second.certificate]?.issuer == authority.certificate.publicKey)
        #expect(entries[third.certificate]?.key?.proof == .name)
        #expect(found.findings.map(\.rule) == [.keyByName])
        let end = authority.certificate.notAfter.addingTimeInterval(1)
        let later = try ImportedCA(reading: path, now: end)
        #expect(later.certificates.allSatisfy { $0.status == .expired })
    }

    @Test func `many certificates that claim one issuer are not tried with all of them`() throws {
        var generator = SystemRandomNumberGenerator()
        var request = RootRequest(template: try BuiltInTemplate.root.template)
        request.subject = try DistinguishedName("CN=same")
        for number in 0..<40 {
            let place = try TemporaryDirectory()
            _ = try CertificateAuthority.create(in: place.path + "/ca", request, now: now, using: &generator)
            try directory.write(place.read("ca/root-cert.pem"), to: "\(number).pem")
        }
        let found = try ImportedCA(reading: directory.path, now: now)
        #expect(found.issuers.count == 40)
        #expect(found.certificates.count == 40)
    }

    @Test func `each subject has one current certificate, whichever of a name is the newest`() throws {
        var generator = SystemRandomNumberGenerator()
        let made = try TemporaryDirectory()
        let path = made.path + "/ca"
        _ = try CertificateAuthority.create(
            in: path, RootRequest(template: BuiltInTemplate.root.template), now: now, using: &generator)
        let authority = try CertificateAuthority(openingIn: path, now: now)
        var request = ClientRequest(template: try BuiltInTemplate.client.template, name: "web")
        request.archivesExisting = true
        var issued: [Certificate] = []
        for (number, subject) in ["CN=old", "CN=old", "CN=new"].enumerated() {
            request.subject = try DistinguishedName(subject)
            let time = now.addingTimeInterval(Double(number + 1) * 1000)
            issued.append(try authority.issue(request, now: time, using: &generator).certificate)
            try directory.write(issued[number].pemEncoded, to: "\(number)/web.pem")
        }
        try directory.write(authority.certificate.pemEncoded, to: "ca.pem")
        let found = try ImportedCA(reading: directory.path, now: now.addingTimeInterval(5000))
        let entries = Dictionary(uniqueKeysWithValues: found.certificates.map { ($0.certificate, $0) })
        #expect(issued.map { entries[$0]?.place } == [.replaced, .current, .current])
        #expect(entries[issued[2]]?.name == "web")
        #expect(entries[issued[0]]?.name == entries[issued[1]]?.name)
        #expect(entries[issued[1]]?.name != "web")
    }
}
