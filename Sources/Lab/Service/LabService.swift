// SPDX-License-Identifier: Apache-2.0

import AWSModel
package import HTTPServer

/// IAM Roles Anywhere, IAM and STS on this machine: verifies what it receives as AWS does, and says why it refuses.
///
/// ```swift
/// let lab = try LabService(environment: environment)
/// try lab.plant(try LabSeed(certificates: bundle, in: environment))
/// let server = try await HTTPServer.start([HTTPListener()], configuration: lab.configuration, handler: lab)
/// ```
package final class LabService: HTTPHandler {
    package struct Options: Sendable {
        /// The access key that may do everything.
        package var administrator = Administrator.documented

        /// Where to remember; `nil` forgets at the end.
        package var stateFile: StateFile?

        /// What the lab is called besides `localhost` and the address it listens on: names, each with a port or, for any
        /// port, without. Requests under other names are refused: a page in a browser may be behind them.
        package var hosts: Set<String> = []

        package var faults = LabFaults()

        /// How many traces are kept.
        package var traceCount = 200

        /// The version of the program, for the page.
        package var version = ""

        package init() {}
    }

    let store: ResourceStore
    private let environment: LabEnvironment
    private let log: TraceLog
    private let dispatcher: RequestDispatcher
    private let router: HTTPRouter
    private let labGuard: LabGuard

    /// Creates a lab with what its state file holds, or without resources. The observer is told of every request to AWS's
    /// services that was answered, on the thread that answers it; it must not block.
    package init(
        environment: LabEnvironment,
        options: Options = Options(),
        observer: @escaping @Sendable (LabEvent) -> Void = { _ in }
    ) throws {
        let log = TraceLog(capacity: options.traceCount)
        let store = try ResourceStore(environment: environment, file: options.stateFile) { log.noteChange() }
        let dispatcher = RequestDispatcher(
            environment: environment, log: log, faults: options.faults, isPersistent: options.stateFile != nil,
            observer: observer)
        let authentication = CallerAuthentication(
            environment: environment, administrator: options.administrator, store: store)
        var router = HTTPRouter()
        try Self.addServices(to: &router, dispatcher, authentication, options.faults)
        try LabPage(
            store: store, log: log, environment: environment, version: options.version,
            accessKeyIdentifier: options.administrator.accessKeyIdentifier
        ).addRoutes(to: &router)
        router.notFound = { request in .now(dispatcher.unknown(request)) }
        router.methodNotAllowed = { dispatcher.unknown($0) }
        self.environment = environment
        self.store = store
        self.log = log
        self.dispatcher = dispatcher
        self.router = router
        labGuard = LabGuard(hosts: Set(options.hosts.map { $0.lowercased() }))
    }

    private static func addServices(
        to router: inout HTTPRouter, _ dispatcher: RequestDispatcher, _ authentication: CallerAuthentication,
        _ faults: LabFaults
    ) throws {
        let (environment, store) = (authentication.environment, authentication.store)
        let createSession = CreateSession(environment: environment, store: store, faults: faults)
        try router.on(.post, "/sessions") { request, _ in
            dispatcher.answer(request, service: "rolesanywhere", operation: "CreateSession", as: .json) { trace in
                try createSession.answer(request, &trace)
            }
        }
        // Asked by pki doctor and load balancers to find out whether the service answers; no one was denied anything.
        try router.on(.get, "/sessions") { request, _ in .now(dispatcher.unknown(request, isReported: false)) }
        let controlPlane = ControlPlane(environment: environment, store: store, authentication: authentication)
        for operation in ControlPlane.operations {
            try router.on(operation.method, operation.path) { request, parameters in
                dispatcher.answer(request, service: "rolesanywhere", operation: operation.name, as: .json) { trace in
                    try controlPlane.answer(operation, request, parameters, &trace)
                }
            }
        }
        let query = QueryService(environment: environment, store: store, authentication: authentication, faults: faults)
        try router.on(.post, "/") { request, _ in
            let action = query.action(of: request)
            return dispatcher.answer(request, service: action.service, operation: action.name, as: action.answer) {
                try query.answer(action, request, &$0)
            }
        }
    }

    package func answer(_ request: HTTPRequest) -> HTTPAnswer {
        // Before any route: a page of another site may use none.
        if let refusal = labGuard.refusal(of: request) { return .now(dispatcher.refused(request, refusal)) }
        return router.answer(request)
    }

    /// Adds resources, unless an earlier run has: what was changed or deleted then stays so.
    package func plant(_ seed: LabSeed) throws {
        try store.update { account in
            func isNew(_ arn: AmazonResourceName) -> Bool {
                let identifier = arn.description
                guard account.planted[identifier] == nil else { return false }
                account.planted[identifier] = PlantedResource(identifier: identifier)
                return true
            }
            for anchor in seed.trustAnchors where isNew(anchor.arn) { account.put(anchor) }
            for role in seed.roles where isNew(role.arn) && account.roles[role.name] == nil {
                account.roles[role.name] = role
            }
            for profile in seed.profiles where isNew(profile.arn) { account.put(profile) }
        }
    }

    /// How the last requests were decided, oldest first.
    var traces: [Trace] { log.traces }

    /// What a server for the lab needs: room for certificates in headers (a chain of five ML-DSA-87 certificates is
    /// 60 KB) and for CRLs in bodies, and the lab's clock.
    package var configuration: HTTPServer.Configuration {
        var configuration = HTTPServer.Configuration(now: environment.now)
        configuration.limits.headBytes = 131_072
        configuration.limits.requestLineBytes = 16_384
        return configuration
    }
}

