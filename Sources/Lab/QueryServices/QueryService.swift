// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import HTTPServer

/// IAM and STS, which speak AWS's query protocol at the path `/`: forms in, XML out.
///
/// Both share the path; the version of the API tells them apart.
struct QueryService: Sendable {
    /// What a request asks for.
    struct Action: Sendable {
        var name: String
        /// `iam` or `sts`.
        var service: String
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
        /// What policies know of the request and of the caller.
        let context: PolicyContext
    }

    /// An operation's result, `nil` for one that has none, and words for the trace.
    typealias Outcome = (result: [XMLElement]?, words: String)

    /// An operation. One that looks at more than its parameters writes that into the trace.
    typealias Operation = @Sendable (Call, inout Trace) throws -> Outcome

    /// The operations of STS.
    ///
    /// Source: AWS, *AWS Security Token Service API Reference*, version 2011-06-15.
    private static let tokenOperations: [String: Operation] = [
        "AssumeRole": { call, trace in try AssumeRole(call).answer(&trace) },
        "GetCallerIdentity": { call, _ in
            let caller = call.caller
            return (
                [
                    XMLElement("Arn", text: caller.arn), XMLElement("UserId", text: caller.userIdentifier),
                    XMLElement("Account", text: caller.account),
                ],
                caller.arn
            )
        },
        // The lab gives out keys of its own account only.
        "GetAccessKeyInfo": { call, _ in
            let key = try call.form.required("AccessKeyId", AWSLimit.accessKeyIDLength.range, .name)
            return ([XMLElement("Account", text: call.environment.account)], key)
        },
    ]

    let environment: LabEnvironment
    let store: ResourceStore
    let authentication: CallerAuthentication
    let faults: LabFaults

    func action(of request: HTTPRequest) -> Action {
        let form = QueryForm(request.body)
        let name = form["Action"] ?? ""
        let isTokenService = form["Version"] == "2011-06-15" || Self.tokenOperations[name] != nil
        return Action(
            name: name.isEmpty ? "(none)" : String(name.prefix(60)), service: isTokenService ? "sts" : "iam",
            answer: isTokenService ? .securityTokens : .accessManagement, form: form)
    }

    func answer(_ action: Action, _ request: HTTPRequest, _ trace: inout Trace) throws -> HTTPResponse {
        let operations = action.service == "sts" ? Self.tokenOperations : AccessManagement.operations
        guard let operation = operations[action.name] else {
            throw ServiceRefusal(
                code: .init("InvalidAction", .badRequest),
                message: "The action \(action.name) is not valid for this endpoint.",
                detail: "the lab's \(action.service) has no \(action.name)",
                hint: "it has: \(operations.keys.sorted().joined(separator: ", "))")
        }
        let caller = try authentication.caller(of: request, services: [action.service], dialect: .query, &trace)
        var context = caller.context
        // IAM is one for all regions, and is asked in the partition's first.
        context.describeRequest(
            at: trace.date, from: request.remoteAddress,
            region: action.service == "iam" ? Partition(of: environment.region).firstRegion : environment.region)
        // Every caller may ask for its own identity, and AssumeRole asks the role's trust policy too.
        if action.service == "iam" {
            try trace.run(.permission) {
                try store.checkPermissions(
                    of: caller, [AccessManagement.permission(for: action, in: store.snapshot, environment)],
                    context: context, code: .denied)
            }
        }
        let call = Call(
            environment: environment, store: store, caller: caller, now: trace.date, form: action.form, faults: faults,
            context: context)
        let (result, words) = try operation(call, &trace)
        trace.pass(.outcome, words)
        return action.answer.result(of: action.name, result, requestIdentifier: trace.requestIdentifier)
    }
}
