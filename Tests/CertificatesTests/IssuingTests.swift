// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SwiftASN1
import SystemSupport
import Testing

@Suite struct IssuingTests {
    @Test(arguments: PrivateKeyTests.kinds)
    func `a key usage that the key cannot have is not written`(kind: KeyType) throws {
        let key = try PrivateKey(generating: kind)
        let certificate = try Samples.parameters("CN=x", key: key.publicKey, template: Samples.clientText).selfSigned(
            by: key)
        let usage = try #require(certificate.keyUsage)
        #expect(usage.contains(.digitalSignature))
        #expect(usage.contains(.keyEncipherment) == (kind == .rsa2048))
        #expect(usage.contains(.keyAgreement) == (kind != .rsa2048))
        #expect(certificate.extensions.first { $0.name == "keyUsage" }?.isCritical == true)
    }

    @Test func `the issuer's name is the CA's subject byte for byte, whatever its string types`() throws {
        // O as PrintableString, CN as T61String: types that nothing here would choose.
        let subject: [UInt8] =
            [0x30, 0x1a] + [0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x0a, 0x13, 0x02, 0x41, 0x42]
            + [0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x14, 0x02, 0x43, 0x44]
        let caKey = try PrivateKey(generating: .ecP256)
        let ours = try Samples.root(caKey, subject: "CN=CD,O=AB")
        // The same root with the other types, signed anew over the changed bytes.
        let foreign = try ours.replacingSubject(subject, key: caKey)
        let leaf = try Samples.parameters("CN=x", key: caKey.publicKey, template: Samples.clientText)
            .signed(by: caKey, issuer: foreign)
        #expect(leaf.issuer.derEncoded == subject)
        #expect(leaf.issuer == foreign.subject)
    }

    @Test func `a foreign key, a CA that is none and a validity outside the CA's are refused`() throws {
        let caKey = try PrivateKey(generating: .ecP256)
        let root = try Samples.root(caKey)
        let key = try PrivateKey(generating: .ecP256)
        var parameters = try Samples.parameters("CN=x", key: key.publicKey, template: Samples.clientText)
        let leaf = try parameters.signed(by: caKey, issuer: root)
        func code(_ body: () throws -> Certificate) -> CertificateErrorCode? {
            do { _ = try body() } catch let error as CertificateError { return error.code } catch {}
            return nil
        }
        #expect(code { try parameters.signed(by: key, issuer: root) } == .mismatch)
        #expect(code { try parameters.signed(by: key, issuer: leaf) } == .forbidden)
        #expect(code { try parameters.selfSigned(by: caKey) } == .mismatch)
        parameters.notAfter = root.notAfter.addingTimeInterval(1)
        #expect(code { try parameters.signed(by: caKey, issuer: root) } == .forbidden)
        parameters.notAfter = root.notAfter
        parameters.notBefore = root.notBefore.addingTimeInterval(-1)
        #expect(code { try parameters.signed(by: caKey, issuer: root) } == .forbidden)
        parameters.notBefore = parameters.notAfter
        #expect(code { try parameters.signed(by: caKey, issuer: root) } == .forbidden)
        parameters.notBefore = root.notBefore
        parameters.serialNumber = SerialNumber([UInt8](repeating: 0xff, count: 20))
        #expect(code { try parameters.signed(by: caKey, issuer: root) } == .forbidden)
        parameters.serialNumber = SerialNumber([])
        #expect(code { try parameters.signed(by: caKey, issuer: root) } == .forbidden)
    }

    @Test(arguments: [(2_524_607_999.0, UInt8(0x17), 13), (2_524_608_000.0, UInt8(0x18), 15)])
    func `times are UTCTime through 2049 and GeneralizedTime from 2050`(seconds: Double, tag: UInt8, count: Int) throws
    {
        let key = try PrivateKey(generating: .ecP256)
        var parameters = try Samples.parameters("CN=x", key: key.publicKey, template: Samples.rootText)
        parameters.notAfter = Date(timeIntervalSince1970: seconds)
        let certificate = try parameters.selfSigned(by: key)
        #expect(certificate.notAfter == parameters.notAfter)
        let text = seconds < 2_524_608_000 ? "491231235959Z" : "20500101000000Z"
        let encoded = [tag, UInt8(count)] + Array(text.utf8)
        #expect(certificate.derEncoded.indices.contains { certificate.derEncoded[$0...].starts(with: encoded) })
    }

    @Test func `name constraints are critical and hold for what is issued below them`() throws {
        let caKey = try PrivateKey(generating: .ecP256)
        var root = try Samples.parameters("CN=Root", key: caKey.publicKey, template: Samples.rootText)
        root.nameConstraints = try NameConstraints(
            permitted: [.init("dns:example.com"), .init("ip:10.0.0.0/8")], excluded: [.init("dns:bad.example.com")])
        root.pathLength = 300
        let certificate = try root.selfSigned(by: caKey)
        #expect(certificate.extensions.first { $0.name == "nameConstraints" }?.isCritical == true)
        #expect(certificate.basicConstraints == BasicConstraints(isCA: true, pathLength: 300))
        let verifier = CertificateVerifier(anchors: [certificate])
        for (name, isAllowed) in [("a.example.com", true), ("bad.example.com", false), ("example.org", false)] {
            var leaf = try Samples.parameters("CN=x", key: caKey.publicKey, template: Samples.clientText)
            leaf.subjectAlternativeNames = [.dns(name)]
            let issued = try leaf.signed(by: caKey, issuer: certificate)
            #expect(((try? verifier.path(for: issued, at: Samples.now)) != nil) == isAllowed, "\(name)")
        }
    }
}

extension Certificates.Certificate {
    /// The certificate with other bytes as subject and issuer, signed with a key.
    fileprivate func replacingSubject(_ name: [UInt8], key: PrivateKey) throws -> Certificates.Certificate {
        let root = try DER.parse(derEncoded)
        guard case .constructed(let parts) = root.content, let first = parts.first(where: { _ in true }) else {
            throw DamagedSample()
        }
        var serializer = DER.Serializer()
        guard case .constructed(let fields) = first.content else { throw DamagedSample() }
        try serializer.appendConstructedNode(identifier: .sequence) { serializer in
            for (index, field) in fields.enumerated() {
                let isName = index == 3 || index == 5
                serializer.serialize(try isName ? DER.parse(name) : field)
            }
        }
        let toBeSigned = serializer.serializedBytes
        let signature = try key.signature(for: toBeSigned, digest: .sha256)
        var whole = DER.Serializer()
        try whole.appendConstructedNode(identifier: .sequence) { whole in
            whole.serialize(try DER.parse(toBeSigned))
            for (index, part) in parts.enumerated() where index == 1 { whole.serialize(part) }
            try whole.serialize(ASN1BitString(bytes: ArraySlice(signature)))
        }
        return try Certificates.Certificate(derEncoded: whole.serializedBytes)
    }
}

private struct DamagedSample: Error {}
