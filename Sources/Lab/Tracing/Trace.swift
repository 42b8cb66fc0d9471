// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import HTTPServer
import Synchronization
import SystemSupport

/// What is looked at before a request is granted. The first check that fails decides the answer.
enum Check: String, CaseIterable, Sendable {
    /// No fault was asked for that takes the place of the answer.
    case fault = "fault injection"
    /// The request is within the rate limit.
    case rate
    /// The content type is JSON.
    case contentType = "content type"
    /// The query is well encoded, and no header appears twice that must appear once.
    case form
    /// `Authorization` is there and has its parts.
    case authorization
    /// The headers that must be signed are.
    case signedHeaders = "signed headers"
    /// The request was signed less than five minutes ago, or ahead.
    case date
    /// The scope names the day, this region and this service.
    case scope
    /// Somebody has the access key, and its session has not ended.
    case credentials = "access key"
    /// `X-Amz-X509` holds a certificate.
    case certificate
    /// `X-Amz-X509-Chain` holds at most five.
    case chain
    /// The algorithm is that of the certified key.
    case algorithm
    /// The credential names the certificate's serial number in decimal.
    case serialNumber = "serial number"
    /// The certified key made the signature over what was received.
    case signature
    /// The body and the three ARNs are well formed.
    case parameters
    /// The duration is within 900 and 43200 seconds.
    case duration
    /// The session's name and the instance's properties are within their limits.
    case sessionName = "session name"
    /// The trust anchor exists and is enabled.
    case trustAnchor = "trust anchor"
    /// The profile exists and is enabled.
    case profile
    /// The role exists.
    case role
    /// The certificate keeps the rules of the service.
    case certificateRules = "certificate rules"
    /// A path leads from the certificate to the trust anchor.
    case path
    /// No imported CRL lists a certificate of the path.
    case revocation
    /// The role is one of the profile's.
    case roleInProfile = "role in profile"
    /// The profile lets a request name its session.
    case namingAllowed = "naming allowed"
    /// What of the certificate becomes tags of the session, by the profile's attribute mappings.
    case sessionTags = "session tags"
    /// The role's trust policy allows all that the service does.
    case trustPolicy = "trust policy"
    /// The role allows a session of this length.
    case roleDuration = "role duration"
    /// The caller may do this.
    case permission
    /// The members of the request are within the service's limits.
    case input
    /// What the request asks for was done.
    case outcome

    /// What CreateSession looks at, in this order, before it creates a session.
    static let ofCreateSession: [Check] = [
        .contentType, .form, .authorization, .signedHeaders, .date, .scope, .certificate, .chain, .algorithm,
        .serialNumber, .signature, .parameters, .duration, .sessionName, .trustAnchor, .profile, .role,
        .certificateRules, .path, .revocation, .roleInProfile, .namingAllowed, .sessionTags, .trustPolicy,
        .roleDuration,
    ]
}

/// How the lab came to an answer: every check in order, up to the first that failed.
struct Trace: Sendable {
    struct Entry: Sendable {
        let check: Check
        let passed: Bool
        /// What was found.
        let detail: String
        let hint: String?
    }

    /// Rises by one with every trace of a lab.
    var number = 0
    /// The value of `x-amzn-RequestId` in the response.
    let requestIdentifier: String
    let date: Date
    let remoteAddress: String
    /// `rolesanywhere`, `iam`, `sts`.
    let service: String
    let operation: String
    var entries: [Entry] = []
    /// The status of the answer.
    var status = 500
    /// The code of a refusal, and the message that the client got.
    var code: String?
    var message: String?
    /// The subject of the certificate, once it was read.
    var subject: String?
    /// The ARN of whose access key signed the request.
    var caller: String?
    /// The ARN of the session, when one was created.
    var assumedRole: String?
    /// For a signature that is not valid: what the lab made of the request, and what the client did.
    var canonicalRequest: CanonicalComparison?

    /// The check that failed.
    var failure: Entry? { entries.last.flatMap { $0.passed ? nil : $0 } }

    /// Records a check that passed.
    mutating func pass(_ check: Check, _ detail: String) {
        entries.append(Entry(check: check, passed: true, detail: detail, hint: nil))
    }

    /// Records the check that failed, unless the last one did.
    mutating func fail(_ check: Check, _ refusal: ServiceRefusal) {
        guard failure == nil else { return }
        entries.append(Entry(check: check, passed: false, detail: refusal.detail, hint: refusal.hint))
    }

