// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService
import SystemSupport

/// The lab's own window: the page at `/`, what it shows, and the traces for `pki lab log`.
///
/// It answers browsers. What other sites may have a browser do ``LabGuard`` keeps out before any route; what changes something
/// wants JSON besides.
struct LabPage: Sendable {
    private static let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    let store: ResourceStore
    let log: TraceLog
    let environment: LabEnvironment
    let version: String
    let startedAt: String
    private let newIdentifier: @Sendable () -> String

    init(store: ResourceStore, log: TraceLog, environment: LabEnvironment, version: String) {
        self.store = store
        self.log = log
        self.environment = environment
        self.version = version
        startedAt = timestamp(environment.now())
        newIdentifier = { UniversalIdentifier.text(environment.randomBytes(16), version: 4) }
    }

    /// Adds the page's paths.
    func addRoutes(to router: inout HTTPRouter) throws {
        try router.on(.get, "/") { _, _ in
            .now(
                HTTPResponse(
                    status: .ok,
                    headers: [
                        "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": Self.policy,
                        "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
                        "Cache-Control": "no-cache",
                    ],
                    body: PackageResources.page_html
                )
            )
        }
        try router.on(.get, "/lab/state") { request, _ in
            .now(Self.json(.ok, LabState(store: store, log: log, environment: environment).json(self, request)))
        }
        try router.on(.get, "/lab/log") { request, _ in .now(traces(request)) }
        try router.on(.get, "/lab/events") { request, _ in .now(events(request)) }
        try router.on(.post, "/lab/trust-anchors") { request, _ in
            store.isPersistent ? .work { createTrustAnchor(request) } : .now(createTrustAnchor(request))
        }
    }

    private static func json(_ status: HTTPStatus, _ value: JSONValue) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: [
                "Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            ],
            body: value.bytes
        )
    }

    private static func refusal(_ status: HTTPStatus, _ message: String, hint: String?) -> HTTPResponse {
        json(status, ["message": .string(message), "hint": JSONValue(hint)])
    }

    /// The traces with a number above `after`.
    private func traces(_ request: HTTPRequest) -> HTTPResponse {
        let parameters = (try? QueryParameter.parameters(in: request.query)) ?? []
        let after = parameters.first { $0.name == "after" }.flatMap { Int($0.value) } ?? 0
        let traces = log.traces
        return Self.json(
            .ok,
            [
                "traces": .array(traces.filter { $0.number > after }.map(\.json)),
                "newest": traces.last.map { .integer($0.number) } ?? .null,
            ]
        )
    }

    /// Everything that happens from now on, and what happened since the event that a client saw last.
    private func events(_ request: HTTPRequest) -> HTTPResponse {
        let seen = request.headers["Last-Event-ID"].flatMap { Int($0) }
        let log = log
        return HTTPResponse(
            status: .ok,
            headers: ["Content-Type": "text/event-stream", "Cache-Control": "no-store"]
        ) { writer in
            writer.write(Array("retry: 1000\n: welcome\n\n".utf8))
            if let seen { for trace in log.traces(after: seen) { writer.write(Self.event(.trace(trace))) } }
            let subscription = log.subscribe { news in writer.write(Self.event(news)) }
            // A comment now and then: a proxy or a browser gives up a connection on which nothing comes.
            let heartbeat = Task {
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(15))
                    guard writer.write(Array(": still here\n\n".utf8)) else { break }
                }
            }
            writer.whenClosed {
                log.unsubscribe(subscription)
                heartbeat.cancel()
            }
        }
    }

    private static func event(_ news: TraceLog.News) -> [UInt8] {
        switch news {
        case .trace(let trace):
            Array("event: trace\nid: \(trace.number)\ndata: ".utf8) + trace.json.bytes + Array("\n\n".utf8)
        case .change: Array("event: change\ndata: {}\n\n".utf8)
        }
    }

    /// Makes a trust anchor of a bundle that was pasted.
    private func createTrustAnchor(_ request: HTTPRequest) -> HTTPResponse {
        // Requests here are not signed as at the control plane; coming from this machine is enough.
        guard request.isLocal else {
            return Self.refusal(
                .forbidden,
                "the page makes trust anchors for this machine alone, and the request comes from another",
                hint: "sign the request: aws rolesanywhere create-trust-anchor"
            )
        }
        guard request.headers["Content-Type"]?.hasPrefix("application/json") == true else {
            return Self.refusal(.badRequest, "the content type is not application/json", hint: nil)
        }
        do {
            let members = try InputMembers(reading: request.body)
            let name = try members.required("name", 1...255, .resourceName)
            let bundle = try CertificateBundle(reading: try members.required("bundle", 1...204_800))
            let anchor = TrustAnchor(identifier: newIdentifier(), name: name, bundle: bundle, in: environment)
            try store.update { account in
                guard account.trustAnchors.count < Account.trustAnchorLimit else {
                    throw ServiceRefusal.validation("the account has \(Account.trustAnchorLimit) trust anchors already")
                }
                account.trustAnchors[anchor.identifier] = anchor
            }
            return Self.json(.created, anchor.detail(in: environment))
        } catch let refusal as ServiceRefusal {
            return Self.refusal(refusal.code.status, refusal.detail, hint: refusal.hint)
        } catch let error as LabError {
            let status: HTTPStatus = error.code == .stateUnavailable ? .internalServerError : .badRequest
            return Self.refusal(status, error.message, hint: error.hint)
        } catch {
            return Self.refusal(.internalServerError, "\(error)", hint: nil)
        }
    }
}
