// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport
import Testing

@testable import Certificates

@Suite struct OCSPTests {
    private static let identifier = DER.sequence([DER.objectIdentifier("1.3.14.3.2.26"), [0x05, 0x00]])

    private static func certificate(_ serial: [UInt8] = [1], algorithm: [UInt8] = identifier) -> [UInt8] {
        DER.sequence([
            algorithm, DER.encode(DER.octetString, [UInt8](repeating: 1, count: 20)),
            DER.encode(DER.octetString, [UInt8](repeating: 2, count: 20)), DER.encode(DER.integer, serial),
        ])
    }

    private static func encoded(
        _ certificates: [[UInt8]], before: [UInt8] = [], extensions: [[UInt8]]? = nil, after: [UInt8] = []
    ) -> [UInt8] {
        let list = DER.sequence(certificates.map { DER.sequence([$0]) })
        let added = extensions.map { DER.encode(DER.constructed(2), DER.sequence($0)) } ?? []
        return DER.sequence([DER.sequence([before, list, added])]) + after
    }

    private static func nonce(_ octets: [UInt8], wrapped: Bool = true, isCritical: Bool = false) -> [UInt8] {
        let value = wrapped ? DER.encode(DER.octetString, octets) : octets
        return CertificateExtension(
            "1.3.6.1.5.5.7.48.1.2", name: "", isCritical: isCritical, value: value
        ).derEncoded
    }

    private static let unknown = DER.sequence([DER.objectIdentifier("1.2.3.4"), DER.encode(DER.octetString, [])])
    private static let unknownCritical = DER.sequence([
        DER.objectIdentifier("1.2.3.4"), DER.true, DER.encode(DER.octetString, []),
    ])

    private static func code(of bytes: [UInt8]) -> CertificateErrorCode? {
        do throws(CertificateError) {
            _ = try OCSPRequest(derEncoded: bytes)
            return nil
        } catch {
            return error.code
        }
    }

    @Test func `A request has its certificates and its nonce`() throws {
        let ids = [Self.certificate([0x7f]), Self.certificate([0x00, 0x80])]
        let request = try OCSPRequest(
            derEncoded: Self.encoded(ids, extensions: [Self.unknown, Self.nonce([9, 8, 7])]))
        #expect(request.certificates.map(\.derEncoded) == ids)
        #expect(request.certificates.map(\.serialNumber) == [SerialNumber([0x7f]), SerialNumber([0x80])])
        #expect(request.certificates[0].digest == .sha1)
        #expect(request.certificates[0].issuerNameHash == [UInt8](repeating: 1, count: 20))
        #expect(request.certificates[0].issuerKeyHash == [UInt8](repeating: 2, count: 20))
        #expect(request.nonce == [9, 8, 7])
    }

    @Test func `The version, a requestor's name and a signature may be there`() throws {
        let name = DER.encode(DER.constructed(1), DER.encode(DER.implicit(2), Array("a.example".utf8)))
        let version = DER.encode(DER.constructed(0), [DER.integer, 1, 0])
        // DER leaves a default out, but clients write it.
        let request = Self.encoded([Self.certificate()], before: version + name)
        #expect(try OCSPRequest(derEncoded: request).nonce == nil)
        let parts = try #require(DER.elements(inSequence: request))
        let signed = DER.sequence([Array(parts[0].encoding), DER.encode(DER.constructed(0), DER.sequence([]))])
        #expect(try OCSPRequest(derEncoded: signed).certificates.count == 1)
    }

    @Test(arguments: [1, 32, 128]) func `A nonce may have 1 to 128 octets`(count: Int) throws {
        let octets = [UInt8](repeating: 5, count: count)
        let request = Self.encoded([Self.certificate()], extensions: [Self.nonce(octets, isCritical: true)])
        #expect(try OCSPRequest(derEncoded: request).nonce == octets)
    }

