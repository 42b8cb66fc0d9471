// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import Testing

@Suite struct TemplateTests {
    /// The directory `templates/` of the repository.
    static let directory = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/templates"

    @Test func `what is compiled in is what stands in the directory`() throws {
        let files = [
            "root.conf": try BuiltInTemplate.root.template, "client.conf": try BuiltInTemplate.client.template,
        ]
        for (name, template) in files {
            let text = try Data(contentsOf: URL(filePath: "\(Self.directory)/\(name)"))
            #expect(try CertificateTemplate(reading: Array(text), name: "templates/\(name)") == template)
        }
    }

    @Test func `every template in the directory parses`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.directory).filter { $0.hasSuffix(".conf") }
        #expect(names.count >= 2)
        for name in names {
            let text = try Data(contentsOf: URL(filePath: "\(Self.directory)/\(name)"))
            let template = try CertificateTemplate(reading: Array(text), name: name)
            #expect(!template.subject.isEmpty, "\(name)")
            let key = try PrivateKey(generating: .ecP256)
            let now = Date(timeIntervalSince1970: 1_780_000_000)
            _ = try CertificateParameters(
                serialNumber: SerialNumber([1]), subject: template.subject, publicKey: key.publicKey, notBefore: now,
                notAfter: now.addingTimeInterval(1), template: template
            ).selfSigned(by: key)
        }
    }
}
