// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// A CRL that was imported for a trust anchor: a snapshot.
struct RevocationList: Hashable, Sendable {
    let identifier: String
    let arn: AmazonResourceName
    var name: String
    var isEnabled: Bool
    let createdAt: Date
    var updatedAt: Date
    let trustAnchorARN: String
    /// The bytes as they were given.
    var data: [UInt8]
    /// The same, read.
    var list: CertificateRevocationList
    var aliasName: String?
    var tags: [Tag] = []

    init(
        identifier: String, name: String, isEnabled: Bool, trustAnchor: TrustAnchor, data: [UInt8],
        in environment: LabEnvironment
    ) throws(ServiceRefusal) {
        self.identifier = identifier
        self.name = name
        self.isEnabled = isEnabled
        self.data = data
        trustAnchorARN = trustAnchor.arn.description
        list = try Self.checked(data, for: trustAnchor)
        arn = AmazonResourceName(
            rolesAnywhere: "crl/\(identifier)", region: environment.region, account: environment.account)
        createdAt = environment.now()
        updatedAt = createdAt
    }

    /// Puts another list in the place of this one.
    mutating func replace(by data: [UInt8], for trustAnchor: TrustAnchor) throws(ServiceRefusal) {
        list = try Self.checked(data, for: trustAnchor)
        self.data = data
    }

    /// Reads a list and checks what the service wants of it.
    private static func checked(
        _ data: [UInt8], for trustAnchor: TrustAnchor
    ) throws(ServiceRefusal) -> CertificateRevocationList {
        guard AWSLimit.crlLength.contains(data.count) else {
            throw .validation(
                "crlData has \(data.count) bytes, not 1 to \(AWSLimit.crlLength.maximum)",
                hint: "leave out what has expired, or let another CA issue")
        }
        let text = String(decoding: data, as: UTF8.self)
        guard text.split(separator: "-----BEGIN X509 CRL-----", omittingEmptySubsequences: false).count <= 2 else {
            throw .validation(
                "crlData has several certificate revocation lists",
                hint: "import each by itself: a trust anchor may have \(AWSLimit.crlCount.maximum)")
        }
        let list: CertificateRevocationList
        do {
            list = try CertificateRevocationList(pemEncoded: text)
        } catch {
            throw .validation(
                "crlData is not a certificate revocation list in PEM: \(error.message)",
                hint: "write it as PEM: openssl crl -inform DER -in FILE")
        }
        if let finding = AWSRules.revocationList.findings(in: list).first {
            throw .validation("the CRL \(finding.finding)", hint: finding.hint)
        }
        let issuers = trustAnchor.certificates.filter { $0.subject == list.issuer }
        guard !issuers.isEmpty else {
            throw .validation(
                "the CRL's issuer \(list.issuer) is not a CA of the trust anchor \(trustAnchor.name)",
                hint: "import it for the trust anchor of its issuer")
        }
        guard let issuer = issuers.first(where: { list.isSigned(by: $0) }) else {
            throw .validation("the CRL is not signed by its issuer's key")
        }
        guard issuer.keyUsage?.contains(.crlSign) ?? true else {
            throw .validation(
                "the keyUsage of \(issuer.subject) lacks cRLSign", hint: "make a CA that may sign CRLs: pki init-ca")
        }
        return list
    }
}

extension RevocationList: Codable {
    private enum CodingKeys: CodingKey {
        case identifier, arn, name, isEnabled, createdAt, updatedAt, trustAnchorARN, data, aliasName, tags
    }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        identifier = try values.decode(String.self, forKey: .identifier)
        arn = try values.decode(AmazonResourceName.self, forKey: .arn)
        name = try values.decode(String.self, forKey: .name)
        isEnabled = try values.decode(Bool.self, forKey: .isEnabled)
        createdAt = try values.decode(Date.self, forKey: .createdAt)
        updatedAt = try values.decode(Date.self, forKey: .updatedAt)
        trustAnchorARN = try values.decode(String.self, forKey: .trustAnchorARN)
        data = Array(try values.decode(Data.self, forKey: .data))
        list = try CertificateRevocationList(pemEncoded: String(decoding: data, as: UTF8.self))
        aliasName = try values.decodeIfPresent(String.self, forKey: .aliasName)
        tags = try values.decode([Tag].self, forKey: .tags)
    }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(identifier, forKey: .identifier)
        try values.encode(arn, forKey: .arn)
        try values.encode(name, forKey: .name)
        try values.encode(isEnabled, forKey: .isEnabled)
        try values.encode(createdAt, forKey: .createdAt)
        try values.encode(updatedAt, forKey: .updatedAt)
        try values.encode(trustAnchorARN, forKey: .trustAnchorARN)
        try values.encode(Data(data), forKey: .data)
        try values.encodeIfPresent(aliasName, forKey: .aliasName)
        try values.encode(tags, forKey: .tags)
    }
}

extension RevocationList: AnywhereResource {
    static let kind = "crl"
    static let noun = "CRL"
    static let table: any WritableKeyPath<Account, Table<RevocationList>> & Sendable = \.revocationLists
}