    @Test(
        arguments: [
            [], [0x30], [0x30, 0x80, 0, 0], [0x30, 0x84, 0xff, 0xff, 0xff, 0xff], [0x30, 0x85, 0, 0, 0, 0, 0],
            [UInt8](repeating: 0x30, count: 60_000), [UInt8](repeating: 0xa0, count: 10_000),
            encoded([]), encoded([certificate()], after: [0]), encoded([certificate()], before: [0xa0, 3, 2, 1, 1]),
            encoded([certificate([])]), encoded([certificate([0, 1])]),
            encoded([certificate(algorithm: DER.sequence([]))]),
            encoded([
                certificate(algorithm: DER.sequence([DER.objectIdentifier("1.3.14.3.2.26"), DER.sequence([])]))
            ]),
            encoded([DER.sequence([identifier])]), encoded([certificate()], extensions: []),
            encoded([certificate()], extensions: [unknownCritical]), encoded([certificate()], extensions: [nonce([])]),
            encoded([certificate()], extensions: [nonce([UInt8](repeating: 0, count: 129))]),
            encoded([certificate()], extensions: [nonce([UInt8](repeating: 0, count: 1_000_000))]),
            encoded([certificate()], extensions: [nonce([1, 2, 3], wrapped: false)]),
            encoded([certificate()], extensions: [nonce([1]), nonce([2])]),
            encoded([[UInt8]](repeating: certificate(), count: 101)),
            encoded([[UInt8]](repeating: certificate(), count: 5_000)),
        ] as [[UInt8]]) func `What is not a request is malformed`(bytes: [UInt8])
    {
        #expect(Self.code(of: bytes) == .malformed)
    }

    @Test func `No damaged octet makes more of a request than it was`() throws {
        let bytes = Self.encoded([Self.certificate()], extensions: [Self.nonce([1, 2, 3])])
        for index in bytes.indices {
            for value in [0x00, 0x01, 0x30, 0x7f, 0x80, 0x84, 0xa0, 0xff] as [UInt8] {
                var damaged = bytes
                damaged[index] = value
                guard let request = try? OCSPRequest(derEncoded: damaged) else { continue }
                #expect(request.certificates.count == 1)
            }
            #expect(Self.code(of: Array(bytes[..<index])) == .malformed)
        }
    }

    @Test(
        arguments: [[0x00], [0x7f], [0x00, 0xff], [0x80], [0xff], [0xff, 0x00], [0x80, 0x00], [0xfe, 0xff]] as [[UInt8]]
    )
    func `A serial number is read as it is written`(contents: [UInt8]) throws {
        let number = try #require(SerialNumber(derContents: contents[...]))
        #expect(number.derEncoded == DER.encode(DER.integer, contents))
    }

    // MARK: - Responses

    private static let now = Date(timeIntervalSince1970: 1_700_000_000)

    private static func signer() throws -> (OCSPSigner, Certificate, PrivateKey) {
        let rootKey = try PrivateKey(generating: .ecP256)
        let root = try CertificateParameters(
            serialNumber: SerialNumber([1]), subject: DistinguishedName("CN=Root"), publicKey: rootKey.publicKey,
            notBefore: now, notAfter: now + 86_400,
            template: CertificateTemplate(
                reading: Array("[ v3 ]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n".utf8),
                name: "root")
        ).selfSigned(by: rootKey)
        let key = try PrivateKey(generating: .ecP256)
        let certificate = try CertificateParameters(
            serialNumber: SerialNumber([2]), subject: DistinguishedName("CN=OCSP"), publicKey: key.publicKey,
            notBefore: now, notAfter: now + 3_600,
            template: CertificateTemplate(
                reading: Array("[ v3 ]\nextendedKeyUsage = OCSPSigning\nnoCheck = ignored\n".utf8), name: "ocsp")
        ).signed(by: rootKey, issuer: root)
        return (try OCSPSigner(issuer: root, certificate: certificate, key: key), root, key)
    }

