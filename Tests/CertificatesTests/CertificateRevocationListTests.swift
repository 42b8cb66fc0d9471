// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import Certificates
import SystemSupport

@Suite struct CertificateRevocationListTests {
    private static let always = Date(timeIntervalSince1970: 253_402_300_799)
    private static let made = Date(timeIntervalSince1970: 1_577_836_800)
    private static let revoked = Date(timeIntervalSince1970: 1_609_556_645)
    private static let texts = [
        "versionOne": RevocationListText.versionOne, "reasons": RevocationListText.reasons,
        "empty": RevocationListText.empty, "expired": RevocationListText.expired, "scoped": RevocationListText.scoped,
        "delta": RevocationListText.delta, "unknown": RevocationListText.unknown, "sha1": RevocationListText.sha1,
        "pss": RevocationListText.pss, "sha1PSS": RevocationListText.sha1PSS,
    ]

    private func list(_ name: String) throws -> CertificateRevocationList {
        try CertificateRevocationList(pemEncoded: #require(Self.texts[name]))
    }

    private func issuers() throws -> (rsa: Certificate, ec: Certificate) {
        let texts = [RevocationListText.rsaIssuer, RevocationListText.ecIssuer]
        let certificates = try texts.flatMap { try Certificate.certificates(in: Array($0.utf8)) }
        return (try #require(certificates.first), try #require(certificates.last))
    }

    @Test func `a list of version 1 is read`() throws {
        let list = try CertificateRevocationList(pemEncoded: RevocationListText.versionOne)
        let issuer = try issuers().rsa
        #expect(list.version == 1)
        #expect(list.issuer == issuer.subject)
        #expect(list.signatureAlgorithm.name == "sha256WithRSAEncryption")
        #expect(list.signatureAlgorithm.digest == "SHA256")
        #expect(!list.signatureAlgorithm.isWeak)
        #expect(list.thisUpdate == Self.made)
        #expect(list.nextUpdate == Self.always)
        #expect(list.extensions.isEmpty)
        #expect(list.number == nil)
        #expect(list.authorityKeyIdentifier == nil)
        #expect(list.unhandledCriticalExtensions.isEmpty)
        #expect(!list.isDelta)
        #expect(list.revokedCount == 3)
        #expect(Set(list.entries.map(\.serialNumber.decimal)).isSuperset(of: ["1", "127"]))
    }

    @Test(
        arguments: [
            ([1], true), ([0, 0, 1], true), ([0x7f], true), ([2], false), ([], false), ([1, 0], false), ([0xff], false),
            (
                [
                    0xf1, 0xe2, 0xd3, 0xc4, 0xb5, 0xa6, 0x97, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00,
                    0xff, 0xee,
                    0xdd,
                ], true
            ),
        ] as [([UInt8], Bool)]
    )
    func `a serial number is found by its value`(_ serial: [UInt8], _ isRevoked: Bool) throws {
        let list = try CertificateRevocationList(pemEncoded: RevocationListText.versionOne)
        let entry = list.entry(for: SerialNumber(serial))
        #expect((entry != nil) == isRevoked)
        #expect(entry?.serialNumber == (isRevoked ? SerialNumber(serial) : nil))
        #expect(entry?.revocationDate == (isRevoked ? Self.revoked : nil))
        #expect(entry?.reason == nil)
    }

    @Test(
        arguments: [
            // openssl writes no reason for "unspecified" in a list, as RFC 5280 asks for; some versions do.
            (0x0b, RevocationReason.keyCompromise), (0x0c, .cACompromise), (0x0d, .affiliationChanged),
            (0x0e, .superseded),
            (0x0f, .cessationOfOperation), (0x10, .certificateHold), (0x12, nil), (0x13, .certificateHold),
            (0x14, .keyCompromise),
        ] as [(UInt8, RevocationReason?)]
    )
    func `the reason is told`(_ serial: UInt8, _ reason: RevocationReason?) throws {
        let list = try CertificateRevocationList(pemEncoded: RevocationListText.reasons)
        let entry = try #require(list.entry(for: SerialNumber([serial])))
        #expect(entry.reason == reason)
        #expect(entry.revocationDate == Self.revoked)
    }

    @Test func `a certificate that was taken back is not revoked`() throws {
        let list = try CertificateRevocationList(pemEncoded: RevocationListText.reasons)
        #expect(list.entry(for: SerialNumber([0x11])) == nil)
        #expect(list.entry(for: SerialNumber([0x0a]))?.revocationDate == Self.revoked)
        #expect(list.revokedCount == 10)
    }

    @Test func `a list of version 2 has a number and the identifier of the key`() throws {
        let list = try CertificateRevocationList(pemEncoded: RevocationListText.empty)
        #expect(list.version == 2)
        #expect(list.revokedCount == 0)
        #expect(list.signatureAlgorithm.name == "ecdsa-with-SHA256")
        #expect(list.number == SerialNumber([0x12, 0xab]))
        #expect(list.authorityKeyIdentifier == (try issuers().ec.subjectKeyIdentifier))
        #expect(list.authorityKeyIdentifier?.count == 20)
    }

    @Test func `DER and PEM are the same list`() throws {
        let list = try CertificateRevocationList(pemEncoded: "text\n" + RevocationListText.reasons + "\nmore")
        #expect(try CertificateRevocationList(derEncoded: list.derEncoded) == list)
        #expect(try CertificateRevocationList(pemEncoded: list.pemEncoded) == list)
        #expect(list.pemEncoded.trimmingLineEnd == RevocationListText.reasons)
        #expect(try Set([list, CertificateRevocationList(pemEncoded: RevocationListText.empty)]).count == 2)
    }

    @Test(arguments: [
        (1_577_836_799.0, false), (1_577_836_800, true), (1_580_515_200, true), (1_580_515_201, false),
    ])
    func `a list is current between its updates`(_ seconds: Double, _ isCurrent: Bool) throws {
        let list = try CertificateRevocationList(pemEncoded: RevocationListText.expired)
        #expect(list.isCurrent(at: Date(timeIntervalSince1970: seconds)) == isCurrent)
    }

    @Test(arguments: [
        ("scoped", ["issuingDistributionPoint"], false),
        ("delta", ["deltaCRL"], true),
        ("unknown", ["1.3.6.1.4.1.55555.1"], false), ("reasons", [], false),
    ])
    func `a critical extension that changes what the list says is told`(
        _ name: String, _ names: [String], _ isDelta: Bool
    ) throws {
        let list = try list(name)
        #expect(list.unhandledCriticalExtensions == names)
        #expect(list.isDelta == isDelta)
    }

    @Test(arguments: [
        ("sha1", "SHA1", true), ("pss", "SHA256", false),
        ("sha1PSS", "SHA1", true), ("expired", "SHA256", false),
    ])
    func `a weak signature is told`(_ name: String, _ digest: String, _ isWeak: Bool) throws {
        let list = try list(name)
        #expect(list.signatureAlgorithm.digest == digest)
        #expect(list.signatureAlgorithm.isWeak == isWeak)
    }

    @Test(arguments: texts.keys.sorted())
    func `the signature is the issuer's and nobody else's`(_ name: String) throws {
        let list = try list(name)
        let issuers = try issuers()
        let isRSA = list.signatureAlgorithm.name.lowercased().contains("rsa")
        let (right, wrong) = isRSA ? (issuers.rsa, issuers.ec) : (issuers.ec, issuers.rsa)
        #expect(list.isSigned(by: right))
        #expect(list.isSigned(by: right.publicKey))
        #expect(list.isIssued(by: right))
        #expect(!list.isSigned(by: wrong))
        #expect(!list.isIssued(by: wrong))
        #expect(try !list.isSigned(by: PrivateKey(generating: .ecP256).publicKey))
    }

    @Test func `a list is issued by a certificate of its name that may sign lists`() throws {
        let list = try Sample().signed()
        #expect(try list.isIssued(by: Sample.issuer()))
        for (name, usage) in [("CN=Other", "keyCertSign, cRLSign"), ("CN=Sample", "keyCertSign")] {
            let other = try Sample.issuer(name, usage: usage)
            #expect(list.isSigned(by: other))
            #expect(!list.isIssued(by: other))
        }
    }

    @Test func `a list without a next update stays current`() throws {
        let list = try Sample().signed()
        #expect(list.nextUpdate == nil)
        #expect(list.isCurrent(at: Self.always))
        #expect(!list.isCurrent(at: .distantPast))
        #expect(list.extensions.isEmpty)
    }

    @Test func `of two entries for one certificate the first that revokes counts`() throws {
        var sample = Sample()
        sample.entries = [
            Sample.entry(5, reason: 8), Sample.entry(5, reason: 1), Sample.entry(5, reason: 4),
            Sample.entry(6, reason: 7),
            Sample.entry(7, reason: 0),
        ]
        let list = try sample.signed()
        #expect(list.entry(for: SerialNumber([5]))?.reason == .keyCompromise)
        #expect(list.entry(for: SerialNumber([6]))?.reason == .unspecified)
        #expect(list.entry(for: SerialNumber([7]))?.reason == .unspecified)
        #expect(list.revokedCount == 3)
    }

    @Test func `a critical extension of an entry is told`() throws {
        var sample = Sample()
        // certificateIssuer: an entry that speaks of another CA's certificate.
        let issuer = CertificateExtension(
            "2.5.29.29", name: "", isCritical: true, value: DER.sequence([DER.encode(0x82, Array("example.com".utf8))]))
        sample.entries = [
            Sample.entry(5, extensions: [issuer.derEncoded]), Sample.entry(6, extensions: [issuer.derEncoded]),
        ]
        #expect(try sample.signed().unhandledCriticalExtensions == ["certificateIssuer"])
    }

    @Test func `what cannot be told is refused`() throws {
        var samples: [Sample] = []
        for value in [[0x05, 0x00], [0x0a, 0x05, 0x01]] as [[UInt8]] {
            var sample = Sample()
            let reason = CertificateExtension("2.5.29.21", name: "", isCritical: false, value: value)
            sample.entries = [Sample.entry(5, extensions: [reason.derEncoded])]
            samples.append(sample)
        }
        for values in [[[0x05, 0x00]], [[0x02, 0x01, 0x01], [0x02, 0x01, 0x02]]] as [[[UInt8]]] {
            var sample = Sample()
            sample.extensions = values.map {
                CertificateExtension("2.5.29.20", name: "", isCritical: false, value: $0).derEncoded
            }
            samples.append(sample)
        }
        var sample = Sample()
        sample.innerAlgorithm = DER.sequence([DER.objectIdentifier("1.2.840.10045.4.3.3")])
        samples.append(sample)
        for sample in samples {
            let error = #expect(throws: CertificateError.self) { try sample.signed() }
            #expect(error?.code == .malformed)
        }
    }

    @Test(arguments: [
        "", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "-----BEGIN X509 CRL-----\n",
    ])
    func `a text without a list is refused`(_ text: String) {
        let error = #expect(throws: CertificateError.self) { try CertificateRevocationList(pemEncoded: text) }
        #expect(error?.code == .malformed)
    }

    @Test func `every cut is refused, and so is anything behind the end`() throws {
        for text in [RevocationListText.versionOne, RevocationListText.reasons] {
            let whole = try CertificateRevocationList(pemEncoded: text).derEncoded
            for count in 0..<whole.count {
                #expect(throws: CertificateError.self) {
                    try CertificateRevocationList(derEncoded: Array(whole.prefix(count)))
                }
            }
            #expect(throws: CertificateError.self) { try CertificateRevocationList(derEncoded: whole + [0]) }
        }
    }

    @Test func `no flipped octet passes for the issuer's list`() throws {
        let issuers = try issuers()
        for (text, issuer) in [(RevocationListText.reasons, issuers.ec), (RevocationListText.pss, issuers.rsa)] {
            let whole = try CertificateRevocationList(pemEncoded: text)
            for index in whole.derEncoded.indices {
                var bytes = whole.derEncoded
                bytes[index] ^= 1 << UInt8(index % 8)
                guard let list = try? CertificateRevocationList(derEncoded: bytes) else { continue }
                #expect(list != whole)
                #expect(!list.isSigned(by: issuer), "octet \(index)")
            }
        }
    }

    @Test func `a list of many entries is searched by its index`() throws {
        var sample = Sample()
        sample.entries = (1...20_000).map { Sample.entry($0 * 2) }
        let list = try sample.signed()
        #expect(list.revokedCount == 20_000)
        for number in 1...40_000 {
            let serial = SerialNumber([UInt8(number >> 16), UInt8(number >> 8 & 0xff), UInt8(number & 0xff)])
            #expect((list.entry(for: serial) != nil) == (number % 2 == 0))
        }
    }
}

extension CertificateRevocationListTests {
    /// A list that openssl does not write.
    struct Sample {
        var entries: [[UInt8]] = []
        var extensions: [[UInt8]] = []
        var innerAlgorithm: [UInt8]?

