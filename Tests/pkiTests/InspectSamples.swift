// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

@testable import pki

/// What the suites of `pki inspect` look at.
struct InspectSamples {
    /// 2026-03-01T12:00:00Z.
    static let now = Date(timeIntervalSince1970: 1_772_366_400)

    static let caText = """
        [ v3 ]
        basicConstraints = critical, CA:TRUE, pathlen:1
        keyUsage = critical, keyCertSign, cRLSign
        """

    static let clientText = """
        [ v3 ]
        basicConstraints = CA:FALSE
        keyUsage = critical, digitalSignature
        extendedKeyUsage = clientAuth
        """

    let rootKey: PrivateKey
    let root: Certificate

    init() throws {
        rootKey = try PrivateKey(generating: .ecP256)
        root = try Self.parameters("CN=Root,O=Acme", rootKey, Self.caText, days: 3650).selfSigned(by: rootKey)
    }

    static func parameters(
        _ subject: String, _ key: PrivateKey, _ template: String, serial: [UInt8] = [0x0a, 0xbc], days: Double = 90
    ) throws -> CertificateParameters {
        CertificateParameters(
            serialNumber: SerialNumber(serial), subject: try DistinguishedName(subject), publicKey: key.publicKey,
            notBefore: now.addingTimeInterval(-86_400), notAfter: now.addingTimeInterval(days * 86_400),
            template: try CertificateTemplate(reading: Array(template.utf8), name: "sample.conf"))
    }

    /// A client's certificate below the root.
    func client(
        _ subject: String = "CN=web-1,OU=Ops,O=Acme", key: PrivateKey, template: String = clientText,
        names: [GeneralName] = [], days: Double = 90
    ) throws -> Certificate {
        var parameters = try Self.parameters(subject, key, template, days: days)
        parameters.subjectAlternativeNames = names
        return try parameters.signed(by: rootKey, issuer: root)
    }

    /// The report on a file.
    static func report(on contents: String, passphrase: String? = nil) throws -> InspectReport {
        try #require(InspectReport.reports(on: [file(contents, passphrase: passphrase)], at: now).first)
    }

    static func file(_ contents: String, name: String = "file.pem", passphrase: String? = nil) throws -> InspectedFile {
        try InspectedFile(
            SecretBytes(contents.utf8),
            name: name,
            passphrase: passphrase.map { SecretBytes($0.utf8) }
        )
    }

    /// The report as a program gets it.
    static func json(_ report: InspectReport) throws -> [String: JSONPart] {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .iso8601
        return try JSONDecoder().decode([String: JSONPart].self, from: encoder.encode(report))
    }
}

/// Any JSON.
indirect enum JSONPart: Decodable, Equatable {
    case text(String), number(Double), flag(Bool), list([JSONPart]), object([String: JSONPart])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let list = try? value.decode([JSONPart].self) {
            self = .list(list)
        } else {
            self = .object(try value.decode([String: JSONPart].self))
        }
    }

    subscript(name: String) -> JSONPart? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    subscript(index: Int) -> JSONPart? {
        if case .list(let parts) = self, parts.indices.contains(index) { parts[index] } else { nil }
    }
}