/// Decides which requests are meant for the lab.
///
/// A page in a browser can be made to ask this machine under a name of the page's own (DNS rebinding), and would then be of one
/// origin with the lab; the administrator's key is published, so that such a page could sign as well. A name that DNS cannot
/// bind to another machine rules that out: `localhost`, a loopback address, or the very address that was connected to, each
/// with the lab's port. A page of another origin can send requests too, though not read the answers: its `Origin` says so.
struct LabGuard: Sendable {
    /// What else the lab is called: names in lower case, with a port or, for any port, without.
    let hosts: Set<String>

    /// Says why a request is not answered.
    func refusal(of request: HTTPRequest) -> ServiceRefusal? {
        guard let authority = HTTPAuthority(request.host ?? ""), admits(authority, request) else {
            let host = String((request.host ?? "").prefix(200))
            return Self.refusal(
                "the lab is not served under the name \"\(host)\"",
                hint: "use the address that the lab printed, or start it with --allow-host NAME")
        }
        let own = Self.origin(authority, request)
        for origin in request.headers.values("Origin") where Self.normalized(origin) != own {
            return Self.refusal("the request comes from another site: \"\(origin.prefix(200))\"", hint: nil)
        }
        return nil
    }

    private static func refusal(_ detail: String, hint: String?) -> ServiceRefusal {
        ServiceRefusal.denied(detail.asSentence, detail, hint: hint)
    }

    private func admits(_ authority: HTTPAuthority, _ request: HTTPRequest) -> Bool {
        if hosts.contains(authority.host) || hosts.contains(authority.description) { return true }
        // A request that came over no socket of TCP has no port to compare.
        guard let local = request.localAddress else { return authority.isLoopback }
        guard local.port == authority.port ?? Self.standardPort(request.isSecure) else { return false }
        return authority.isLoopback || authority.isAddress && authority.host == local.host
    }

    private static func standardPort(_ isSecure: Bool) -> Int { isSecure ? 443 : 80 }

    /// The origin of the lab's own page, as the request reached it.
    private static func origin(_ authority: HTTPAuthority, _ request: HTTPRequest) -> String {
        let port = authority.port ?? standardPort(request.isSecure)
        return
            "\(request.isSecure ? "https" : "http")://\(HTTPAuthority(host: authority.host, port: port)?.description ?? "")"
    }

    /// An origin with its port written out; `nil` if it is none of the web's.
    private static func normalized(_ origin: String) -> String? {
        for (scheme, isSecure) in [("http://", false), ("https://", true)] where origin.hasPrefix(scheme) {
            guard let authority = HTTPAuthority(String(origin.dropFirst(scheme.count))) else { return nil }
            let port = authority.port ?? standardPort(isSecure)
            return HTTPAuthority(host: authority.host, port: port).map { scheme + $0.description }
        }
        return nil
    }
}
