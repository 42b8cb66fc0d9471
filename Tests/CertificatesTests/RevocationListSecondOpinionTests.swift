// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SwiftASN1
import Testing
import X509

/// What is made here, read with the types of swift-asn1 and swift-certificates, which know no lists but all their parts.
@Suite struct RevocationListSecondOpinionTests {
    @Test(arguments: PrivateKeyTests.kinds)
    func `swift-asn1 reads a list, and swift-certificates accepts its signature`(kind: KeyType) throws {
        let key = try PrivateKey(generating: kind)
        let issuer = try Samples.root(key)
        let revoked = Samples.now.addingTimeInterval(-7)
        let invalid = Samples.now.addingTimeInterval(-70)
        let list = try RevocationListParameters(
            number: SerialNumber([0x12, 0x34]),
            thisUpdate: Samples.now,
            nextUpdate: Samples.now.addingTimeInterval(86400),
            entries: [
                .init(serialNumber: SerialNumber([0x90]), revocationDate: revoked),
                .init(
                    serialNumber: SerialNumber([3]),
                    revocationDate: revoked,
                    reason: .certificateHold,
                    invalidityDate: invalid
                ),
            ]
        ).signed(by: key, issuer: issuer)

        let theirs = try SignedList(derEncoded: list.derEncoded)
        let root = try X509.Certificate(derEncoded: issuer.derEncoded)
        #expect(theirs.version == 1)
        #expect(theirs.issuer == issuer.subject.derEncoded)
        #expect(theirs.updates == [try UTCTime(Samples.now), try UTCTime(Samples.now.addingTimeInterval(86400))])
        #expect(theirs.entries.map(\.serialNumber) == [[3], [0x90]])
        #expect(try theirs.entries.map(\.date) == Array(repeating: UTCTime(revoked), count: 2))
        #expect(theirs.entries[1].extensions.isEmpty)
        let (reason, date) = (theirs.entries[0].extensions[0], theirs.entries[0].extensions[1])
        #expect(reason.oid == [2, 5, 29, 21] && !reason.critical && Array(reason.value) == [0x0a, 0x01, 6])
        #expect(date.oid == [2, 5, 29, 24] && !date.critical)
        #expect(try GeneralizedTime(derEncoded: date.value) == GeneralizedTime(invalid))
        let identifier = try AuthorityKeyIdentifier(theirs.extensions[0])
        #expect(identifier.authorityCertSerialNumber == nil && identifier.authorityCertIssuer == nil)
        #expect(identifier.keyIdentifier == (try root.extensions.subjectKeyIdentifier?.keyIdentifier))
        #expect(theirs.extensions[1].oid == [2, 5, 29, 20])
        #expect(try Int(derEncoded: theirs.extensions[1].value) == 0x1234)
        let algorithm: X509.Certificate.SignatureAlgorithm =
            switch kind {
            case .ecP384: .ecdsaWithSHA384
            case .rsa2048: .sha256WithRSAEncryption
            default: .ecdsaWithSHA256
            }
        #expect(
            root.publicKey.isValidSignature(
                theirs.signature,
                for: theirs.signedBytes,
                signatureAlgorithm: algorithm
            )
        )
    }
}

/// A CertificateList (RFC 5280 §5.1) in the types of swift-asn1.
private struct SignedList: DERParseable {
    struct Entry {
        var serialNumber: [UInt8]
        var date: UTCTime
        var extensions: [X509.Certificate.Extension]
    }

    var signedBytes: [UInt8] = []
    var version = 0
    var issuer: [UInt8] = []
    var updates: [UTCTime] = []
    var entries: [Entry] = []
    var extensions: [X509.Certificate.Extension] = []
    var signature: [UInt8] = []

    init(derEncoded node: ASN1Node) throws {
        try SwiftASN1.DER.sequence(node, identifier: .sequence) { outer in
            guard let list = outer.next() else { throw DamagedList() }
            signedBytes = Array(list.encodedBytes)
            try read(list)
            _ = outer.next()
            signature = Array(try ASN1BitString(derEncoded: &outer).bytes)
        }
    }

    private mutating func read(_ list: ASN1Node) throws {
        try SwiftASN1.DER.sequence(list, identifier: .sequence) { fields in
            version = try Int(derEncoded: &fields)
            _ = fields.next()
            issuer = fields.next().map { Array($0.encodedBytes) } ?? []
            updates = try [UTCTime(derEncoded: &fields), UTCTime(derEncoded: &fields)]
            guard let revoked = fields.next() else { throw DamagedList() }
            entries = try SwiftASN1.DER.sequence(revoked, identifier: .sequence) { nodes in
                var entries: [Entry] = []
                while let node = nodes.next() { entries.append(try Self.entry(node)) }
                return entries
            }
            extensions = try SwiftASN1.DER.explicitlyTagged(&fields, tagNumber: 0, tagClass: .contextSpecific) { node in
                try SwiftASN1.DER.sequence(of: X509.Certificate.Extension.self, identifier: .sequence, rootNode: node)
            }
        }
    }

    private static func entry(_ node: ASN1Node) throws -> Entry {
        try SwiftASN1.DER.sequence(node, identifier: .sequence) { fields in
            let serialNumber = try ArraySlice<UInt8>(derEncoded: &fields)
            let date = try UTCTime(derEncoded: &fields)
            var extensions: [X509.Certificate.Extension] = []
            if let node = fields.next() {
                extensions = try SwiftASN1.DER.sequence(
                    of: X509.Certificate.Extension.self,
                    identifier: .sequence,
                    rootNode: node
                )
            }
            return Entry(serialNumber: Array(serialNumber), date: date, extensions: extensions)
        }
    }
}

extension UTCTime {
    fileprivate init(_ date: Date) throws {
        let time = CivilTime(date)
        try self.init(
            year: time.year,
            month: time.month,
            day: time.day,
            hours: time.hour,
            minutes: time.minute,
            seconds: time.second
        )
    }
}

extension GeneralizedTime {
    fileprivate init(_ date: Date) throws {
        let time = CivilTime(date)
        try self.init(
            year: time.year,
            month: time.month,
            day: time.day,
            hours: time.hour,
            minutes: time.minute,
            seconds: time.second,
            fractionalSeconds: 0
        )
    }
}

private struct DamagedList: Error {}
