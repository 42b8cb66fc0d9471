// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import HTTPServer
import SystemSupport

/// The page at `/`, what it shows, and the traces for `pki lab log`.
///
/// It answers browsers. ``LabGuard`` refuses what other sites make a browser send, before any route; a request that changes
/// something must be JSON besides.
struct LabPage: Sendable {
    private static let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
        + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    private let store: ResourceStore
    private let log: TraceLog
    private let environment: LabEnvironment
    private let version: String
    /// The administrator's, without its secret.
    private let accessKeyIdentifier: String
    /// Tells one run of the lab from the next at the same address.
    private let instance: String

    init(
        store: ResourceStore, log: TraceLog, environment: LabEnvironment, version: String, accessKeyIdentifier: String
    ) {
        self.store = store
        self.log = log
        self.environment = environment
        self.version = version
        self.accessKeyIdentifier = accessKeyIdentifier
        instance = environment.newIdentifier()
    }

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
        try router.on(.get, "/lab/state") { request, _ in .now(Self.json(.ok, state(request))) }
        try router.on(.get, "/lab/log") { request, _ in
            let parameters = (try? QueryParameter.parameters(in: request.query)) ?? []
            let after = parameters.first { $0.name == "after" }.flatMap { Int($0.value) } ?? 0
            let traces = log.traces
            let shown = JSONValue.array(traces.filter { $0.number > after }.map(\.json))
            let newest: JSONValue = traces.last.map { .integer($0.number) } ?? .null
            return .now(Self.json(.ok, ["traces": shown, "newest": newest]))
        }
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

