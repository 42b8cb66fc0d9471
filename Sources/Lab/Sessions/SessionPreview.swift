// SPDX-License-Identifier: Apache-2.0

package import Certificates

/// What a session of a certificate would carry, with the attribute mappings of a profile that nobody changed.
///
/// It is derived by the code that makes the lab's sessions.
package struct SessionPreview: Sendable {
    /// A tag, `x509Subject/CN`, and its value.
    package struct Tag: Hashable, Sendable {
        /// The key as it stands behind `aws:PrincipalTag/`.
        package let key: String
        /// The value.
        package let value: String
    }

    /// A value of the certificate that becomes no tag.
    package struct DroppedValue: Hashable, Sendable {
        /// Why the service makes no tag of a value.
        package enum Reason: String, Sendable {
            /// A character that tags cannot hold.
            case character
            /// Of alternative names the first of a kind is taken.
            case notFirst
            /// Alternative names of the kind are not taken at all.
            case kind
        }

        /// The key that the tag would have.
        package let key: String
        /// The value.
        package let value: String
        /// Why it is dropped.
        package let reason: Reason
    }

    /// The tags, by their keys.
    package let tags: [Tag]

    /// What becomes no tag, in the order of the certificate.
    package let dropped: [DroppedValue]

    /// The session's `SourceIdentity`.
    package let sourceIdentity: String

    /// The session's name when the request gives none.
    package let sessionName: String

    /// Finds out what a certificate leads to.
    ///
    /// - Parameter certificate: A client's certificate. Whether the service would take it is not looked at.
    package init(_ certificate: Certificate) {
        let attributes = CertificateAttribute.attributes(of: certificate)
        let made = SessionTags(attributes, by: AttributeMapping.defaults)
        tags = made.values.sorted { $0.key < $1.key }.map { Tag(key: $0.key, value: $0.value) }
        var dropped = attributes.filter { made.dropped.contains($0.key) }
            .map { DroppedValue(key: $0.key, value: $0.value, reason: .character) }
        var kinds: Set<String> = []
        for name in certificate.subjectAlternativeNames {
            let (kind, value, isMapped) = Self.parts(of: name)
            let isFirst = kinds.insert(kind).inserted
            if isMapped && isFirst { continue }
            let reason: DroppedValue.Reason = isMapped ? .notFirst : .kind
            dropped.append(DroppedValue(key: "x509SAN/\(kind)", value: value, reason: reason))
        }
        self.dropped = dropped
        sourceIdentity = ClientCertificate.sourceIdentity(of: certificate)
        sessionName = ClientCertificate.sessionName(of: certificate)
    }

    private static func parts(of name: GeneralName) -> (kind: String, value: String, isMapped: Bool) {
        switch name {
        case .dns(let text): ("DNS", text, true)
        case .uri(let text): ("URI", text, true)
        case .directory(let name): ("Name", "\(name)", true)
        case .email(let text): ("email", text, false)
        case .ip: ("IP", String("\(name)".dropFirst("IP:".count)), false)
        case .other(let kind): (kind, "", false)
        }
    }
}

/// What IAM Roles Anywhere wants of a certificate revocation list.
package enum RevocationListRules {
    /// How many bytes of PEM a list may have.
    package static var lengthLimit: Int { RevocationList.lengthLimit }

    /// Finds every rule that a list breaks, whatever trust anchor it is for.
    ///
    /// - Parameter list: The list.
    /// - Returns: The rules; none when the service would take the list for the trust anchor of its issuer.
    package static func broken(by list: CertificateRevocationList) -> [BrokenRule] {
        let length = list.pemEncoded.utf8.count
        var broken: [BrokenRule] = []
        if length > lengthLimit {
            broken.append(
                BrokenRule(
                    "length",
                    "has \(length) bytes in PEM, and AWS takes at most \(lengthLimit)",
                    hint: "leave out what has expired, or let another CA issue"
                )
            )
        }
        return broken + RevocationList.rulesBroken(by: list)
    }
}
