// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService

/// The control plane of IAM Roles Anywhere: every operation of the service's public model 2018-05-10.
///
/// Source of paths, members, limits and errors: AWS, *IAM Roles Anywhere API Reference*.
struct ControlPlane: Sendable {
    /// What an operation is given.
    struct Call {
        let environment: LabEnvironment
        let store: ResourceStore
        let caller: Caller
        let now: Date
        /// The parts of the path that its template leaves open.
        let path: HTTPRouter.Parameters
        let query: [QueryParameter]
        let members: InputMembers

        /// The value of a query parameter; nothing when it is absent.
        func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
    }

    /// What an operation is, and what it does.
    struct Operation: Sendable {
        var name: String
        var method: HTTPMethod
        var path: String
        var status: HTTPStatus
        /// Does it; returns the answer and words for the trace.
        var perform: @Sendable (Call) throws -> (output: JSONValue, words: String)

        init(
            _ name: String,
            _ method: HTTPMethod,
            _ path: String,
            _ status: HTTPStatus = .ok,
            _ perform: @escaping @Sendable (Call) throws -> (output: JSONValue, words: String)
        ) {
            (self.name, self.method, self.path, self.status, self.perform) = (name, method, path, status, perform)
        }
    }

    /// Every operation.
    static let operations: [Operation] =
        trustAnchorOperations + profileOperations + revocationListOperations + subjectOperations + tagOperations

    let environment: LabEnvironment
    let store: ResourceStore
    let authentication: CallerAuthentication

    /// Answers a request.
    ///
    /// - Parameters:
    ///   - operation: What its path and method ask for.
    ///   - request: The request.
    ///   - path: The parts of the path that the template leaves open.
    ///   - trace: Takes the checks.
    /// - Returns: The answer.
    /// - Throws: ``ServiceRefusal``.
    func answer(
        _ operation: Operation,
        _ request: HTTPRequest,
        _ path: HTTPRouter.Parameters,
        _ trace: inout Trace
    ) throws -> HTTPResponse {
        let now = trace.date
        let caller = try authentication.caller(
            of: request,
            services: ["rolesanywhere"],
            dialect: .rest,
            at: now,
            &trace
        )
        let call = try trace.run(.input) {
            let call = Call(
                environment: environment,
                store: store,
                caller: caller,
                now: now,
                path: path,
                query: try QueryParameter.parameters(in: request.query),
                members: try InputMembers(reading: request.body)
            )
            return (call, "well formed")
        }
        try trace.run(.permission) {
            var context = caller.context
            context.describeRequest(at: now, from: request.remoteAddress, region: environment.region)
            return try Permissions(store: store, environment: environment).check(
                caller,
                Self.permissions(for: operation, call),
                context: context,
                code: .accessDenied
            )
        }
        let output = try trace.run(.outcome) {
            let result = try operation.perform(call)
            return (result.output, result.words)
        }
        return ServiceAnswer.json(operation.status, output, requestIdentifier: trace.requestIdentifier)
    }
}