    /// Everything that happens from now on, and what happened since the event that a client saw last.
    private func events(_ request: HTTPRequest) -> HTTPResponse {
        let seen = request.headers["Last-Event-ID"].flatMap { Int($0) }
        let log = log
        return HTTPResponse(status: .ok, headers: ["Content-Type": "text/event-stream", "Cache-Control": "no-store"]) {
            writer in
            writer.write(Array("retry: 1000\n: welcome\n\n".utf8))
            if let seen {
                for trace in log.traces where trace.number > seen { writer.write(Self.event(.trace(trace))) }
            }
            let subscription = log.subscribe { news in writer.write(Self.event(news)) }
            // A proxy or a browser closes a connection on which nothing comes.
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

    /// Creates a trust anchor from a bundle that was pasted.
    private func createTrustAnchor(_ request: HTTPRequest) -> HTTPResponse {
        func refusal(_ status: HTTPStatus, _ message: String, hint: String? = nil) -> HTTPResponse {
            Self.json(status, ["message": .string(message), "hint": JSONValue(hint)])
        }
        // Requests here are not signed as at the control plane; coming from this machine is enough.
        guard request.isLocal else {
            return refusal(
                .forbidden, "the page creates trust anchors for this machine alone, and the request comes from another",
                hint: "sign the request: aws rolesanywhere create-trust-anchor")
        }
        guard request.headers["Content-Type"]?.hasPrefix("application/json") == true else {
            return refusal(.badRequest, "the content type is not application/json")
        }
        do {
            let members = try InputMembers(reading: request.body)
            let name = try members.resourceName()
            let text = try members.required("bundle", AWSLimit.anchorLength.range)
            let anchor = TrustAnchor(
                identifier: environment.newIdentifier(), name: name, bundle: try CertificateBundle(reading: text),
                in: environment)
            try store.update { account in
                guard account.trustAnchors.count < AWSLimit.accountAnchorCount.maximum else {
                    throw ServiceRefusal.validation(
                        "the account has \(AWSLimit.accountAnchorCount.maximum) trust anchors already")
                }
                account.put(anchor)
            }
            return Self.json(.created, anchor.detail(in: environment))
        } catch let error as ServiceRefusal {
            return refusal(error.code.status, error.detail, hint: error.hint)
        } catch let error as LabError {
            let status: HTTPStatus = error.code == .stateUnavailable ? .internalServerError : .badRequest
            return refusal(status, error.message, hint: error.hint)
        } catch {
            return refusal(.internalServerError, "\(error)")
        }
    }
}

// MARK: - What the page shows

extension LabPage {
    /// Everything in the account, who was here, and the last decisions.
    private func state(_ request: HTTPRequest) -> JSONValue {
        let account = store.snapshot
        return [
            "region": .string(environment.region), "account": .string(environment.account),
            "endpoint": .string("\(request.isSecure ? "https" : "http")://\(request.host ?? "")"),
            "instance": .string(instance), "version": .string(version),
            "accessKeyId": .string(accessKeyIdentifier), "isPersistent": .boolean(store.isPersistent),
            "trustAnchors": .array(account.all(TrustAnchor.self).map { Self.state(of: $0, account) }),
            "profiles": .array(account.all(Profile.self).map(Self.state(of:))),
            "roles": .array(account.roles.values.sorted { $0.name < $1.name }.map(Self.state(of:))),
            "subjects": .array(
                store.subjects.map { subject in
                    .object(subject.summary + [JSONMember(name: "serialNumber", value: .string(subject.serialNumber))])
                }
            ),
            "sessions": .array(store.sessions.map(Self.state(of:))), "traces": .array(log.traces.map(\.json)),
        ]
    }

    private static func state(of anchor: TrustAnchor, _ account: Account) -> JSONValue {
        [
            "trustAnchorArn": .string(anchor.arn.description), "trustAnchorId": .string(anchor.identifier),
            "name": .string(anchor.name), "enabled": .boolean(anchor.isEnabled),
            "createdAt": JSONValue(anchor.createdAt), "updatedAt": JSONValue(anchor.updatedAt),
            "certificates": .array(
                anchor.certificates.map { certificate in
                    [
                        "subject": .string("\(certificate.subject)"), "notBefore": JSONValue(certificate.notBefore),
                        "notAfter": JSONValue(certificate.notAfter), "fingerprint": .string(certificate.fingerprint),
                        "serialNumber": .string(certificate.serialNumber.hexadecimal),
                    ]
                }
            ),
            "revocationLists": .array(
                account.revocationLists(of: anchor).map { list in
                    [
                        "crlId": .string(list.identifier), "name": .string(list.name),
                        "enabled": .boolean(list.isEnabled), "issuer": .string("\(list.list.issuer)"),
                        "thisUpdate": JSONValue(list.list.thisUpdate),
                        "nextUpdate": list.list.nextUpdate.map { JSONValue($0) } ?? .null,
                        "revokedCount": .integer(list.list.revokedCount),
                    ]
                }
            ),
        ]
    }

    private static func state(of profile: Profile) -> JSONValue {
        [
            "profileArn": .string(profile.arn.description), "profileId": .string(profile.identifier),
            "name": .string(profile.name), "enabled": .boolean(profile.isEnabled),
            "roleArns": JSONValue(profile.roleARNs), "managedPolicyArns": JSONValue(profile.managedPolicyARNs),
            "hasSessionPolicy": .boolean(profile.sessionPolicy != nil),
            "durationSeconds": .integer(profile.durationSeconds),
            "acceptRoleSessionName": .boolean(profile.acceptsRoleSessionName),
            "attributeMappings": .array(
                profile.attributeMappings.map { mapping in
                    ["certificateField": .string(mapping.field.rawValue), "specifiers": JSONValue(mapping.specifiers)]
                }
            ),
        ]
    }

    private static func state(of role: Role) -> JSONValue {
        [
            "roleArn": .string(role.arn.description), "roleName": .string(role.name),
            "maxSessionDuration": .integer(role.maximumSessionDuration),
            "trustPolicy": (try? JSONReader.value(of: Array(role.trustPolicy.text.utf8))) ?? .null,
            "attachedPolicyArns": JSONValue(role.attachedPolicyARNs),
            "inlinePolicyNames": JSONValue(role.inlinePolicies.keys.sorted()),
        ]
    }

    private static func state(of session: SessionRecord) -> JSONValue {
        [
            "accessKeyId": .string(session.accessKeyIdentifier), "assumedRoleArn": .string(session.assumedRoleARN),
            "roleArn": .string(session.roleARN), "subject": .string(session.subject),
            "sourceIdentity": .string(session.sourceIdentity), "issuedAt": JSONValue(session.issuedAt),
            "expiration": JSONValue(session.expiration), "tags": JSONValue(sorted: session.tags),
        ]
    }
}
