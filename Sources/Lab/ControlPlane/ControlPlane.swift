// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import HTTPServer
import SystemSupport

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

        /// The value of a query parameter; `nil` if it is absent.
        func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
    }

    /// The answer, and words for the trace.
    typealias Outcome = (output: JSONValue, words: String)

    struct Operation: Sendable {
        let name: String
        let method: HTTPMethod
        let path: String
        let status: HTTPStatus
        let perform: @Sendable (Call) throws -> Outcome

        init(
            _ name: String, _ method: HTTPMethod, _ path: String, _ status: HTTPStatus = .ok,
            _ perform: @escaping @Sendable (Call) throws -> Outcome
        ) {
            (self.name, self.method, self.path, self.status, self.perform) = (name, method, path, status, perform)
        }
    }

    static let operations: [Operation] =
        operations(on: TrustAnchor.self) + operations(on: Profile.self) + operations(on: RevocationList.self)
        + notificationOperations + mappingOperations + subjectOperations + tagOperations

    let environment: LabEnvironment
    let store: ResourceStore
    let authentication: CallerAuthentication

    func answer(
        _ operation: Operation, _ request: HTTPRequest, _ path: HTTPRouter.Parameters, _ trace: inout Trace
    ) throws -> HTTPResponse {
        let now = trace.date
        let caller = try authentication.caller(of: request, services: ["rolesanywhere"], dialect: .rest, &trace)
        let call = try trace.run(.input) {
            let call = Call(
                environment: environment, store: store, caller: caller, now: now, path: path,
                query: try QueryParameter.parameters(in: request.query),
                members: try InputMembers(reading: request.body))
            return (call, "well formed")
        }
        try trace.run(.permission) {
            var context = caller.context
            context.describeRequest(at: now, from: request.remoteAddress, region: environment.region)
            return try store.checkPermissions(
                of: caller, try Self.permissions(for: operation, call), context: context, code: .accessDenied)
        }
        let output = try trace.run(.outcome) { try operation.perform(call) }
        return ServiceAnswer.json(operation.status, output, requestIdentifier: trace.requestIdentifier)
    }
}

// MARK: - Permissions

extension ControlPlane {
    /// What a caller must be allowed to do for a request.
    ///
    /// Source: AWS, *Service Authorization Reference*, "Actions, resources, and condition keys for AWS Identity and Access
    /// Management Roles Anywhere": creating and listing name no resource; creating with tags tags too; a caller that puts
    /// roles into a profile, or enables a profile that has some, passes them to the service.
    private static func permissions(for operation: Operation, _ call: Call) throws -> [RequiredPermission] {
        let (resource, resourceTags) = try target(of: operation, call)
        var request = PolicyContext()
        request.describeResourceTags(resourceTags)
        let tags = try call.members.tags() ?? []
        request.describeRequestTags(tags)
        if let keys = try call.members.strings("tagKeys", AWSLimit.tagCount.range, AWSLimit.tagKeyLength.range, .tag) {
            request["aws:TagKeys"] = keys
        }
        var permissions = [
            RequiredPermission(action: "rolesanywhere:\(operation.name)", resource: resource, context: request)
        ]
        let createdKinds = [
            "CreateTrustAnchor": TrustAnchor.kind, "CreateProfile": Profile.kind, "ImportCrl": RevocationList.kind,
        ]
        if !tags.isEmpty, let kind = createdKinds[operation.name] {
            let arn = call.environment.arn(kind, "*").description
            permissions.append(RequiredPermission(action: "rolesanywhere:TagResource", resource: arn, context: request))
        }
        for role in try passedRoles(operation, call) {
            var context = PolicyContext()
            context["iam:PassedToService"] = [RolesAnywhereService.principal]
            let tags = AmazonResourceName(role).flatMap { call.store.snapshot.role($0) }?.tags ?? []
            context.describeResourceTags(tags, service: "iam")
            permissions.append(RequiredPermission(action: "iam:PassRole", resource: role, context: context))
        }
        return permissions
    }

    private static func passedRoles(_ operation: Operation, _ call: Call) throws -> [String] {
        switch operation.name {
        case "CreateProfile", "UpdateProfile": try Profile.roleARNs(in: call.members) ?? []
        case "EnableProfile":
            call.store.snapshot.find(Profile.self, named: call.path[Profile.pathParameter])?.roleARNs ?? []
        default: []
        }
    }

    /// The ARN of what an operation is about, as policies name it, and its tags.
    private static func target(of operation: Operation, _ call: Call) throws -> (arn: String, tags: [Tag]) {
        let arn: String
        switch operation.name {
        case "TagResource", "UntagResource":
            arn = try call.members.string("resourceArn", AWSLimit.arnLength.range) ?? "*"
        case "PutNotificationSettings", "ResetNotificationSettings":
            let identifier = try call.members.string("trustAnchorId", AWSLimit.uuidLength.range)
            arn = identifier.map { call.environment.arn(TrustAnchor.kind, $0).description } ?? "*"
        default:
            let kinds = [
                (TrustAnchor.pathParameter, TrustAnchor.kind), (Profile.pathParameter, Profile.kind),
                (RevocationList.pathParameter, RevocationList.kind), (Subject.pathParameter, Subject.kind),
            ]
            guard let (parameter, kind) = kinds.first(where: { operation.path.contains("{\($0.0)}") }) else {
                return ("*", [])
            }
            let text = call.path[parameter]
            arn = text.hasPrefix("arn:") ? text : call.environment.arn(kind, text).description
        }
        guard let name = AmazonResourceName(arn) else { return (arn, []) }
        // The ARN may be that of an alias.
        if let found = call.store.snapshot.find(name) { return (found.arn.description, found.tags) }
        return (arn, call.store.subjects.first { $0.arn == name }?.tags ?? [])
    }
}