        /// One key for all, so that certificates of several names have it.
        private static let key = Result { try PrivateKey(generating: .ecP256) }

        static func issuer(_ name: String = "CN=Sample", usage: String = "cRLSign") throws -> Certificate {
            let text = """
                [ v3 ]
                basicConstraints = critical, CA:TRUE
                keyUsage = critical, \(usage)
                """
            return try Samples.parameters(name, key: key.get().publicKey, template: text).selfSigned(by: key.get())
        }

        static func entry(_ serial: Int, reason: UInt8? = nil, extensions: [[UInt8]] = []) -> [UInt8] {
            let number = DER.unsignedInteger([UInt8(serial >> 16), UInt8(serial >> 8 & 0xff), UInt8(serial & 0xff)])
            var all = extensions
            if let reason {
                all.append(
                    CertificateExtension("2.5.29.21", name: "", isCritical: false, value: [0x0a, 0x01, reason])
                        .derEncoded)
            }
            return DER.sequence([number, time] + (all.isEmpty ? [] : [DER.sequence(all)]))
        }

        private static let time = DER.encode(0x17, Array("210102030405Z".utf8))

        func signed() throws -> CertificateRevocationList {
            let key = try Self.key.get()
            let algorithm = DER.sequence([DER.objectIdentifier("1.2.840.10045.4.3.2")])
            var fields = [
                [0x02, 0x01, 0x01], innerAlgorithm ?? algorithm, try DistinguishedName("CN=Sample").derEncoded,
                Self.time,
            ]
            if !entries.isEmpty { fields.append(DER.sequence(entries)) }
            if !extensions.isEmpty { fields.append(DER.encode(0xa0, DER.sequence(extensions))) }
            let list = DER.sequence(fields)
            let signature = try key.signature(for: list, digest: .sha256)
            return try CertificateRevocationList(derEncoded: DER.sequence([list, algorithm, DER.bitString(signature)]))
        }
    }
}

extension String {
    fileprivate var trimmingLineEnd: String { hasSuffix("\n") ? String(dropLast()) : self }
}
