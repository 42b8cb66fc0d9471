// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPServer
import Synchronization
import Testing

@testable import Lab
import SystemSupport

@Suite struct CreateSessionTests {
    @Test func `the fixtures were read`() {
        #expect(FixtureCase.all.count > 80)
    }

    @Test(arguments: FixtureCase.all)
    func `every request of another stack gets the contract's answer`(_ fixture: FixtureCase) throws {
        let (response, trace) = try FixtureLab().answer(fixture)
        #expect(response.status.code == fixture.status, "\(trace.failure?.detail ?? "")")
        #expect(response.headers["X-Amzn-ErrorType"] ?? "" == fixture.code)
        #expect(trace.failure?.check.rawValue ?? "" == fixture.check)
        #expect(trace.status == fixture.status)
        #expect(response.headers["x-amzn-RequestId"] == trace.requestIdentifier)
        if !fixture.code.isEmpty {
            let text = try message(response)
            #expect(!text.isEmpty)
        }
    }

    @Test(arguments: FixtureCase.all)
    func `the checks come in their documented order`(_ fixture: FixtureCase) throws {
        let (_, trace) = try FixtureLab().answer(fixture)
        let order = Check.ofCreateSession
        let places = trace.entries.compactMap { order.firstIndex(of: $0.check) }
        #expect(places == Array(0..<trace.entries.count))
        let firstFailure = trace.entries.firstIndex { !$0.passed } ?? trace.entries.count - 1
        #expect(firstFailure == trace.entries.count - 1)
    }

    @Test func `a session has every member of the contract`() throws {
        let (response, trace) = try FixtureLab().answer(.named("P-256 is accepted"))
        let body = try #require(response.bodyBytes)
        let serial = FixtureText.leafSerialHexadecimal
        let output = try JSONDecoder().decode(SessionDocument.self, from: Data(body))
        let set = try #require(output.credentialSet.first)
        #expect(output.credentialSet.count == 1)
        #expect(set.assumedRoleUser.arn == "arn:aws:sts::123456789012:assumed-role/lab-role/\(serial)")
        #expect(set.assumedRoleUser.assumedRoleId.hasSuffix(":\(serial)"))
        #expect(set.assumedRoleUser.assumedRoleId.hasPrefix("AROA"))
        #expect(set.assumedRoleUser.assumedRoleId.count == 22 + serial.count)
        #expect(set.roleArn == "arn:aws:iam::123456789012:role/lab-role")
        #expect(set.sourceIdentity == "CN=fixture-p256")
        #expect(set.packedPolicySize == 10)
        #expect(set.credentials.accessKeyId.hasPrefix("ASIA"))
        #expect(set.credentials.accessKeyId.count == 20)
        #expect(set.credentials.secretAccessKey.count == 40)
        #expect(set.credentials.sessionToken.count > 200)
        #expect(set.credentials.expiration == "2026-03-01T13:00:00Z")
        #expect(output.subjectArn.hasPrefix("arn:aws:rolesanywhere:us-east-1:123456789012:subject/"))
        #expect(response.headers["Content-Type"] == "application/json")
        #expect(trace.assumedRole == set.assumedRoleUser.arn)
        #expect(trace.entries.map(\.check) == Check.ofCreateSession)
    }

    /// The members of the answer that clients read.
    struct SessionDocument: Decodable {
        struct Credentials: Decodable { var accessKeyId, secretAccessKey, sessionToken, expiration: String }
        struct User: Decodable { var arn, assumedRoleId: String }
        struct CredentialSet: Decodable {
            var assumedRoleUser: User
            var credentials: Credentials
            var packedPolicySize: Int
            var roleArn, sourceIdentity: String
        }
        var credentialSet: [CredentialSet]
        var subjectArn: String
    }

    private func expiration(_ response: HTTPResponse) throws -> String? {
        let document = try JSONDecoder().decode(SessionDocument.self, from: Data(response.bodyBytes ?? []))
        return document.credentialSet.first?.credentials.expiration
    }

    @Test(arguments: [
        ("the shortest duration is accepted", "2026-03-01T12:15:00Z"),
        ("the longest duration is cut to the profile's", "2026-03-01T13:00:00Z"),
        ("an empty body is accepted", "2026-03-01T13:00:00Z"),
    ])
    func `a session lasts as long as profile and request allow`(_ name: String, _ expected: String) throws {
        #expect(try expiration(try FixtureLab().answer(.named(name)).response) == expected)
    }

