// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService
import Synchronization
import SystemSupport

/// Takes the requests to AWS's services one by one: injects the faults that were asked for, has them decided, writes the
/// trace, and tells whoever listens.
final class RequestDispatcher: Sendable {
    private let environment: LabEnvironment
    private let log: TraceLog
    private let faults: LabFaults
    private let isPersistent: Bool
    private let observer: @Sendable (LabEvent) -> Void
    private let failuresLeft: Atomic<Int>

    init(
        environment: LabEnvironment,
        log: TraceLog,
        faults: LabFaults,
        isPersistent: Bool,
        observer: @escaping @Sendable (LabEvent) -> Void
    ) {
        self.environment = environment
        self.log = log
        self.faults = faults
        self.isPersistent = isPersistent
        self.observer = observer
        failuresLeft = Atomic(faults.failureCount)
    }

    /// Answers a request.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - service: Whose it is, for the trace.
    ///   - operation: What it asks for, for the trace.
    ///   - form: How the service writes its answers.
    ///   - decide: Decides; what it throws becomes a refusal.
    /// - Returns: The answer. In memory it is made at once, on the event loop: a verification takes some 0.1 ms, which a
    ///   change of thread would not make shorter. With a state file it is made where the disk can be waited for.
    func answer(
        _ request: HTTPRequest,
        service: String,
        operation: String,
        as form: ServiceAnswer,
        _ decide: @escaping @Sendable (inout Trace) throws -> HTTPResponse
    ) -> HTTPAnswer {
        let work: @Sendable () -> HTTPResponse = {
            self.response(to: request, service: service, operation: operation, as: form, decide)
        }
        if faults.delay > .zero {
            let delay = faults.delay
            return .later { responder in
                Task {
                    try? await Task.sleep(for: delay)
                    responder.answer(work())
                }
            }
        }
        return isPersistent ? .work(work) : .now(work())
    }

    private func response(
        to request: HTTPRequest,
        service: String,
        operation: String,
        as form: ServiceAnswer,
        _ decide: (inout Trace) throws -> HTTPResponse
    ) -> HTTPResponse {
        var trace = Trace(
            requestIdentifier: environment.requestIdentifier(),
            date: environment.now(),
            remoteAddress: request.remoteAddress,
            service: service,
            operation: operation
        )
        var response: HTTPResponse
        do {
            if let fault = injectedFault() {
                trace.fail(.fault, fault)
                throw fault
            }
            response = try decide(&trace)
        } catch let refusal as ServiceRefusal {
            trace.fail(.outcome, refusal)
            trace.code = refusal.code.name
            trace.message = refusal.message
            response = form.refusal(refusal, requestIdentifier: trace.requestIdentifier)
        } catch {
            let words = (error as? LabError)?.message ?? "\(error)"
            let refusal = ServiceRefusal(
                code: .init(form == .json ? "InternalServerException" : "ServiceFailure", .internalServerError),
                message: "The lab failed: \(words)",
                hint: (error as? LabError)?.hint
            )
            trace.fail(.outcome, refusal)
            trace.code = refusal.code.name
            trace.message = refusal.message
            response = form.refusal(refusal, requestIdentifier: trace.requestIdentifier)
        }
        trace.status = response.status.code
        let numbered = log.append(trace)
        observer(LabEvent(request, response, numbered))
        return response
    }

    /// The refusal that takes the place of an answer, as long as there are some to give.
    private func injectedFault() -> ServiceRefusal? {
        guard failuresLeft.load(ordering: .relaxed) > 0,
            failuresLeft.wrappingSubtract(1, ordering: .relaxed).oldValue > 0
        else { return nil }
        let status = HTTPStatus(faults.failureStatus)
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
            code: .init(code, status),
            message: "The lab was told to fail",
            detail: "the lab was told to answer \(faults.failureStatus) to \(faults.failureCount) requests",
            hint: "start it without --fail-next"
        )
    }

    /// Answers a request that is not meant for the lab: in the form of the service that it asks, and with the hint, which the
    /// page shows.
    func refused(_ request: HTTPRequest, _ refusal: ServiceRefusal) -> HTTPResponse {
        let identifier = environment.requestIdentifier()
        var response: HTTPResponse
        if request.method == .post, request.path == "/" {
            response = ServiceAnswer.accessManagement.refusal(refusal, requestIdentifier: identifier)
        } else {
            response = ServiceAnswer.json(
                refusal.code.status,
                ["message": .string(refusal.message), "hint": JSONValue(refusal.hint)],
                requestIdentifier: identifier
            )
            response.headers.append("X-Amzn-ErrorType", refusal.code.name)
        }
        response.headers.append("X-Content-Type-Options", "nosniff")
        observer(LabEvent(request, response, nil, refusal))
        return response
    }

    /// Answers a request that belongs to none of the services.
    func unknown(_ request: HTTPRequest) -> HTTPResponse {
        let refusal = ServiceRefusal(
            code: .unknownOperation,
            message: "The lab does not serve \(request.method) \(request.path.prefix(200))"
        )
        let response = ServiceAnswer.json.refusal(refusal, requestIdentifier: environment.requestIdentifier())
        observer(LabEvent(request, response, nil))
        return response
    }
}
