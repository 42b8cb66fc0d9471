// SPDX-License-Identifier: Apache-2.0

import HTTPServer
import Testing

@testable import Lab

/// An accepted request, changed in one place after it was signed, is refused, whatever the place.
@Suite struct TamperingTests {
    private let accepted = "one intermediate is accepted"

    private func expectRefusal(_ lab: FixtureLab, _ request: HTTPRequest, _ what: String) throws {
        let response = try #require(lab.service.answer(request).immediateResponse)
        #expect((400...404).contains(response.status.code), "\(what) was answered with \(response.status)")
        #expect(
            ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"].contains(
                response.headers["X-Amzn-ErrorType"]))
    }

    @Test func `the request is accepted as it is`() throws {
        #expect(try FixtureLab().answer(.named(accepted)).response.status.code == 201)
    }

    @Test(arguments: ["Host", "Content-Type", "X-Amz-Date", "X-Amz-X509", "X-Amz-X509-Chain", "Authorization"])
    func `a header that is missing`(_ header: String) throws {
        var fixture = try FixtureCase.named(accepted)
        fixture.headers.removeAll { $0[0] == header }
        try expectRefusal(FixtureLab(), fixture.request, "a request without \(header)")
    }

    @Test(arguments: ["Host", "Content-Type", "X-Amz-Date", "X-Amz-X509", "X-Amz-X509-Chain", "Authorization"])
    func `a header that stands twice`(_ header: String) throws {
        var fixture = try FixtureCase.named(accepted)
        fixture.headers.append([header, fixture[header]])
        try expectRefusal(FixtureLab(), fixture.request, "a request with two \(header)")
    }

    @Test(arguments: ["Host", "Content-Type", "X-Amz-Date", "X-Amz-X509", "X-Amz-X509-Chain", "Authorization"])
    func `any character of a header`(_ header: String) throws {
        let lab = try FixtureLab()
        let fixture = try FixtureCase.named(accepted)
        let characters = Array(fixture[header].utf8)
        let step = max(1, characters.count / 64)
        for index in stride(from: 0, to: characters.count, by: step) {
            var changed = characters
            changed[index] = changed[index] == 0x41 ? 0x42 : 0x41
            // The parts of Authorization may stand apart by any number of blanks.
            if changed == characters || characters[index] == 0x20 { continue }
            var tampered = fixture
            tampered[header] = String(decoding: changed, as: UTF8.self)
            try expectRefusal(lab, tampered.request, "\(header) changed at \(index)")
        }
    }

    @Test func `any bit of the signature`() throws {
        let lab = try FixtureLab()
        let fixture = try FixtureCase.named(accepted)
        let parts = fixture["Authorization"].split(separator: "Signature=")
        let digits = try #require(parts.last)
        for index in digits.indices {
            let digit = try #require(digits[index].hexDigitValue)
            for bit in 0..<4 {
                var changed = digits
                changed.replaceSubrange(index...index, with: String(digit ^ (1 << bit), radix: 16))
                var tampered = fixture
                tampered["Authorization"] = parts[0] + "Signature=" + changed
                try expectRefusal(lab, tampered.request, "the signature with bit \(bit) of digit \(index) changed")
            }
        }
    }

    @Test(arguments: ["", "00", "zz", "0"])
    func `another signature`(_ signature: String) throws {
        var fixture = try FixtureCase.named(accepted)
        fixture["Authorization"] = fixture["Authorization"].split(separator: "Signature=")[0] + "Signature=" + signature
        try expectRefusal(FixtureLab(), fixture.request, "the signature \"\(signature)\"")
    }

    @Test func `a signature in capitals`() throws {
        var fixture = try FixtureCase.named(accepted)
        let parts = fixture["Authorization"].split(separator: "Signature=")
        fixture["Authorization"] = parts[0] + "Signature=" + parts[1].uppercased()
        try expectRefusal(FixtureLab(), fixture.request, "a signature in capitals")
    }

    @Test func `any character of the query`() throws {
        let lab = try FixtureLab()
        let fixture = try FixtureCase.named(accepted)
        let characters = Array(fixture.target.utf8)
        for index in "/sessions?".utf8.count..<characters.count {
            var changed = characters
            changed[index] = changed[index] == 0x78 ? 0x79 : 0x78
            var tampered = fixture
            tampered.target = String(decoding: changed, as: UTF8.self)
            try expectRefusal(lab, tampered.request, "the query changed at \(index)")
        }
    }

    @Test(arguments: ["&x=1", "&", "&roleArn=arn:aws:iam::123456789012:role/lab-role", "&=", "%", "?"])
    func `more in the query`(_ more: String) throws {
        var fixture = try FixtureCase.named(accepted)
        fixture.target += more
        try expectRefusal(FixtureLab(), fixture.request, "the query with \(more)")
    }

    @Test func `any byte of the body`() throws {
        let lab = try FixtureLab()
        let fixture = try FixtureCase.named(accepted)
        for index in fixture.body.indices {
            var tampered = fixture
            tampered.body.replaceSubrange(index...index, with: "9")
            if tampered.body == fixture.body { continue }
            try expectRefusal(lab, tampered.request, "the body changed at \(index)")
        }
    }

    @Test(arguments: ["", " ", "{}", "{\"durationSeconds\":3601}"])
    func `another body`(_ body: String) throws {
        var fixture = try FixtureCase.named(accepted)
        fixture.body = body
        try expectRefusal(FixtureLab(), fixture.request, "the body \(body)")
    }

    @Test func `any set of signed headers with one left out`() throws {
        let lab = try FixtureLab()
        let fixture = try FixtureCase.named(accepted)
        for name in ["content-type;", "host;", "x-amz-date;", "x-amz-x509;", ";x-amz-x509-chain"] {
            var tampered = fixture
            tampered["Authorization"] = String(tampered["Authorization"].replacing(name, with: "", maxReplacements: 1))
            #expect(tampered["Authorization"] != fixture["Authorization"])
            try expectRefusal(lab, tampered.request, "\(name) left out of the signed headers")
        }
    }
}
