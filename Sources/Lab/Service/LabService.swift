// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import HTTPService

/// IAM Roles Anywhere, IAM and STS on this machine: verifies what it receives as AWS does, and says why it refuses.
///
/// ```swift
/// let lab = try LabService(environment: environment)
/// try lab.plant(try LabSeed(certificates: bundle, in: environment))
/// let server = try await HTTPServer.start([HTTPListener()], configuration: lab.configuration, handler: lab)
/// ```
package final class LabService: HTTPHandler {
    /// What a lab can be besides the default.
    package struct Options: Sendable {
        /// Who may do everything.
        package var administrator = Administrator.documented

        /// Where to remember; nothing forgets at the end.
        package var stateFile: StateFile?

        /// What the lab is called besides `localhost` and the address it listens on: names, each with a port or, for any
        /// port, without. Requests under other names are refused: a page in a browser may be behind them.
        package var hosts: Set<String> = []

        /// What to do otherwise than AWS.
        package var faults = LabFaults()

        /// How many traces are kept.
        package var traceCount = 200

        /// The version of the program, for the page.
        package var version = ""

        /// The default.
        package init() {}
    }

    /// Where the lab stands in AWS, the time, and chance.
    package let environment: LabEnvironment

    let store: ResourceStore
    let log: TraceLog
    private let desk: RequestDispatcher
    private let router: HTTPRouter
    private let door: LabGuard

    /// Makes a lab, with what its state file holds or without resources.
    ///
    /// - Parameters:
    ///   - environment: Where the lab stands in AWS, the time, and chance.
    ///   - options: What is not the default.
    ///   - observer: Is told of every request to AWS's services that was answered, on the thread that answers it; it must
    ///     not block.
    /// - Throws: ``LabError`` when the state file cannot be used.
    package init(
        environment: LabEnvironment,
        options: Options = Options(),
        observer: @escaping @Sendable (LabEvent) -> Void = { _ in }
    ) throws {
        let log = TraceLog(capacity: options.traceCount)
        let store = try ResourceStore(environment: environment, file: options.stateFile) { log.noteChange() }
        let desk = RequestDispatcher(
            environment: environment,
            log: log,
            faults: options.faults,
            isPersistent: options.stateFile != nil,
            observer: observer
        )
        self.environment = environment
        self.store = store
        self.log = log
        self.desk = desk
        let authentication = CallerAuthentication(
            environment: environment,
            administrator: options.administrator,
            store: store
        )
        var router = HTTPRouter()
        try Self.addServices(to: &router, desk, authentication, options.faults)
        try LabPage(store: store, log: log, environment: environment, version: options.version)
            .addRoutes(to: &router)
        router.notFound = { request in .now(desk.unknown(request)) }
        router.methodNotAllowed = { desk.unknown($0) }
        self.router = router
        door = LabGuard(hosts: Set(options.hosts.map { $0.lowercased() }))
    }

    private static func addServices(
        to router: inout HTTPRouter,
        _ desk: RequestDispatcher,
        _ authentication: CallerAuthentication,
        _ faults: LabFaults
    ) throws {
        let environment = authentication.environment
        let createSession = CreateSession(environment: environment, store: authentication.store, faults: faults)
        try router.on(.post, "/sessions") { request, _ in
            desk.answer(request, service: "rolesanywhere", operation: "CreateSession", as: .json) { trace in
                try createSession.answer(request, &trace)
            }
        }
        let controlPlane = ControlPlane(
            environment: environment,
            store: authentication.store,
            authentication: authentication
        )
        for operation in ControlPlane.operations {
            try router.on(operation.method, operation.path) { request, parameters in
                desk.answer(request, service: "rolesanywhere", operation: operation.name, as: .json) { trace in
                    try controlPlane.answer(operation, request, parameters, &trace)
                }
            }
        }
        let query = QueryService(
            environment: environment,
            store: authentication.store,
            authentication: authentication,
            faults: faults
        )
        try router.on(.post, "/") { request, _ in
            let action = query.action(of: request)
            return desk.answer(request, service: action.service, operation: action.name, as: action.answer) { trace in
                try query.answer(action, request, &trace)
            }
        }
    }

    /// Answers a request to any of the services.
    ///
    /// - Parameter request: The request.
    /// - Returns: The answer.
    package func answer(_ request: HTTPRequest) -> HTTPAnswer {
        // Before any route: there is none that a page of somebody else's may use.
        if let refusal = door.refusal(of: request) { return .now(desk.refused(request, refusal)) }
        return router.answer(request)
    }

    /// Adds resources, unless an earlier run has: what was changed or deleted then stays so.
    ///
    /// - Parameter seed: Trust anchors, profiles and roles.
    /// - Throws: ``LabError`` when the state file cannot be written.
    package func plant(_ seed: LabSeed) throws {
        try store.update { account in
            func isNew(_ identifier: String) -> Bool {
                guard account.planted[identifier] == nil else { return false }
                account.planted[identifier] = PlantedResource(identifier: identifier)
                return true
            }
            for anchor in seed.trustAnchors where isNew(anchor.arn.description) {
                account.trustAnchors[anchor.identifier] = anchor
            }
            for role in seed.roles where isNew(role.arn.description) && account.roles[role.name] == nil {
                account.roles[role.name] = role
            }
            for profile in seed.profiles where isNew(profile.arn.description) {
                account.profiles[profile.identifier] = profile
            }
        }
    }

    /// How the last requests were decided, oldest first.
    package var traces: [Trace] { log.traces }

    /// What a server for the lab needs: room for certificates in headers (a chain of five ML-DSA-87 certificates is
    /// 60 KB) and for CRLs in bodies, and the lab's clock.
    package var configuration: HTTPServer.Configuration {
        var configuration = HTTPServer.Configuration(now: environment.now)
        configuration.limits.headBytes = 131_072
        configuration.limits.requestLineBytes = 16_384
        return configuration
    }
}
