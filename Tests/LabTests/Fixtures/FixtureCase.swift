// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import HTTPServer
import Testing

@testable import Lab

/// A request made by another stack, and the answer that the contract wants.
struct FixtureCase: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var status: Int
    /// The code of the refusal; empty when the request is to be accepted.
    var code: String
    /// The check that is to refuse it.
    var check: String
    var target: String
    var headers: [[String]]
    var body: String

    var testDescription: String { name }

    /// The request as a server hands it over.
    var request: HTTPRequest {
        var received = HTTPHeaders()
        for header in headers { received.append(header[0], header[1]) }
        return HTTPRequest(
            method: .post, target: target, headers: received, body: Array(body.utf8), remoteAddress: "127.0.0.1:50000",
            arrival: .now)
    }

    /// The value of a header.
    subscript(name: String) -> String {
        get { headers.first { $0[0] == name }?[1] ?? "" }
        set { for index in headers.indices where headers[index][0] == name { headers[index][1] = newValue } }
    }

    static let all: [FixtureCase] =
        (try? JSONDecoder().decode([FixtureCase].self, from: Data(FixtureText.requests.utf8))) ?? []

    static func named(_ name: String) throws -> FixtureCase { try #require(all.first { $0.name == name }) }
}

/// The moment at which the fixtures were signed, and chance that is none.
func fixtureEnvironment(now: @escaping @Sendable () -> Date = { fixtureMoment }) -> LabEnvironment {
    LabEnvironment(
        region: "us-east-1",
        account: "123456789012",
        now: now,
        randomBytes: { Array(repeating: 7, count: $0) }
    )
}

/// 2026-03-01T12:00:00Z.
let fixtureMoment = Date(timeIntervalSince1970: 1_772_366_400)

/// A lab as the fixtures expect it, and the ways to change its resources.
struct FixtureLab {
    let service: LabService
    var anchor: TrustAnchor
    var profile: Profile
    var role: Role

    init(
        now: @escaping @Sendable () -> Date = { fixtureMoment },
        faults: LabFaults = LabFaults(),
        observer: @escaping @Sendable (LabEvent) -> Void = { _ in }
    ) throws {
        let environment = fixtureEnvironment(now: now)
        var options = LabService.Options()
        options.traceCount = 4
        options.faults = faults
        options.hosts = ["lab.test"]
        service = try LabService(environment: environment, options: options, observer: observer)
        anchor = TrustAnchor(
            identifier: "a0000000-0000-4000-8000-000000000001", name: "fixture-anchor",
            bundle: try CertificateBundle(reading: FixtureText.root), in: environment)
        anchor.aliasName = "fixture-anchor"
        role = try Role(name: "lab-role", in: environment)
        profile = Profile(
            identifier: "b0000000-0000-4000-8000-000000000002", name: "fixture-profile",
            roleARNs: [role.arn.description], in: environment)
        let other = try Role(name: "other-role", in: environment)
        try service.store.update { $0.roles[other.name] = other }
        try plant()
    }

    /// Makes changes to the resources known to the lab.
    func plant() throws {
        try service.store.update { account in
            account.trustAnchors[anchor.identifier] = anchor
            account.profiles[profile.identifier] = profile
            account.roles[role.name] = role
        }
    }

    /// Answers a request in this process.
    func answer(_ fixture: FixtureCase) throws -> (response: HTTPResponse, trace: Trace) {
        try answer(fixture.request)
    }

    /// Answers a request in this process.
    func answer(_ request: HTTPRequest) throws -> (response: HTTPResponse, trace: Trace) {
        let response = try #require(service.answer(request).immediateResponse)
        return (response, try #require(service.traces.last))
    }
}

/// The body of an error answer.
func message(_ response: HTTPResponse) throws -> String {
    let body = try JSONDecoder().decode([String: String].self, from: Data(response.bodyBytes ?? []))
    return try #require(body["message"])
}
