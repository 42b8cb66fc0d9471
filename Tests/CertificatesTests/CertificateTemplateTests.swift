// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@Suite struct CertificateTemplateTests {
    @Test func `subject and settings are read from their sections`() throws {
        let template = try Samples.template(Samples.rootText + "\n[ pki ]\nkey_type = rsa-2048\ndays = 7\n")
        #expect(template.subject.description == "CN=Root")
        #expect(template.settings == ["key_type": "rsa-2048", "days": "7"])
    }

    @Test func `a file for openssl req that asks for values gives its defaults`() throws {
        let template = try Samples.template(
            """
            [ req ]
            distinguished_name = dn
            [ dn ]
            countryName = Country Name (2 letter code)
            countryName_default = DE
            countryName_min = 2
            0.organizationName = Organization Name
            0.organizationName_default = Acme
            commonName = Common Name
            commonName_max = 64
            """
        )
        #expect(template.subject.description == "O=Acme,C=DE")
    }

    @Test func `repeated attributes are numbered in the file and kept in order`() throws {
        let template = try Samples.template("[ req_distinguished_name ]\n1.OU = a\n2.OU = b\nCN = c\n+UID = 7\n")
        #expect(template.subject.relativeNames.map { $0.map(\.value) } == [["a"], ["b"], ["c", "7"]])
    }

    @Test(arguments: [
        "keyUsage = critical, digitalSignature\nsubjectAltName = DNS:a.example\n",
        "extensions = e\n[ e ]\nkeyUsage = critical, digitalSignature\nsubjectAltName = DNS:a.example\n",
        "[ v3 ]\nkeyUsage = digitalSignature\nsubjectAltName = @names\n[ names ]\nDNS.1 = a.example\n",
        "[ req ]\nreq_extensions = r\n[ r ]\nkeyUsage = digitalSignature\nsubjectAltName = DNS:a.example\n",
        "host = a.example\n[ v3 ]\nkeyUsage = digitalSignature\nsubjectAltName = DNS:$host\n1.2.3.4 = ASN1:UTF8String:x\n",
    ])
    func `the extension section is found wherever OpenSSL's tools look for it`(text: String) throws {
        let key = try PrivateKey(generating: .ecP256)
        let certificate = try Samples.parameters("CN=x", key: key.publicKey, template: text).selfSigned(by: key)
        #expect(certificate.keyUsage == .digitalSignature)
        #expect(certificate.subjectAlternativeNames == [.dns("a.example")])
        #expect(certificate.subjectKeyIdentifier?.count == 20)
        #expect(certificate.authorityKeyIdentifier == certificate.subjectKeyIdentifier)
    }

    @Test func `an authority key identifier that asks for the issuer's name gets the key alone`() throws {
        let caKey = try PrivateKey(generating: .ecP256)
        let root = try Samples.root(caKey)
        let text = Samples.clientText + "\nauthorityKeyIdentifier = keyid:always, issuer:always\n"
        let leaf = try Samples.parameters("CN=x", key: caKey.publicKey, template: text).signed(by: caKey, issuer: root)
        let value = try #require(leaf.extensions.first { $0.name == "authorityKeyIdentifier" }?.value)
        #expect(value == [0x30, 0x16, 0x80, 0x14] + (root.subjectKeyIdentifier ?? []))
    }

    @Test(arguments: [
        ("[ v3\n", "line 1"), ("a = b\nc\n", "line 2"), ("[ req ]\nx509_extensions = none\n", "[ none ]"),
        ("[ req ]\nprompt = no\n[ req_distinguished_name ]\nXX = y\n", "XX"),
    ])
    func `a malformed file is refused with the place`(text: String, place: String) {
        #expect {
            try Samples.template(text)
        } throws: { error in
            "\(error)".contains(place) && "\(error)".contains("sample.conf")
        }
    }

    @Test(arguments: [
        ("keyUsage = flying", "flying"), ("nonsense = 1", "nonsense"), ("subjectAltName = DNS", "subjectAltName"),
        ("keyUsage = digitalSignature\n2.5.29.15 = DER:03020780", "twice"),
    ])
    func `an extension that cannot be made is refused with its line`(line: String, word: String) throws {
        let key = try PrivateKey(generating: .ecP256)
        let parameters = try Samples.parameters("CN=x", key: key.publicKey, template: "[ v3 ]\n\(line)\n")
        #expect {
            try parameters.selfSigned(by: key)
        } throws: { error in
            "\(error)".contains(word)
        }
    }

    @Test(arguments: [
        ".include /etc/ssl/openssl.cnf", "  .include=x", ".pragma dollarid:on", "\u{feff}.include x", "\\\n.include x",
        ".inc\\\nlude x", "[ dn ]\nCN = $ENV::HOME", "CN = ${ENV::HOME}", "CN = $(ENV::HOME)", "CN = $\\\n{ENV::HOME}",
        "CN = \"\\\n# $ENV::HOME\"", "ENV::x = $HOME", "[ ENV ]\nCN = $HOME", "[ \"E\\NV\" ]\nCN = $HOME", "[ENV]",
        "x = \\\\\n[ ENV ]", "a = ENV\n[ $a ]\nCN = $HOME", "openssl_conf = init", "openssl_conf=init",
        "default::openssl_conf = init", "engines = e", "[ e ]\ndynamic_path = /tmp/e.so", "providers = p",
        "module = /tmp/p.so",
    ])
    func `W10: what reads files and variables or loads code is refused with its line`(text: String) {
        let whole = "# a comment, $ENV::HOME\n[ v3 ]\nkeyUsage = digitalSignature\n" + text + "\n"
        #expect { try CertificateTemplate(reading: Array(whole.utf8), name: "t") } throws: { error in
            let error = error as? CertificateError
            let line = (4...5).contains { error?.message.hasPrefix("line \($0) of t has ") ?? false }
            return error?.code == .forbidden && line && error?.hint?.contains("--trust-template") == true
        }
    }

    @Test func `W10: a trusted template may use the environment`() throws {
        let text = "[ req_distinguished_name ]\nCN = x$ENV::PKI_NO_SUCH_VARIABLE\n"
        let untrusted = #expect(throws: CertificateError.self) {
            try CertificateTemplate(reading: Array(text.utf8), name: "t")
        }
        #expect(untrusted?.code == .forbidden)
        let trusted = #expect(throws: CertificateError.self) {
            try CertificateTemplate(reading: Array(text.utf8), name: "t", isTrusted: true)
        }
        #expect(trusted?.code == .malformed)
    }

    @Test(arguments: [
        "[ v3 ]\nkeyUsage = digitalSignature\nsubjectAltName = DNS:a.example\n",
        "name = a # ENV: not one\n[ v3 ]\nkeyUsage = digitalSignature # .include\nnsComment = engines = x\n",
        "[ environment ]\nENVIRONMENT = x\n[ v3 ]\nkeyUsage = $environment::ENVIRONMENT\n",
    ])
    func `what only looks like it is read`(text: String) throws {
        _ = try CertificateTemplate(reading: Array(text.utf8), name: "t")
    }

    @Test func `F1: a key in a template's place is not repeated`() {
        let secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFQ1BiaQUi6c8U1MBEwWJ7rk4bb7mFZ"
        for text in [
            "-----BEGIN \(secret)\n", "\(secret)\n", "[ req ]\nx509_extensions = \(secret)\n", "x = $\(secret)\n",
        ] {
            #expect { try CertificateTemplate(reading: Array(text.utf8), name: "t") } throws: {
                !"\($0)".contains(secret.prefix(12))
            }
        }
    }
}
