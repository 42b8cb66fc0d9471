// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPServer
import Synchronization
import Testing

@testable import Lab
import SystemSupport

@Suite struct LabSeedTests {
    private func root(_ text: String = FixtureText.root) throws -> [Certificate] {
        try Certificate.certificates(in: Array(text.utf8))
    }

    @Test func `its ARNs stay the same as long as the CA does`() throws {
        let first = try LabSeed(certificates: root(), in: fixtureEnvironment())
        let again = try LabSeed(certificates: root(), in: fixtureEnvironment(now: { .distantFuture }))
        #expect(first.trustAnchors.map(\.arn) == again.trustAnchors.map(\.arn))
        #expect(first.profiles.map(\.arn) == again.profiles.map(\.arn))
        #expect(first.roles.map(\.arn) == again.roles.map(\.arn))
        #expect(first.roles.map(\.identifier) == again.roles.map(\.identifier))
    }

    @Test func `another CA has other ARNs`() throws {
        let first = try LabSeed(certificates: root(), in: fixtureEnvironment())
        let other = try LabSeed(certificates: root(FixtureText.otherRoot), in: fixtureEnvironment())
        #expect(first.trustAnchors.map(\.arn) != other.trustAnchors.map(\.arn))
        #expect(first.profiles.map(\.arn) != other.profiles.map(\.arn))
    }

    @Test func `its identifiers have the form of a UUID`() throws {
        let seed = try LabSeed(certificates: root(), in: fixtureEnvironment())
        let anchor = try #require(seed.trustAnchors.first)
        let parts = anchor.identifier.split(separator: "-").map(\.count)
        #expect(parts == [8, 4, 4, 4, 12])
    }

    @Test func `a client certificate is no trust anchor`() throws {
        let error = #expect(throws: LabError.self) {
            try LabSeed(certificates: root(FixtureText.leaf), in: fixtureEnvironment())
        }
        #expect(error?.code == .invalidResource)
        #expect(error?.message.contains("CA:TRUE") == true)
    }

    @Test(arguments: [0, 3])
    func `a trust anchor has one certificate or two`(_ count: Int) throws {
        let certificates = Array(repeating: try root(), count: count).flatMap(\.self)
        #expect(throws: LabError.self) { try LabSeed(certificates: certificates, in: fixtureEnvironment()) }
    }
}

@Suite struct ResourceStoreTests {
    @Test func `subjects are known by their names and kept to a bound`() throws {
        let store = try ResourceStore(environment: fixtureEnvironment())
        let leaf = try #require(try Certificate.certificates(in: Array(FixtureText.leaf.utf8)).first)
        func record(at date: Date) throws -> Subject {
            try store.record(CertificateUse(certificate: leaf, date: date, instanceProperties: [:]))
        }
        let first = try record(at: fixtureMoment)
        let again = try record(at: fixtureMoment.addingTimeInterval(60))
        #expect(first.arn == again.arn)
        #expect(store.subjects.count == 1)
        #expect(store.subjects.first?.lastSeen == fixtureMoment.addingTimeInterval(60))
        #expect(store.subjects.first?.createdAt == fixtureMoment)
    }
}

@Suite struct TraceLogTests {
    @Test(arguments: [0, 1, 3, 4, 9])
    func `it keeps the last ones in their order`(_ count: Int) {
        let log = TraceLog(capacity: 3)
        for number in 0..<count {
            log.append(
                Trace(
                    requestIdentifier: "\(number)", date: fixtureMoment, remoteAddress: "", service: "sts",
                    operation: "GetCallerIdentity"))
        }
        #expect(log.traces.map(\.requestIdentifier) == (0..<count).suffix(3).map(String.init))
    }
}

@Suite struct BoundedCacheTests {
    @Test func `it makes a value once, and never holds more than its bound`() {
        let cache = BoundedCache<Int, Int>(capacity: 4)
        let made = Mutex(0)
        func value(_ key: Int) -> Int {
            cache.value(for: key) {
                made.withLock { $0 += 1 }
                return key * 2
            }
        }
        for _ in 0..<10 { #expect(value(1) == 2) }
        #expect(made.withLock(\.self) == 1)
        for key in 2..<100 { #expect(value(key) == key * 2) }
        _ = value(1)
        #expect(made.withLock(\.self) == 100)
    }
}

@Suite struct SourceIdentityTests {
    @Test func `a long name stands alone`() throws {
        let (response, _) = try FixtureLab().answer(.named("a name of 62 characters is accepted"))
        let text = String(decoding: response.bodyBytes ?? [], as: UTF8.self)
        #expect(text.contains("\"sourceIdentity\":\"\(String(repeating: "x", count: 62))\""))
    }
}

@Suite struct LabServiceTests {
    @Test(arguments: [
        ("GET", "/sessions"), ("POST", "/sessions/"), ("POST", "/Sessions"), ("PUT", "/"), ("POST", "//sessions"),
    ])
    func `what it does not serve is answered as AWS would`(_ method: String, _ target: String) throws {
        let request = HTTPRequest(
            method: try #require(HTTPMethod(rawValue: method)), target: target, headers: ["Host": "localhost"],
            arrival: .now)
        let response = try #require(try FixtureLab().service.answer(request).immediateResponse)
        #expect(response.status == .notFound)
        #expect(response.headers["X-Amzn-ErrorType"] == "UnknownOperationException")
        #expect(try message(response).contains(target))
    }

    @Test func `every request is told to the observer in one line`() throws {
        let lines = Mutex<[String]>([])
        let lab = try FixtureLab(observer: { event in lines.withLock { $0.append(event.summary) } })
        _ = try lab.answer(.named("P-256 is accepted"))
        _ = try lab.answer(.named("an expired certificate is refused"))
        _ = lab.service.answer(HTTPRequest(method: .get, target: "/none", headers: ["Host": "[::1]"], arrival: .now))
        let told = lines.withLock(\.self)
        #expect(told.count == 3)
        #expect(
            told[0].hasPrefix(
                "201 CreateSession from CN=fixture-p256: arn:aws:sts::123456789012:assumed-role/lab-role/"))
        #expect(
            told[1]
                == "403 CreateSession from CN=fixture-expired: certificate rules: the certificate has expired: it was valid until 2021-01-01T00:00:00Z (have it renewed)"
        )
        #expect(told[2] == "404 GET /none: not served by the lab")
        #expect(told.allSatisfy { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } })
    }

    @Test func `the last traces are kept`() throws {
        let lab = try FixtureLab()
        for _ in 0..<6 { _ = try lab.answer(.named("P-256 is accepted")) }
        #expect(lab.service.traces.count == 4)
    }
}
