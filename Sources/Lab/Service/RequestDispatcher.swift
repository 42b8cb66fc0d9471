// SPDX-License-Identifier: Apache-2.0

import HTTPServer
import Synchronization
import SystemSupport

/// Answers the requests to AWS's services: injects the faults that were asked for, writes the trace, and tells the
/// observer.
final class RequestDispatcher: Sendable {
    private let environment: LabEnvironment
    private let log: TraceLog
    private let faults: LabFaults
    private let isPersistent: Bool
    private let observer: @Sendable (LabEvent) -> Void
    private let failuresLeft: Atomic<Int>

    init(
        environment: LabEnvironment, log: TraceLog, faults: LabFaults, isPersistent: Bool,
        observer: @escaping @Sendable (LabEvent) -> Void
    ) {
        self.environment = environment
        self.log = log
        self.faults = faults
        self.isPersistent = isPersistent
        self.observer = observer
        failuresLeft = Atomic(faults.failureCount)
    }

    /// Answers a request; what `decide` throws becomes a refusal in the service's format.
    ///
    /// In memory the answer is made at once, on the event loop: a verification takes some 0.1 ms, which a change of thread
    /// would not make shorter. With a state file it is made where the disk can be waited for.
    func answer(
        _ request: HTTPRequest, service: String, operation: String, as format: ServiceAnswer,
        _ decide: @escaping @Sendable (inout Trace) throws -> HTTPResponse
    ) -> HTTPAnswer {
        let work: @Sendable () -> HTTPResponse = { [self] in
            var trace = Trace(
                requestIdentifier: environment.newIdentifier(), date: environment.now(),
                remoteAddress: request.remoteAddress, service: service, operation: operation)
            let response = response(as: format, decide, &trace)
            trace.status = response.status.code
            observer(LabEvent(request, response, log.append(trace)))
            return response
        }
        let delay = faults.delay
        guard delay > .zero else { return isPersistent ? .work(work) : .now(work()) }
        return .later { responder in
            Task {
                try? await Task.sleep(for: delay)
                responder.answer(work())
            }
        }
    }

    private func response(
        as format: ServiceAnswer, _ decide: (inout Trace) throws -> HTTPResponse, _ trace: inout Trace
    ) -> HTTPResponse {
        let refusal: ServiceRefusal
        do {
            if let fault = injectedFault() {
                trace.fail(.fault, fault)
                throw fault
            }
            return try decide(&trace)
        } catch let error as ServiceRefusal {
            refusal = error
        } catch {
            refusal = ServiceRefusal(
                code: .init(format == .json ? "InternalServerException" : "ServiceFailure", .internalServerError),
                message: "The lab failed: \((error as? LabError)?.message ?? "\(error)")",
                hint: (error as? LabError)?.hint)
        }
        trace.fail(.outcome, refusal)
        trace.code = refusal.code.name
        trace.message = refusal.message
        return format.refusal(refusal, requestIdentifier: trace.requestIdentifier)
    }

    /// The refusal that replaces an answer, until the number that was asked for is reached.
    private func injectedFault() -> ServiceRefusal? {
        guard failuresLeft.load(ordering: .relaxed) > 0,
            failuresLeft.wrappingSubtract(1, ordering: .relaxed).oldValue > 0
        else { return nil }
        let code =
            switch faults.failureStatus {
            case 429: "ThrottlingException"
            case 503: "ServiceUnavailableException"
            case 500...: "InternalFailure"
            case 403: "AccessDeniedException"
            case 404: "ResourceNotFoundException"
            default: "ValidationException"
            }
        return ServiceRefusal(
            code: .init(code, HTTPStatus(faults.failureStatus)), message: "The lab was told to fail",
            detail: "the lab was told to answer \(faults.failureStatus) to \(faults.failureCount) requests",
            hint: "start it without --fail-next")
    }

    /// Answers a request that is not meant for the lab: in the format of the service that it asks, and with the hint, which
    /// the page shows.
    func refused(_ request: HTTPRequest, _ refusal: ServiceRefusal) -> HTTPResponse {
        let identifier = environment.newIdentifier()
        let body: JSONValue = ["message": .string(refusal.message), "hint": JSONValue(refusal.hint)]
        var response =
            request.method == .post && request.path == "/"
            ? ServiceAnswer.accessManagement.refusal(refusal, requestIdentifier: identifier)
            : ServiceAnswer.jsonRefusal(refusal, body, requestIdentifier: identifier)
        response.headers.append("X-Content-Type-Options", "nosniff")
        observer(LabEvent(request, response, nil, refusal))
        return response
    }

    /// Answers a request that belongs to none of the services.
    func unknown(_ request: HTTPRequest, isReported: Bool = true) -> HTTPResponse {
        let refusal = ServiceRefusal(
            code: .unknownOperation, message: "The lab does not serve \(request.method) \(request.path.prefix(200))")
        let response = ServiceAnswer.json.refusal(refusal, requestIdentifier: environment.newIdentifier())
        if isReported { observer(LabEvent(request, response, nil)) }
        return response
    }
}
