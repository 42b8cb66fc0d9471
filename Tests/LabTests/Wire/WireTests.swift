// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPServer
import Testing

@testable import Lab

@Suite struct RequestTimeTests {
    @Test(arguments: [
        ("19700101T000000Z", 0.0), ("20000229T235959Z", 951_868_799), ("20260301T120000Z", 1_772_366_400),
        ("99991231T235959Z", 253_402_300_799), ("16010101T000000Z", -11_644_473_600),
    ])
    func `a moment is read to the second`(_ text: String, _ seconds: Double) {
        #expect(RequestTime(text)?.date == Date(timeIntervalSince1970: seconds))
    }

    @Test(arguments: [
        "", "20260301", "20260301T120000", "20260301t120000z", "20260301T120000Z ", "20260301 120000Z",
        "20261301T120000Z",
        "20260001T120000Z", "20260229T120000Z", "19000229T120000Z", "20260300T120000Z", "20260432T120000Z",
        "20260301T240000Z", "20260301T126000Z", "20260301T120060Z", "2026030éT20000Z", "+2026030T120000Z",
    ])
    func `what is no moment is refused`(_ text: String) {
        #expect(RequestTime(text) == nil)
    }
}

@Suite struct AuthorizationHeaderTests {
    private let good = "ALG Credential=1/20260301/r/s/t, SignedHeaders=a;b, Signature=0aff"

    @Test(arguments: [
        "ALG Credential=1/20260301/r/s/t, SignedHeaders=a;b, Signature=0aff",
        "ALG Credential=1/20260301/r/s/t,SignedHeaders=a;b,Signature=0aff",
        "ALG Signature=0aff, SignedHeaders=a;b,   Credential=1/20260301/r/s/t",
    ])
    func `the parts are found in any order and spacing`(_ text: String) throws {
        let header = try AuthorizationHeader(["authorization": text], in: .certificate)
        #expect(header.algorithm == "ALG")
        #expect(header.identifier == "1")
        #expect([header.date, header.region, header.service, header.terminator] == ["20260301", "r", "s", "t"])
        #expect(header.signedHeaders == ["a", "b"])
        #expect(header.signature == [0x0a, 0xff])
    }

    @Test(arguments: [
        "", "ALG", "ALG ", "ALG Credential", "ALG Credential=1/2/3/4/5, SignedHeaders=a",
        "ALG Credential=1/2/3/4, SignedHeaders=a, Signature=00",
        "ALG Credential=1/2/3/4/5/6, SignedHeaders=a, Signature=00",
        "ALG Credential=1/2/3/4/5, SignedHeaders=a, Signature=",
        "ALG Credential=1/2/3/4/5, SignedHeaders=a, Signature=0",
        "ALG Credential=1/2/3/4/5, SignedHeaders=a, Signature=0A",
        "ALG Credential=1/2/3/4/5, SignedHeaders=a, Signature=0x00",
        "ALG Credential=1/2/3/4/5, SignedHeaders=a, Signature=00, Signature=00",
        "ALG Credential=1/2/3/4/5, SignedHeaders=a, Signature=00, More=1",
        "ALG Credential=1/2/3/4/5, SignedHeaders=a, Signature=00,",
    ])
    func `what is malformed is refused`(_ text: String) {
        let refusal = #expect(throws: ServiceRefusal.self) {
            try AuthorizationHeader(["Authorization": text], in: .certificate)
        }
        #expect(refusal?.code == .accessDenied)
    }
}

@Suite struct CanonicalRequestTests {
    @Test func `it is rebuilt as the contract describes it`() throws {
        let request = HTTPRequest(
            method: .post, target: "/sessions?b=2&a=%41%2fb&a=1%20+",
            headers: ["HOST": "h", "X-Two": "  one   two ", "x-two": "three\t four", "X-Not": "signed"],
            body: Array("{}".utf8), arrival: .now)
        let canonical = CanonicalRequest(
            request, query: try QueryParameter.parameters(in: request.query), signedHeaders: ["host", "x-two"])
        #expect(
            canonical.text == """
                POST
                /sessions
                a=1%20%2B&a=A%2Fb&b=2
                host:h
                x-two:one two,three four

                host;x-two
                44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
                """
        )
    }

    @Test(arguments: ["%", "%4", "%zz", "a=%ff", "=1", "a=1&&b=2", "&"])
    func `a query that can be read in two ways is refused`(_ query: String) {
        #expect(throws: ServiceRefusal.self) { try QueryParameter.parameters(in: query[...]) }
    }
}