    /// Runs a check, which throws a ``ServiceRefusal`` when it fails, and records it with the words for the trace.
    mutating func run<Finding>(_ check: Check, _ body: () throws -> (Finding, String)) throws -> Finding {
        do {
            let (finding, detail) = try body()
            pass(check, detail)
            return finding
        } catch let refusal as ServiceRefusal {
            fail(check, refusal)
            throw refusal
        }
    }

    /// Runs a check that has no finding but the words for the trace.
    mutating func run(_ check: Check, _ body: () throws -> String) throws {
        try run(check) { ((), try body()) }
    }

    /// One line for a person. It may hold control characters from a client.
    var summary: String {
        let who = subject ?? caller ?? "unknown"
        guard let failure else {
            return "\(status) \(operation) from \(who): \(assumedRole ?? entries.last?.detail ?? "done")"
        }
        let hint = failure.hint.map { " (\($0))" } ?? ""
        return "\(status) \(operation) from \(who): \(failure.check.rawValue): \(failure.detail)\(hint)"
    }

    /// The trace for the page and for `pki lab log --format json`.
    var json: JSONValue {
        [
            "number": .integer(number), "requestId": .string(requestIdentifier), "date": JSONValue(date),
            "remoteAddress": .string(remoteAddress), "service": .string(service), "operation": .string(operation),
            "status": .integer(status), "code": JSONValue(code), "message": JSONValue(message),
            "subject": JSONValue(subject), "caller": JSONValue(caller), "assumedRole": JSONValue(assumedRole),
            "checks": .array(
                entries.map { entry in
                    [
                        "check": .string("\(entry.check)"), "title": .string(entry.check.rawValue),
                        "passed": .boolean(entry.passed), "detail": .string(entry.detail),
                        "hint": JSONValue(entry.hint),
                    ]
                }
            ),
            "canonicalRequest": canonicalRequest.map { comparison in
                [
                    "lab": .string(comparison.lab), "client": JSONValue(comparison.client),
                    "difference": JSONValue(comparison.difference),
                ]
            } ?? .null,
        ]
    }
}

/// A request that the lab answered.
package struct LabEvent: Sendable {
    package let method: HTTPMethod

    /// The path as received, at most 200 characters of it.
    package let path: String

    package let status: HTTPStatus

    /// How the answer came about, for operations that are traced.
    let trace: Trace?

    /// Why the request was refused before any operation.
    private let refusal: ServiceRefusal?

    init(_ request: HTTPRequest, _ response: HTTPResponse, _ trace: Trace?, _ refusal: ServiceRefusal? = nil) {
        self.refusal = refusal
        method = request.method
        path = String(request.path.prefix(200))
        status = response.status
        self.trace = trace
    }

    /// One line for a person. Control and format characters, which a certificate or a request may hold and which could
    /// steer a terminal, become blanks.
    package var summary: String {
        let reason = refusal.map { $0.detail + ($0.hint.map { " (\($0))" } ?? "") } ?? "not served by the lab"
        return printable(trace?.summary ?? "\(status.code) \(method) \(path): \(reason)", limit: 4096)
    }
}

/// The last traces, and the subscribers to new ones.
final class TraceLog: Sendable {
    enum News: Sendable {
        case trace(Trace)
        /// A resource was created, changed or removed.
        case change
    }

    private struct State {
        var traces: RingBuffer<Trace>
        var lastNumber = 0
        var subscribers: [Int: @Sendable (News) -> Void] = [:]
        var lastSubscriber = 0
    }

    private let state: Mutex<State>

    init(capacity: Int) { state = Mutex(State(traces: RingBuffer(capacity: capacity))) }

    /// Numbers a trace, keeps it, and tells the subscribers.
    @discardableResult
    func append(_ trace: Trace) -> Trace {
        var trace = trace
        let subscribers = state.withLock { state in
            state.lastNumber += 1
            trace.number = state.lastNumber
            state.traces.append(trace)
            return Array(state.subscribers.values)
        }
        for subscriber in subscribers { subscriber(.trace(trace)) }
        return trace
    }

    func noteChange() {
        for subscriber in state.withLock({ Array($0.subscribers.values) }) { subscriber(.change) }
    }

    /// The traces that are kept, oldest first.
    var traces: [Trace] { state.withLock { $0.traces.elements } }

    /// Adds a subscriber, which is told on the thread that answers a request and must not block. Returns what
    /// ``unsubscribe(_:)`` takes.
    func subscribe(_ subscriber: @escaping @Sendable (News) -> Void) -> Int {
        state.withLock { state in
            state.lastSubscriber += 1
            state.subscribers[state.lastSubscriber] = subscriber
            return state.lastSubscriber
        }
    }

    func unsubscribe(_ subscription: Int) {
        state.withLock { _ = $0.subscribers.removeValue(forKey: subscription) }
    }
}
