// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Synchronization
import SystemSupport
import Testing

@testable import RolesAnywhere

struct SessionClientTests {
    private func client(
        _ transport: ScriptedTransport,
        _ dependencies: DrivenSurroundings = DrivenSurroundings(),
        attempts: Int = 4,
        region: String = "us-east-1",
        observer: @escaping @Sendable (SessionEvent) -> Void = { _ in }
    ) throws -> SessionClient {
        SessionClient(
            endpoint: try Endpoint(region: "us-east-1"), region: region, transport: transport,
            retryPolicy: RetryPolicy(attempts: attempts, firstDelay: .seconds(1), longestDelay: .seconds(20)),
            dependencies: dependencies.dependencies, observer: observer)
    }

    private static func unreachable(isTransient: Bool = true) -> RolesAnywhereError {
        RolesAnywhereError(.unreachable, "no connection", isTransient: isTransient)
    }

    @Test(arguments: [200, 201, 204])
    func `any success is taken`(status: Int) throws {
        var response = HTTPResponse.credentials()
        response.status = status
        let transport = ScriptedTransport(response)
        let credentials = try client(transport).createSession(.example(), as: .example())
        #expect(credentials.accessKeyID == "ASIAEXAMPLE")
        let request = try #require(transport.requests.first)
        #expect(request.method == "POST")
        #expect(
            request.url.description.hasPrefix(
                "https://rolesanywhere.us-east-1.amazonaws.com/sessions?profileArn=arn%3A"))
        #expect(request.headers["Content-Type"] == "application/json")
        #expect(request.headers["X-Amz-X509-Chain"] != nil)
    }

    @Test func `what may pass is tried again, signed afresh, with waits that grow`() throws {
        let transport = ScriptedTransport([
            .success(.failure(503, "ServiceUnavailableException", "busy")),
            .failure(Self.unreachable()),
            .success(.failure(400, "ThrottlingException", "Rate exceeded")),
            .success(.credentials()),
        ])
        let dependencies = DrivenSurroundings()
        _ = try client(transport, dependencies).createSession(.example(), as: .example())
        #expect(dependencies.slept == [.seconds(0.5), .seconds(1), .seconds(2)])
        let requests = transport.requests
        #expect(requests.count == 4)
        #expect(Set(requests.map { $0.headers["Authorization"] }).count == 4)
        #expect(requests.last?.headers["X-Amz-Date"] == "20260102T030408Z")
    }

    @Test(arguments: [1, 2, 4])
    func `after the last attempt the last failure is thrown`(attempts: Int) throws {
        let failures = Array(repeating: HTTPResponse.failure(429, nil, "slow down"), count: 9)
        let transport = ScriptedTransport(failures.map { .success($0) })
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport, attempts: attempts).createSession(.example(), as: .example())
        }
        #expect(error.code == .unavailable)
        #expect(error.message.contains("slow down"))
        #expect(error.hint?.contains("10 requests a second") == true)
        #expect(transport.requests.count == attempts)
    }

    @Test(arguments: [
        HTTPResponse.failure(400, "ValidationException", "malformed"),
        .failure(403, "AccessDeniedException", "Untrusted signing certificate"),
        .failure(404, "ResourceNotFoundException", "gone"),
    ])
    func `a refusal is not tried again`(response: HTTPResponse) throws {
        let transport = ScriptedTransport(response, .credentials())
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport).createSession(.example(), as: .example())
        }
        #expect(error.code == .denied)
        #expect(transport.requests.count == 1)
    }

    @Test func `a lasting fault of the network is not tried again`() throws {
        let transport = ScriptedTransport([.failure(Self.unreachable(isTransient: false)), .success(.credentials())])
        #expect(throws: RolesAnywhereError.self) { try client(transport).createSession(.example(), as: .example()) }
        #expect(transport.requests.count == 1)
    }

    @Test(arguments: [
        ("7", 7.0), ("0", 0.5), ("100000", 20.0), ("-5", 0.5), ("soon", 0.5),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10.0),
    ])
    func `Retry-After is honoured within bounds`(value: String, seconds: Double) throws {
        let headers: HTTPHeaders = ["Retry-After": value, "Date": "Fri, 02 Jan 2026 03:04:05 GMT"]
        let transport = ScriptedTransport(.failure(503, nil, "busy", headers: headers), .credentials())
        let dependencies = DrivenSurroundings()
        _ = try client(transport, dependencies).createSession(.example(), as: .example())
        #expect(dependencies.slept == [.seconds(seconds)])
    }

    @Test(arguments: [-7200.0, -301, 301, 7200])
    func `a refusal by a server with another clock is answered once, by that clock, which is remembered`(
        seconds: Double
    ) throws {
        let serverTime = CivilTime(TestAuthority.now.addingTimeInterval(seconds))
        let date = httpDate(serverTime)
        let transport = ScriptedTransport(
            .failure(403, "AccessDeniedException", "Invalid signature", headers: ["Date": date]),
            .credentials(expiration: CivilTime(serverTime.date.addingTimeInterval(3600)).extended),
            .credentials(expiration: CivilTime(serverTime.date.addingTimeInterval(3600)).extended))
        let dependencies = DrivenSurroundings()
        let client = try client(transport, dependencies, attempts: 1)
        _ = try client.createSession(.example(), as: .example())
        #expect(client.clockCorrection == seconds)
        _ = try client.createSession(.example(), as: .example())
        #expect(dependencies.slept.isEmpty)
        #expect(
            transport.requests.map { $0.headers["X-Amz-Date"] } == [
                "20260102T030405Z", serverTime.basic, serverTime.basic,
            ]
        )
    }

    @Test(arguments: [
        ("Thu, 01 Jan 2099 00:00:00 GMT", "2099-01-01T00:00:00Z"),
        ("Sat, 03 Jan 2026 03:04:06 GMT", "2026-01-03T03:04:06Z"),
        ("Thu, 01 Jan 2026 03:04:04 GMT", "2026-01-01T03:04:04Z"),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"),
    ])
    func `W9: by a clock that is more than a day away nothing is signed`(date: String, shown: String) throws {
        let transport = ScriptedTransport(
            .failure(403, "AccessDeniedException", "Invalid signature", headers: ["Date": date]), .credentials())
        let client = try client(transport)
        let error = try #require(throws: RolesAnywhereError.self) {
            try client.createSession(.example(), as: .example())
        }
        #expect(error.code == .denied)
        #expect(error.message.contains(shown) && error.message.contains("2026-01-02T03:04:05Z"))
        #expect(error.service?.status == 403)
        #expect(client.clockCorrection == 0)
        #expect(transport.requests.map { $0.headers["X-Amz-Date"] } == ["20260102T030405Z"])
    }

    @Test func `W9: nor by one at which the certificate is not valid`() throws {
        let key = try PrivateKey(generating: .ecP256)
        let certificate = try TestAuthority().client(key: key, years: 1.0 / 365 / 24)
        let identity = try Identity(key: key, certificates: [certificate])
        let transport = ScriptedTransport(
            .failure(403, "AccessDeniedException", "no", headers: ["Date": "Fri, 02 Jan 2026 05:04:05 GMT"]),
            .credentials())
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport).createSession(.example(), as: identity)
        }
        #expect(error.message.contains("2026-01-02T05:04:05Z") && error.message.contains("2026-01-02T03:04:05Z"))
        #expect(transport.requests.count == 1)
    }

    @Test func `a second refusal under the server's clock stands`() throws {
        let refusals = ["05:04:05", "07:04:05"].map { time in
            HTTPResponse.failure(
                403, "AccessDeniedException", "Invalid signature", headers: ["Date": "Fri, 02 Jan 2026 \(time) GMT"])
        }
        let transport = ScriptedTransport(refusals[0], refusals[1], .credentials())
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport).createSession(.example(), as: .example())
        }
        #expect(error.code == .denied)
        #expect(transport.requests.count == 2)
    }

    @Test(arguments: [
        ("Fri, 02 Jan 2026 03:09:05 GMT", 403), ("nonsense", 403), ("Fri, 02 Jan 2026 05:04:05 GMT", 404),
    ])
    func `the clock is not corrected within five minutes, without a date, or for another status`(
        date: String, status: Int
    ) throws {
        let transport = ScriptedTransport(.failure(status, "X", "no", headers: ["Date": date]), .credentials())
        let client = try client(transport)
        #expect(throws: RolesAnywhereError.self) { try client.createSession(.example(), as: .example()) }
        #expect(client.clockCorrection == 0)
        #expect(transport.requests.count == 1)
    }

    @Test func `nothing is sent for an identity that breaks a rule, or for another region`() throws {
        let transport = ScriptedTransport(.credentials())
        let identity = try Identity(certificate: Fixtures.certificateOfCA, key: Fixtures.ecKey)
        #expect(throws: RolesAnywhereError.self) { try client(transport).createSession(.example(), as: identity) }
        let error = try #require(throws: RolesAnywhereError.self) {
            try client(transport, region: "eu-west-1").createSession(.example(), as: .example())
        }
        #expect(error.message.contains("eu-west-1") && error.message.contains("us-east-1"))
        #expect(transport.requests.isEmpty)
    }

    @Test func `what the sleep throws ends the call`() throws {
        struct Stop: Error {}
        let transport = ScriptedTransport(.failure(503, nil, "busy"), .credentials())
        var dependencies = DrivenSurroundings().dependencies
        dependencies.sleep = { _ in throw Stop() }
        let client = SessionClient(
            endpoint: try Endpoint(region: "us-east-1"), region: "us-east-1", transport: transport,
            dependencies: dependencies)
        #expect(throws: Stop.self) { try client.createSession(.example(), as: .example()) }
    }

    @Test func `the observer sees each step and no secret`() throws {
        let transport = ScriptedTransport(.failure(503, nil, "busy"), .credentials())
        let seen = Mutex<[String]>([])
        let client = try client(transport) { event in
            var text = ""
            dump(event, to: &text)
            seen.withLock { $0.append("\(event)\n\(text)") }
        }
        _ = try client.createSession(.example(), as: .example())
        let events = seen.withLock { $0 }
        #expect(events.count == 5)
        for event in events {
            #expect(!event.contains("Signature="))
            #expect(!event.contains("SECRET"))
        }
    }

    @Test(arguments: [(1, 0.5), (2, 1), (3, 2), (5, 8), (6, 10), (60, 10)])
    func `waits double up to the longest`(failures: Int, seconds: Double) {
        let policy = RetryPolicy(attempts: 100, firstDelay: .seconds(1), longestDelay: .seconds(20))
        #expect(policy.delay(after: failures, requested: nil, random: 0.5) == .seconds(seconds))
        #expect(policy.delay(after: failures, requested: nil, random: 0) == .zero)
    }

    private func httpDate(_ time: CivilTime) -> String {
        let pad = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        return "Fri, \(pad(time.day)) Jan \(time.year) \(pad(time.hour)):\(pad(time.minute)):\(pad(time.second)) GMT"
    }
}
