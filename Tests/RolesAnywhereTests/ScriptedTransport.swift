// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Synchronization

@testable import RolesAnywhere

/// A transport that answers from a script and keeps what it was sent.
final class ScriptedTransport: HTTPTransport {
    private let script: Mutex<[Result<HTTPResponse, RolesAnywhereError>]>
    private let sent = Mutex<[HTTPRequest]>([])

    init(_ script: [Result<HTTPResponse, RolesAnywhereError>]) { self.script = Mutex(script) }

    convenience init(_ responses: HTTPResponse...) { self.init(responses.map { .success($0) }) }

    var requests: [HTTPRequest] { sent.withLock { $0 } }

    func send(_ request: HTTPRequest) throws -> HTTPResponse {
        sent.withLock { $0.append(request) }
        let next = script.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        guard let next else { throw RolesAnywhereError(.malformedAnswer, "the script has no more answers") }
        return try next.get()
    }
}

/// A clock, a sleep and a dice that the test drives: sleeping moves the clock.
final class DrivenSurroundings: Sendable {
    private let state: Mutex<(now: Date, slept: [Duration])>
    private let chance: Double

    init(now: Date = TestAuthority.now, chance: Double = 0.5) {
        state = Mutex((now, []))
        self.chance = chance
    }

    var slept: [Duration] { state.withLock { $0.slept } }

    var dependencies: SessionClient.Dependencies {
        SessionClient.Dependencies(
            now: { self.state.withLock { $0.now } },
            sleep: { duration in
                self.state.withLock {
                    $0.slept.append(duration)
                    $0.now.addTimeInterval(Double(duration.components.seconds))
                }
            },
            random: { self.chance }
        )
    }
}

extension HTTPResponse {
    static let secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYSECRETKEY"
    static let token = "IQoJb3JpZ2luX2VjEHOaCXVzLWVhc3QSECRETTOKEN=="

    /// A successful answer as the service gives it.
    static func credentials(
        expiration: String = "2026-01-02T04:04:05Z", role: String = SessionRequest.role,
        session: String = "arn:aws:sts::123456789012:assumed-role/App+Test@one=1/1a2b",
        subject: String = "arn:aws:rolesanywhere:us-east-1:123456789012:subject/41a3"
    ) -> HTTPResponse {
        HTTPResponse(
            status: 201,
            headers: ["Content-Type": "application/json", "Date": "Fri, 02 Jan 2026 03:04:05 GMT"],
            body: Array(
                """
                {"credentialSet":[{"assumedRoleUser":{"arn":"\(session)",\
                "assumedRoleId":"AROAEXAMPLE:1a2b"},"credentials":{"accessKeyId":"ASIAEXAMPLE",\
                "secretAccessKey":"\(secretKey)","sessionToken":"\(token)","expiration":"\(expiration)"},\
                "packedPolicySize":10,"roleArn":"\(role)","sourceIdentity":"CN=client.example"}],\
                "subjectArn":"\(subject)"}
                """.utf8
            )
        )
    }

    /// An error as the service gives it.
    static func failure(_ status: Int, _ code: String?, _ text: String, headers: HTTPHeaders = [:]) -> HTTPResponse {
        var headers = headers
        if let code { headers.add("X-Amzn-ErrorType", code) }
        return HTTPResponse(status: status, headers: headers, body: Array(#"{"message":"\#(text)"}"#.utf8))
    }
}