    @Test func `a session above the role's maximum is refused`() throws {
        var lab = try FixtureLab()
        lab.profile.durationSeconds = 43_200
        try lab.plant()
        let (response, trace) = try lab.answer(.named("the longest duration is cut to the profile's"))
        #expect(response.status.code == 403)
        #expect(trace.failure?.check == .roleDuration)
        #expect(try message(response).hasPrefix("Unable to assume role"))
        lab.role.maximumSessionDuration = 43_200
        try lab.plant()
        let longer = try lab.answer(.named("the longest duration is cut to the profile's")).response
        #expect(try expiration(longer) == "2026-03-02T00:00:00Z")
    }

    @Test func `a session is named when the profile allows it`() throws {
        var lab = try FixtureLab()
        lab.profile.acceptsRoleSessionName = true
        try lab.plant()
        let (response, trace) = try lab.answer(.named("a session name is refused unless the profile allows it"))
        #expect(response.status.code == 201)
        #expect(trace.assumedRole == "arn:aws:sts::123456789012:assumed-role/lab-role/build-7")
    }

    @Test func `the refusal to name a session has AWS's words`() throws {
        let (response, _) = try FixtureLab().answer(.named("a session name is refused unless the profile allows it"))
        #expect(try message(response) == "Not authorized to set roleSessionName.")
    }

    @Test(arguments: [("a certificate of another root is refused"), ("an expired certificate is refused")])
    func `an untrusted certificate is refused in AWS's words`(_ name: String) throws {
        let (response, _) = try FixtureLab().answer(.named(name))
        #expect(try message(response).hasPrefix("Untrusted signing certificate"))
    }

    @Test(arguments: [Check.trustAnchor, .profile])
    func `a disabled resource is not found`(_ check: Check) throws {
        var lab = try FixtureLab()
        if check == .trustAnchor { lab.anchor.isEnabled = false } else { lab.profile.isEnabled = false }
        try lab.plant()
        let (response, trace) = try lab.answer(.named("P-256 is accepted"))
        #expect(response.status.code == 404)
        #expect(response.headers["X-Amzn-ErrorType"] == "ResourceNotFoundException")
        #expect(trace.failure?.check == check)
    }

    @Test func `another trust anchor does not vouch for the certificate`() throws {
        var lab = try FixtureLab()
        lab.anchor = TrustAnchor(
            identifier: lab.anchor.identifier, name: lab.anchor.name,
            bundle: try CertificateBundle(reading: FixtureText.otherRoot), in: fixtureEnvironment())
        // First accepted, so that a remembered path would show.
        #expect(try lab.answer(.named("P-256 is accepted")).response.status.code == 201)
        try lab.plant()
        let (response, trace) = try lab.answer(.named("P-256 is accepted"))
        #expect(response.status.code == 403)
        #expect(trace.failure?.check == .path)
    }

    @Test func `a remembered path ends with the first certificate that expires`() throws {
        let clock = MovableClock()
        let lab = try FixtureLab(now: { clock.now })
        let fixture = try FixtureCase.named("an intermediate that expires two minutes later is accepted")
        #expect(try lab.answer(fixture).response.status.code == 201)
        clock.now = fixtureMoment.addingTimeInterval(121)
        let (response, trace) = try lab.answer(fixture)
        #expect(response.status.code == 403)
        #expect(trace.failure?.check == .path)
        clock.now = fixtureMoment
        #expect(try lab.answer(fixture).response.status.code == 201)
    }

    @Test func `an invalid signature leaves the canonical request in the trace`() throws {
        let (response, trace) = try FixtureLab().answer(.named("another key's signature is refused"))
        let canonical = try #require(trace.canonicalRequest)
        #expect(canonical.lab.hasPrefix("POST\n/sessions\nprofileArn=arn%3Aaws%3Arolesanywhere%3A"))
        #expect(canonical.lab.contains("\nhost:lab.test\n"))
        #expect(try message(response) == "Invalid signature")
    }

    @Test func `a serial number in hexadecimal is recognised`() throws {
        let (_, trace) = try FixtureLab().answer(.named("a serial number in hexadecimal is refused"))
        #expect(trace.failure?.detail == "the credential's serial number is in hexadecimal")
    }

    @Test func `the secret and the token stand in no trace`() throws {
        let lab = try FixtureLab()
        let (response, trace) = try lab.answer(.named("P-256 is accepted"))
        let document = try JSONDecoder().decode(SessionDocument.self, from: Data(response.bodyBytes ?? []))
        let credentials = try #require(document.credentialSet.first?.credentials)
        var text = ""
        dump(trace, to: &text)
        text += trace.json.text
        #expect(!text.contains(credentials.secretAccessKey))
        #expect(!text.contains(credentials.sessionToken))
    }
}

/// A clock that a test moves.
final class MovableClock: Sendable {
    private let moment = Mutex(fixtureMoment)

    var now: Date {
        get { moment.withLock { $0 } }
        set { moment.withLock { $0 = newValue } }
    }
}
