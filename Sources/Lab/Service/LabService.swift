// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import HTTPService

/// IAM Roles Anywhere on this machine: verifies what it receives as AWS does, and says why it refuses.
///
/// ```swift
/// let lab = LabService(environment: environment)
/// let seed = try LabSeed(certificates: bundle, in: environment)
/// lab.plant(seed)
/// let server = try await HTTPServer.start([HTTPListener()], configuration: lab.configuration, handler: lab)
/// ```
public final class LabService: HTTPHandler {
    /// Where the lab stands in AWS, the time, and chance.
    public let environment: LabEnvironment

    let store: ResourceStore
    private let traces: TraceLog
    private let router: HTTPRouter

    /// Makes a lab without resources.
    ///
    /// - Parameters:
    ///   - environment: Where the lab stands in AWS, the time, and chance.
    ///   - traceCount: How many traces are kept.
    ///   - observer: Is told of every request that was answered, on the thread that answers it; it must not block.
    /// - Throws: `HTTPServiceError` when two routes are the same, which a test rules out.
    public init(
        environment: LabEnvironment,
        traceCount: Int = 200,
        observer: @escaping @Sendable (LabEvent) -> Void = { _ in }
    ) throws(HTTPServiceError) {
        let store = ResourceStore(environment: environment)
        let traces = TraceLog(capacity: traceCount)
        let createSession = CreateSession(environment: environment, store: store)
        self.environment = environment
        self.store = store
        self.traces = traces
        var router = HTTPRouter()
        try router.on(.post, "/sessions") { request, _ in
            // On the event loop: a verification takes some 0.1 ms, which a change of thread would not make shorter.
            let (response, trace) = createSession.answer(request)
            traces.append(trace)
            observer(LabEvent(request, response, trace))
            return .now(response)
        }
        let unknown: @Sendable (HTTPRequest) -> HTTPResponse = { request in
            let refusal = ServiceRefusal(
                code: .unknownOperation,
                message: "The lab does not serve \(request.method) \(request.path.prefix(200))",
                detail: "unknown operation"
            )
            let response = ServiceAnswer.failure(refusal, requestIdentifier: environment.requestIdentifier())
            observer(LabEvent(request, response, nil))
            return response
        }
        router.notFound = { .now(unknown($0)) }
        router.methodNotAllowed = unknown
        self.router = router
    }

    /// Answers a request to any of the services.
    ///
    /// - Parameter request: The request.
    /// - Returns: The answer.
    public func answer(_ request: HTTPRequest) -> HTTPAnswer { router.answer(request) }

    /// Adds resources, in the place of those with the same ARNs.
    ///
    /// - Parameter seed: A trust anchor, a profile and a role.
    public func plant(_ seed: LabSeed) {
        store.put(seed.trustAnchor)
        store.put(seed.role)
        store.put(seed.profile)
    }

    /// How the last requests were decided, oldest first.
    public var sessionTraces: [SessionTrace] { traces.traces }

    /// What a server for the lab needs: room for certificates in headers (a chain of five ML-DSA-87 certificates is
    /// 60 KB), and the lab's clock.
    public var configuration: HTTPServer.Configuration {
        var configuration = HTTPServer.Configuration(now: environment.now)
        configuration.limits.headBytes = 131_072
        configuration.limits.requestLineBytes = 16_384
        return configuration
    }
}