    private static func identifier(_ root: Certificate, _ digest: OCSPDigest, serial: UInt8) throws -> [UInt8] {
        let issuer = try #require(digest.issuer(root))
        let algorithm = digest == .sha1 ? OCSPIdentifier.sha1 : OCSPIdentifier.sha256
        return DER.sequence([
            DER.sequence([algorithm]), DER.encode(DER.octetString, issuer.name),
            DER.encode(DER.octetString, issuer.key), DER.encode(DER.integer, [serial]),
        ])
    }

    @Test(arguments: [OCSPDigest.sha1, .sha256]) func `An issuer is known by both hashes`(digest: OCSPDigest) throws {
        let (signer, root, _) = try Self.signer()
        let (_, other, _) = try Self.signer()
        let ours = try OCSPRequest(derEncoded: Self.encoded([Self.identifier(root, digest, serial: 3)]))
        let theirs = try OCSPRequest(derEncoded: Self.encoded([Self.identifier(other, digest, serial: 3)]))
        #expect(signer.answers(for: ours.certificates[0]))
        #expect(!signer.answers(for: theirs.certificates[0]))
    }

    @Test func `A hash function that is not known leads to no issuer`() throws {
        let (signer, _, _) = try Self.signer()
        let md5 = DER.sequence([DER.objectIdentifier("1.2.840.113549.2.5"), [0x05, 0x00]])
        let request = try OCSPRequest(derEncoded: Self.encoded([Self.certificate(algorithm: md5)]))
        #expect(request.certificates[0].digest == .other)
        #expect(!signer.answers(for: request.certificates[0]))
    }

    @Test func `A response is DER and says what it was told`() throws {
        let (signer, root, key) = try Self.signer()
        let request = try OCSPRequest(
            derEncoded: Self.encoded(try (3...5).map { try Self.identifier(root, .sha256, serial: $0) }))
        let statuses = [OCSPStatus.good, .revoked(at: Self.now - 60, .superseded), .unknown]
        let answers = zip(request.certificates, statuses).map {
            OCSPAnswer(certificate: $0, status: $1, thisUpdate: Self.now, nextUpdate: Self.now + 60)
        }
        let bytes = try signer.response(answers, nonce: [7], producedAt: Self.now)
        #expect(DER.defect(in: bytes[...]) == nil)
        let outer = try #require(DER.elements(inSequence: bytes))
        #expect(Array(outer[0].encoding) == [DER.enumerated, 1, 0])
        let basic = try #require(
            DER.elements(in: DER.constructed(0), outer[1].encoding)
                .flatMap { DER.elements(in: $0[0].contents) }
                .flatMap { DER.elements(in: $0[1].contents) }
                .flatMap { DER.elements(in: $0[0].contents) })
        let signature = Array(basic[2].contents.dropFirst())
        #expect(
            try SignatureVerifier(key.publicKey).isValid(
                signature: signature, for: Array(basic[0].encoding), digest: .sha256))
        let data = try #require(DER.elements(in: basic[0].contents))
        let singles = try #require(DER.elements(in: data[2].contents))
        let found = singles.compactMap { DER.elements(in: $0.contents) }
        #expect(found.map { Array($0[0].encoding) } == request.certificates.map(\.derEncoded))
        #expect(found.map { $0[1].tag } == [0x80, 0xa1, 0x82])
        #expect(Array(found[1][1].contents.suffix(5)) == [0xa0, 3, DER.enumerated, 1, 4])
    }

    @Test(
        arguments: [(OCSPRefusal.malformedRequest, 1), (.internalError, 2), (.tryLater, 3), (.unauthorized, 6)]
            as [(OCSPRefusal, UInt8)])
    func `A refusal is a status alone`(refusal: OCSPRefusal, code: UInt8) {
        #expect(refusal.derEncoded == [0x30, 3, DER.enumerated, 1, code])
    }
}
