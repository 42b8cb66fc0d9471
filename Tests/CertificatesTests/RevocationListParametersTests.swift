// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Testing

@testable import Certificates
import SystemSupport

@Suite struct RevocationListParametersTests {
    private static let revoked = Date(timeIntervalSince1970: 1_779_990_000)

    private func parameters(
        _ entries: [RevocationListParameters.Entry] = [], number: [UInt8] = [1]
    ) -> RevocationListParameters {
        RevocationListParameters(
            number: SerialNumber(number), thisUpdate: Samples.now,
            nextUpdate: Samples.now.addingTimeInterval(7 * 86400), entries: entries)
    }

    private func entry(
        _ serial: [UInt8], _ reason: RevocationReason? = nil, invalid: Date? = nil
    ) -> RevocationListParameters.Entry {
        RevocationListParameters.Entry(
            serialNumber: SerialNumber(serial), revocationDate: Self.revoked, reason: reason, invalidityDate: invalid)
    }

    private func code(_ body: () throws -> CertificateRevocationList) -> CertificateErrorCode? {
        do { _ = try body() } catch let error as CertificateError { return error.code } catch {}
        return nil
    }

    /// The values in the list that is signed.
    private func fields(_ list: CertificateRevocationList) throws -> [DER.Element] {
        let outer = try #require(DER.elements(inSequence: list.derEncoded))
        return try #require(DER.elements(in: outer[0].contents))
    }

    @Test(arguments: PrivateKeyTests.kinds)
    func `what is signed is read back, and is the issuer's`(kind: KeyType) throws {
        let key = try PrivateKey(generating: kind)
        let issuer = try Samples.root(key)
        var parameters = parameters([entry([9], .superseded), entry([0x80, 1])], number: [0xff])
        parameters.thisUpdate += 0.75
        let list = try parameters.signed(by: key, issuer: issuer)
        #expect(list.version == 2)
        #expect(list.issuer.derEncoded == issuer.subject.derEncoded)
        #expect(list.thisUpdate == Samples.now)
        #expect(list.nextUpdate == parameters.nextUpdate)
        #expect(list.number == SerialNumber([0xff]))
        #expect(list.authorityKeyIdentifier == issuer.subjectKeyIdentifier)
        #expect(list.extensions.map(\.identifier) == ["2.5.29.35", "2.5.29.20"])
        #expect(list.extensions.allSatisfy { !$0.isCritical })
        #expect(list.unhandledCriticalExtensions.isEmpty && !list.isDelta)
        #expect(list.revokedCount == 2)
        #expect(list.entry(for: SerialNumber([9]))?.reason == .superseded)
        #expect(list.entry(for: SerialNumber([9]))?.revocationDate == Self.revoked)
        #expect(list.entry(for: SerialNumber([0x80, 1]))?.reason == nil)
        #expect(list.isIssued(by: issuer))
        #expect(!list.isIssued(by: try Samples.root(PrivateKey(generating: kind))))
        #expect(list.signatureAlgorithm.digest == (kind == .ecP384 ? "SHA384" : "SHA256"))
    }

    @Test(arguments: RevocationReason.allCases)
    func `every reason is written but the one that says nothing`(reason: RevocationReason) throws {
        let key = try PrivateKey(generating: .ecP256)
        let issuer = try Samples.root(key)
        let parameters = parameters([entry([5], reason)])
        guard reason != .removeFromCRL else {
            #expect(code { try parameters.signed(by: key, issuer: issuer) } == .forbidden)
            return
        }
        let list = try parameters.signed(by: key, issuer: issuer)
        #expect(list.entry(for: SerialNumber([5]))?.reason == (reason == .unspecified ? nil : reason))
        let expected: [UInt8] =
            reason == .unspecified
            ? [0x30, 0x12, 0x02, 0x01, 5, 0x17, 0x0d] + Array("260528174000Z".utf8)
            : [0x30, 0x20, 0x02, 0x01, 5, 0x17, 0x0d] + Array("260528174000Z".utf8)
                + [
                    0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01,
                    UInt8(reason.rawValue),
                ]
        #expect(try Array(fields(list)[5].contents) == expected)
    }

