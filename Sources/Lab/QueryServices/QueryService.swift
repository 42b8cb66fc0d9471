// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService

/// IAM and STS, which speak AWS's query protocol at the path `/`: forms in, XML out.
///
/// Both share the path; the version of the API tells them apart.
struct QueryService: Sendable {
    /// What a request asks for.
    struct Action: Sendable {
        var name: String
        /// `iam` or `sts`.
        var service: String
        /// How the service writes its answers.
        var answer: ServiceAnswer
        var form: QueryForm
    }

    /// What an operation is given.
    struct Call {
        let environment: LabEnvironment
        let store: ResourceStore
        let caller: Caller
        let now: Date
        let form: QueryForm
        let faults: LabFaults
        /// What policies know of the request and of whose it is.
        let context: PolicyContext
    }

    /// What stands in an operation's result, nothing for one that has none, and words for the trace.
    typealias Outcome = (result: [XMLElement]?, words: String)

    /// An operation. One that looks at more than its parameters writes that into the trace.
    typealias Operation = @Sendable (Call, inout Trace) throws -> Outcome

    let environment: LabEnvironment
    let store: ResourceStore
    let authentication: CallerAuthentication
    let faults: LabFaults

    /// Finds out what a request asks for.
    func action(of request: HTTPRequest) -> Action {
        let form = QueryForm(request.body)
        let name = form["Action"] ?? ""
        let isTokenService = form["Version"] == "2011-06-15" || SecurityTokens.operations[name] != nil
        return Action(
            name: name.isEmpty ? "(none)" : String(name.prefix(60)),
            service: isTokenService ? "sts" : "iam",
            answer: isTokenService ? .securityTokens : .accessManagement,
            form: form
        )
    }

    /// Answers a request.
    ///
    /// - Parameters:
    ///   - action: What it asks for.
    ///   - request: The request.
    ///   - trace: Takes the checks.
    /// - Returns: The answer.
    /// - Throws: ``ServiceRefusal``.
    func answer(_ action: Action, _ request: HTTPRequest, _ trace: inout Trace) throws -> HTTPResponse {
        let operations = action.service == "sts" ? SecurityTokens.operations : AccessManagement.operations
        guard let operation = operations[action.name] else {
            throw ServiceRefusal(
                code: .init("InvalidAction", .badRequest),
                message: "The action \(action.name) is not valid for this endpoint.",
                detail: "the lab's \(action.service) has no \(action.name)",
                hint: "it has: \(operations.keys.sorted().joined(separator: ", "))"
            )
        }
        let caller = try authentication.caller(
            of: request,
            services: [action.service],
            dialect: .query,
            at: trace.date,
            &trace
        )
        var context = caller.context
        // IAM is one for all regions, and is asked in the partition's first.
        context.describeRequest(
            at: trace.date,
            from: request.remoteAddress,
            region: action.service == "iam"
                ? AmazonResourceName.firstRegion(ofPartitionWith: environment.region) : environment.region
        )
        // Who one is anyone may ask, and AssumeRole asks the role's trust policy too.
        if action.service == "iam" {
            try trace.run(.permission) {
                try Permissions(store: store, environment: environment).check(
                    caller,
                    [AccessManagement.permission(for: action, in: store.snapshot, environment)],
                    context: context,
                    code: .init("AccessDenied", .forbidden)
                )
            }
        }
        let call = Call(
            environment: environment,
            store: store,
            caller: caller,
            now: trace.date,
            form: action.form,
            faults: faults,
            context: context
        )
        let (result, words) = try operation(call, &trace)
        trace.pass(.outcome, words)
        return action.answer.result(of: action.name, result, requestIdentifier: trace.requestIdentifier)
    }
}
