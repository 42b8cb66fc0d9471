// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Testing

@testable import AWSModel

@Suite struct SessionPreviewTests {
    private let date = Date(timeIntervalSince1970: 1_790_000_000)

    private func certificate(_ subject: String, _ names: [GeneralName] = []) throws -> Certificate {
        let key = try PrivateKey(generating: .ecP256)
        return try CertificateParameters(
            serialNumber: SerialNumber([0x01, 0xff]), subject: DistinguishedName(subject), publicKey: key.publicKey,
            notBefore: date, notAfter: date.addingTimeInterval(3600),
            template: CertificateTemplate(reading: Array("[ v3 ]\nkeyUsage = digitalSignature\n".utf8), name: "test"),
            subjectAlternativeNames: names
        ).selfSigned(by: key)
    }

    @Test func `names become tags, those that repeat in one`() throws {
        let preview = SessionPreview(try certificate("CN=web,OU=inner,OU=outer"))
        #expect(preview.tags.map(\.key) == ["x509Issuer/CN", "x509Issuer/OU", "x509Subject/CN", "x509Subject/OU"])
        #expect(preview.tags.map(\.value) == ["web", "outer/inner", "web", "outer/inner"])
        #expect(preview.dropped.isEmpty)
        #expect(preview.sourceIdentity == "CN=web")
        #expect(preview.sessionName == "01ff")
    }

    @Test func `whatever becomes no tag is told, with the reason`() throws {
        let names: [GeneralName] = [
            .dns("a"), .dns("b"), .email("a@b"), .uri("x:a,b"), .directory(try DistinguishedName("CN=one")),
            .directory(try DistinguishedName("CN=two")), .ip([10, 0, 0, 1]),
        ]
        let preview = SessionPreview(try certificate("O=a\\,b", names))
        #expect(preview.tags.map(\.key) == ["x509SAN/DNS", "x509SAN/Name/CN"])
        #expect(
            preview.dropped.map { "\($0.key)=\($0.value) \($0.reason.rawValue)" } == [
                "x509Subject/O=a,b character", "x509Issuer/O=a,b character", "x509SAN/URI=x:a,b character",
                "x509SAN/DNS=b notFirst", "x509SAN/email=a@b kind", "x509SAN/Name=CN=two notFirst",
                "x509SAN/IP=10.0.0.1 kind",
            ]
        )
        #expect(preview.sourceIdentity == "ID=01ff")
    }
}