    @Test func `an invalidity date is GeneralizedTime in every year, behind the reason`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let invalid = Date(timeIntervalSince1970: 946_684_799)
        let list = try parameters([entry([5], .keyCompromise, invalid: invalid), entry([6], invalid: invalid)])
            .signed(by: key, issuer: Samples.root(key))
        let date: [UInt8] =
            [0x30, 0x18, 0x06, 0x03, 0x55, 0x1d, 0x18, 0x04, 0x11, 0x18, 0x0f] + Array("19991231235959Z".utf8)
        let entries = try #require(try DER.elements(in: fields(list)[5].contents))
        let first = try #require(DER.elements(in: entries[0].contents))
        let second = try #require(DER.elements(in: entries[1].contents))
        #expect(Array(first[2].contents.suffix(date.count)) == date)
        #expect(first[2].contents.count == date.count + 12)
        #expect(Array(second[2].contents) == date)
        #expect(list.entry(for: SerialNumber([5]))?.reason == .keyCompromise)
        #expect(list.unhandledCriticalExtensions.isEmpty)
    }

    @Test func `a list without entries has no field for them`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let list = try parameters().signed(by: key, issuer: Samples.root(key))
        #expect(try fields(list).map(\.tag) == [0x02, 0x30, 0x30, 0x17, 0x17, 0xa0])
        #expect(list.revokedCount == 0)
        #expect(list.version == 2)
    }

    @Test(arguments: [(2_524_607_999.0, UInt8(0x17), "491231235959Z"), (2_524_608_000.0, 0x18, "20500101000000Z")])
    func `times are UTCTime through 2049 and GeneralizedTime from 2050`(seconds: Double, tag: UInt8, text: String)
        throws
    {
        let key = try PrivateKey(generating: .ecP256)
        let moment = Date(timeIntervalSince1970: seconds)
        var issuer = try Samples.parameters("CN=Root", key: key.publicKey, template: Samples.rootText)
        issuer.notAfter = moment
        var parameters = parameters([entry([5])])
        parameters.thisUpdate = moment
        parameters.nextUpdate = moment.addingTimeInterval(86400 * 365)
        parameters.entries[0].revocationDate = moment
        let list = try parameters.signed(by: key, issuer: issuer.selfSigned(by: key))
        let fields = try fields(list)
        #expect(fields[3].tag == tag && fields[4].tag == 0x18)
        #expect(String(decoding: fields[3].contents, as: UTF8.self) == text)
        let entry = try #require(DER.elements(in: fields[5].contents)?.first.flatMap { DER.elements(in: $0.contents) })
        #expect(entry[1].tag == tag)
        #expect(list.thisUpdate == moment && list.nextUpdate == parameters.nextUpdate)
        #expect(list.entry(for: SerialNumber([5]))?.revocationDate == moment)
    }

    @Test func `entries stand in the order of their numbers, each once`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let issuer = try Samples.root(key)
        let serials: [[UInt8]] = [
            [1, 0], [0xff], [], [0x80], [0x7f], [UInt8](repeating: 0xff, count: 20), [1, 0, 0], [0xfe, 1],
        ]
        let list = try parameters(serials.map { entry($0, .superseded) }).signed(by: key, issuer: issuer)
        let entries = try #require(try DER.elements(in: fields(list)[5].contents))
        let written = try entries.map { try #require(DER.elements(in: $0.contents)?.first) }
        #expect(
            written.map { Array($0.contents) } == [
                [0], [0x7f], [0, 0x80], [0, 0xff], [1, 0], [0, 0xfe, 1], [1, 0, 0],
                [0] + [UInt8](repeating: 0xff, count: 20),
            ]
        )
        for serial in serials { #expect(list.entry(for: SerialNumber(serial)) != nil) }

        let twice = parameters([entry([5]), entry([6]), entry([0, 5], .superseded)])
        let error = #expect(throws: CertificateError.self) { try twice.signed(by: key, issuer: issuer) }
        #expect(error?.code == .forbidden)
        #expect(error?.message.contains("05") == true)
    }

    @Test func `an issuer that may not sign lists, and a key that is not its own, are refused`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let parameters = parameters([entry([5])])
        #expect(
            code { try parameters.signed(by: PrivateKey(generating: .ecP256), issuer: Samples.root(key)) } == .mismatch
        )
        func issuer(_ text: String) throws -> Certificate {
            try Samples.parameters("CN=x", key: key.publicKey, template: text).selfSigned(by: key)
        }
        let noUsage = "[ v3 ]\nbasicConstraints = critical, CA:TRUE"
        let certificatesOnly = noUsage + "\nkeyUsage = critical, keyCertSign"
        let listsOnly = noUsage + "\nkeyUsage = critical, cRLSign"
        #expect(code { try parameters.signed(by: key, issuer: issuer(Samples.clientText)) } == .forbidden)
        #expect(code { try parameters.signed(by: key, issuer: issuer(certificatesOnly)) } == .forbidden)
        #expect(try parameters.signed(by: key, issuer: issuer(noUsage)).revokedCount == 1)
        #expect(try parameters.signed(by: key, issuer: issuer(listsOnly)).revokedCount == 1)
    }

    @Test func `an issuer without a key identifier has one computed`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let text = "[ v3 ]\nbasicConstraints = critical, CA:TRUE\nsubjectKeyIdentifier = 01:02:03"
        let own = try Samples.parameters("CN=x", key: key.publicKey, template: text).selfSigned(by: key)
        #expect(try parameters().signed(by: key, issuer: own).authorityKeyIdentifier == [1, 2, 3])
        let usual = try Samples.root(key)
        #expect(try parameters().signed(by: key, issuer: usual).authorityKeyIdentifier == key.publicKey.keyIdentifier())
    }

    @Test func `times that make no sense are refused`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let issuer = try Samples.root(key)
        func signing(_ change: (inout RevocationListParameters) -> Void) -> CertificateErrorCode? {
            var parameters = parameters([entry([5])])
            change(&parameters)
            return code { try parameters.signed(by: key, issuer: issuer) }
        }
        #expect(signing { _ in } == nil)
        #expect(signing { $0.nextUpdate = $0.thisUpdate } == .forbidden)
        #expect(signing { $0.nextUpdate = $0.thisUpdate.addingTimeInterval(0.5) } == .forbidden)
        #expect(signing { $0.thisUpdate = issuer.notBefore } == nil)
        #expect(signing { $0.thisUpdate = issuer.notBefore.addingTimeInterval(-1) } == .forbidden)
        #expect(signing { $0.thisUpdate = issuer.notAfter } == nil)
        #expect(signing { $0.thisUpdate = issuer.notAfter.addingTimeInterval(1) } == .forbidden)
        for seconds in [Double.infinity, .nan, 253_402_300_800, -62_167_219_201, 1e300] {
            let date = Date(timeIntervalSince1970: seconds)
            #expect(signing { $0.nextUpdate = date } == .forbidden)
            #expect(signing { $0.entries[0].revocationDate = date } == .forbidden)
            #expect(signing { $0.entries[0].invalidityDate = date } == .forbidden)
        }
    }

    @Test(
        arguments: [
            ([], true), ([0x7f] + [UInt8](repeating: 0xff, count: 19), true),
            ([0x80] + [UInt8](repeating: 0, count: 19), false), ([1] + [UInt8](repeating: 0, count: 20), false),
        ] as [([UInt8], Bool)]
    )
    func `a list's number has at most 20 octets`(number: [UInt8], isAllowed: Bool) throws {
        let key = try PrivateKey(generating: .ecP256)
        let issuer = try Samples.root(key)
        let parameters = parameters(number: number)
        #expect(code { try parameters.signed(by: key, issuer: issuer) } == (isAllowed ? nil : .forbidden))
        if isAllowed { #expect(try parameters.signed(by: key, issuer: issuer).number == SerialNumber(number)) }
    }

    @Test func `a list of many entries is made whole`() throws {
        let key = try PrivateKey(generating: .ecP256)
        var generator = SystemRandomNumberGenerator()
        let entries = (0..<20_000).map { index in
            RevocationListParameters.Entry(
                serialNumber: .random(using: &generator),
                revocationDate: Self.revoked.addingTimeInterval(Double(index)),
                reason: [nil, .superseded, .certificateHold][index % 3])
        }
        let list = try parameters(entries).signed(by: key, issuer: Samples.root(key))
        #expect(list.revokedCount == entries.count)
        for entry in entries {
            let found = try #require(list.entry(for: entry.serialNumber))
            #expect(found.revocationDate == entry.revocationDate && found.reason == entry.reason)
        }
    }
}
