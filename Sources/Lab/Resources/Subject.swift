// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials

/// Who has asked for a session: a certificate's subject, known by its name.
package struct Subject: Hashable, Sendable {
    /// A certificate that was used.
    struct Credential: Codable, Hashable, Sendable {
        var certificate: [UInt8]
        /// In hexadecimal.
        var serialNumber: String
        var issuer: String
        var seenAt: Date
        /// Whether the last request with it was refused.
        var hasFailed: Bool
    }

    /// What a client said of where it runs.
    struct Instance: Codable, Hashable, Sendable {
        var properties: [String: String]
        var seenAt: Date
        var hasFailed: Bool
    }

    /// What it is called in its ARN.
    static let kind = "subject"

    /// So many certificates and instances are remembered, last seen first.
    static let historyLimit = 10

    /// The UUID in the ARN.
    package let identifier: String

    /// The ARN.
    package let arn: AmazonResourceName

    /// The subject's name.
    package let name: DistinguishedName

    /// When a certificate with this name was first used.
    package let createdAt: Date

    /// When one was last used.
    package var lastSeen: Date

    var credentials: [Credential] = []
    var instances: [Instance] = []
    var tags: [Tag] = []

    init(identifier: String, arn: AmazonResourceName, name: DistinguishedName, createdAt: Date, lastSeen: Date) {
        self.identifier = identifier
        self.arn = arn
        self.name = name
        self.createdAt = createdAt
        self.lastSeen = lastSeen
    }

    /// The serial number of the certificate that was last used, in hexadecimal.
    package var serialNumber: String { credentials.first?.serialNumber ?? "" }

    /// Takes down that a certificate was used.
    mutating func record(_ sighting: CertificateUse) {
        lastSeen = sighting.date
        let certificate = sighting.certificate
        let serialNumber = certificate.serialNumber.hexadecimal
        let hasFailed = sighting.session == nil
        if let index = credentials.firstIndex(where: {
            $0.serialNumber == serialNumber && $0.certificate == certificate.derEncoded
        }) {
            credentials[index].seenAt = sighting.date
            credentials[index].hasFailed = hasFailed
            if index > 0 { credentials.insert(credentials.remove(at: index), at: 0) }
        } else {
            let credential = Credential(
                certificate: certificate.derEncoded,
                serialNumber: serialNumber,
                issuer: "\(certificate.issuer)",
                seenAt: sighting.date,
                hasFailed: hasFailed
            )
            credentials = Array(([credential] + credentials).prefix(Self.historyLimit))
        }
        guard !sighting.instanceProperties.isEmpty else { return }
        instances.removeAll { $0.properties == sighting.instanceProperties }
        let instance = Instance(
            properties: sighting.instanceProperties,
            seenAt: sighting.date,
            hasFailed: hasFailed
        )
        instances = Array(([instance] + instances).prefix(Self.historyLimit))
    }
}

extension Subject: Codable {
    private enum CodingKeys: CodingKey {
        case identifier, arn, name, createdAt, lastSeen, credentials, instances, tags
    }

    /// Reads what was kept.
    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        identifier = try values.decode(String.self, forKey: .identifier)
        arn = try values.decode(AmazonResourceName.self, forKey: .arn)
        name = DistinguishedName(derEncoded: Array(try values.decode(Data.self, forKey: .name)))
        createdAt = try values.decode(Date.self, forKey: .createdAt)
        lastSeen = try values.decode(Date.self, forKey: .lastSeen)
        credentials = try values.decode([Credential].self, forKey: .credentials)
        instances = try values.decode([Instance].self, forKey: .instances)
        tags = try values.decode([Tag].self, forKey: .tags)
    }

    /// Keeps the subject. Names are kept by their bytes, which no text gives back.
    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(identifier, forKey: .identifier)
        try values.encode(arn, forKey: .arn)
        try values.encode(Data(name.derEncoded), forKey: .name)
        try values.encode(createdAt, forKey: .createdAt)
        try values.encode(lastSeen, forKey: .lastSeen)
        try values.encode(credentials, forKey: .credentials)
        try values.encode(instances, forKey: .instances)
        try values.encode(tags, forKey: .tags)
    }
}
