// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The fields of a certificate as they are encoded; libcrypto's view of them hides faults.
struct EncodedCertificate {
    /// The INTEGER of the version; `nil` when the field is left out.
    let version: [UInt8]?
    let serialNumber: [UInt8]
    /// The AlgorithmIdentifier under the signature.
    let innerAlgorithm: DER.Element
    /// The AlgorithmIdentifier beside it.
    let outerAlgorithm: DER.Element
    let issuer: DER.Element
    let subject: DER.Element
    let notBefore: DER.Element
    let notAfter: DER.Element
    let publicKey: DER.Element
    let hasUniqueIdentifiers: Bool
    /// `nil` when the field is left out.
    let extensions: [EncodedExtension]?

    /// Parses a certificate (RFC 5280 §4.1); `nil` when it has another structure.
    init?(_ derEncoded: [UInt8]) {
        guard let outer = DER.elements(inSequence: derEncoded), outer.count == 3, outer[0].tag == DER.sequence,
            let fields = DER.elements(in: outer[0].contents)
        else { return nil }
        var rest = fields[...]
        if let first = rest.first, first.tag == DER.constructed(0) {
            guard let inner = DER.elements(in: first.contents), inner.count == 1, inner[0].tag == DER.integer else {
                return nil
            }
            version = Array(inner[0].contents)
            rest.removeFirst()
        } else {
            version = nil
        }
        let tags = [DER.integer] + [UInt8](repeating: DER.sequence, count: 5)
        guard rest.prefix(6).map(\.tag) == tags else { return nil }
        let body = Array(rest.prefix(6))
        guard let validity = DER.elements(in: body[3].contents), validity.count == 2 else { return nil }
        serialNumber = Array(body[0].contents)
        innerAlgorithm = body[1]
        outerAlgorithm = outer[1]
        issuer = body[2]
        (notBefore, notAfter) = (validity[0], validity[1])
        subject = body[4]
        publicKey = body[5]
        rest = rest.dropFirst(6)
        hasUniqueIdentifiers = rest.contains { [0x81, 0x82, 0xa1, 0xa2].contains($0.tag) }
        if let last = rest.last, last.tag == DER.constructed(3) {
            guard let found = EncodedExtension.extensions(in: last.contents) else { return nil }
            extensions = found
        } else {
            extensions = nil
        }
    }
}

/// The fields of a CRL as they are encoded.
struct EncodedRevocationList {
    struct Entry {
        let serialNumber: ArraySlice<UInt8>
        let date: DER.Element
        let extensions: [EncodedExtension]?
    }

    let issuer: DER.Element
    let outerAlgorithm: DER.Element
    let thisUpdate: DER.Element
    let nextUpdate: DER.Element?
    /// `nil` when the field is left out.
    let entries: [Entry]?
    /// `nil` when the field is left out.
    let extensions: [EncodedExtension]?

    /// Parses a CRL (RFC 5280 §5.1); `nil` when it has another structure.
    init?(_ derEncoded: [UInt8]) {
        guard let outer = DER.elements(inSequence: derEncoded), outer.count == 3,
            let fields = DER.elements(in: outer[0].contents)
        else { return nil }
        var rest = fields.drop { $0.tag == DER.integer }
        guard rest.prefix(2).map(\.tag) == [DER.sequence, DER.sequence], rest.count > 2 else { return nil }
        rest = rest.dropFirst()
        issuer = rest.removeFirst()
        outerAlgorithm = outer[1]
        func isTime(_ element: DER.Element?) -> Bool {
            element?.tag == DER.utcTime || element?.tag == DER.generalizedTime
        }
        guard isTime(rest.first) else { return nil }
        thisUpdate = rest.removeFirst()
        nextUpdate = isTime(rest.first) ? rest.removeFirst() : nil
        if let first = rest.first, first.tag == DER.sequence {
            guard let found = DER.elements(in: first.contents) else { return nil }
            var entries: [Entry] = []
            entries.reserveCapacity(found.count)
            for element in found {
                guard let parts = DER.elements(in: element.contents), (2...3).contains(parts.count),
                    parts[0].tag == DER.integer
                else { return nil }
                var extensions: [EncodedExtension]?
                if parts.count == 3 {
                    guard let found = EncodedExtension.extensions(in: parts[2].encoding) else { return nil }
                    extensions = found
                }
                entries.append(Entry(serialNumber: parts[0].contents, date: parts[1], extensions: extensions))
            }
            self.entries = entries
            rest.removeFirst()
        } else {
            entries = nil
        }
        if let last = rest.last, last.tag == DER.constructed(0) {
            guard let found = EncodedExtension.extensions(in: last.contents) else { return nil }
            extensions = found
        } else {
            extensions = nil
        }
    }
}

struct EncodedExtension {
    /// The object identifier in dots, or its octets in hexadecimal when it is malformed.
    let identifier: String
    let isCritical: Bool
    /// Whether the criticality is written although it is the default.
    let writesDefault: Bool
    /// The contents of the OCTET STRING.
    let value: ArraySlice<UInt8>

    /// Parses a SEQUENCE of extensions (RFC 5280 §4.1.2.9); `nil` when it has another structure.
    static func extensions(in bytes: ArraySlice<UInt8>) -> [EncodedExtension]? {
        guard let members = DER.elements(in: DER.sequence, bytes) else { return nil }
        var extensions: [EncodedExtension] = []
        for member in members {
            guard let parts = DER.elements(in: member.contents), (2...3).contains(parts.count),
                parts[0].tag == DER.identifier, let last = parts.last, last.tag == DER.octetString
            else { return nil }
            let criticality = parts.count == 3 ? parts[1].contents.first : nil
            extensions.append(
                EncodedExtension(
                    identifier: DER.objectIdentifierText(parts[0].contents) ?? hexadecimal(parts[0].contents),
                    isCritical: criticality.map { $0 != 0 } ?? false, writesDefault: criticality == 0,
                    value: last.contents))
        }
        return extensions
    }
}
