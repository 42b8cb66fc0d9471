// SPDX-License-Identifier: Apache-2.0

import HTTPService

extension ControlPlane {
    private static let service = "rolesanywhere"

    /// What a caller must be allowed to do for a request.
    ///
    /// Source: AWS, *Service Authorization Reference*, "Actions, resources, and condition keys for AWS Identity and Access
    /// Management Roles Anywhere": creating and listing know no resource, what is created with tags is tagged too, and roles
    /// are passed to the service by whoever puts them into a profile or enables one that has them.
    ///
    /// - Parameters:
    ///   - operation: What is asked for.
    ///   - call: The request.
    /// - Returns: One permission or more.
    /// - Throws: ``ServiceRefusal`` when a member has not the form that it must have.
    static func permissions(for operation: Operation, _ call: Call) throws -> [RequiredPermission] {
        let subject = try target(of: operation, call)
        var request = PolicyContext()
        request.describeResourceTags(subject.tags)
        let tags = try call.members.tags() ?? []
        request.describeRequestTags(tags)
        if let keys = try call.members.strings("tagKeys", 0...200, 1...128, .tag) { request["aws:TagKeys"] = keys }
        var permissions = [
            RequiredPermission(action: "\(service):\(operation.name)", resource: subject.arn, context: request)
        ]
        if !tags.isEmpty, let kind = createdKinds[operation.name] {
            let arn = arn(kind, "*", call.environment)
            permissions.append(
                RequiredPermission(action: "\(service):TagResource", resource: arn, context: request)
            )
        }
        for role in try passedRoles(operation, call) {
            var context = PolicyContext()
            context["iam:PassedToService"] = [TrustDecision.service]
            let tags = AmazonResourceName(role).flatMap { call.store.snapshot.role($0) }?.tags ?? []
            context.describeResourceTags(tags, service: "iam")
            permissions.append(RequiredPermission(action: "iam:PassRole", resource: role, context: context))
        }
        return permissions
    }

    /// What the operations that may tag what they make do make.
    private static let createdKinds = [
        "CreateTrustAnchor": TrustAnchor.kind, "CreateProfile": Profile.kind, "ImportCrl": RevocationList.kind,
    ]

    private static func passedRoles(_ operation: Operation, _ call: Call) throws -> [String] {
        switch operation.name {
        case "CreateProfile", "UpdateProfile": try call.members.strings("roleArns", 0...250, 1...1_011, .roleARN) ?? []
        case "EnableProfile":
            call.store.snapshot.find(Profile.self, named: call.path[Profile.path.parameter])?.roleARNs ?? []
        default: []
        }
    }

    /// What an operation is about, as policies name it.
    private static func target(of operation: Operation, _ call: Call) throws -> (arn: String, tags: [Tag]) {
        switch operation.name {
        case "TagResource", "UntagResource":
            return target(try call.members.string("resourceArn", 1...1_011) ?? "*", call)
        case "PutNotificationSettings", "ResetNotificationSettings":
            guard let identifier = try call.members.string("trustAnchorId", 36...36) else { return ("*", []) }
            return target(arn(TrustAnchor.kind, identifier, call.environment), call)
        default: break
        }
        let kinds = [
            (TrustAnchor.path.parameter, TrustAnchor.kind), (Profile.path.parameter, Profile.kind),
            (RevocationList.path.parameter, RevocationList.kind), (Subject.pathParameter, Subject.kind),
        ]
        for (parameter, kind) in kinds where operation.path.contains("{\(parameter)}") {
            let text = call.path[parameter]
            return target(text.hasPrefix("arn:") ? text : arn(kind, text, call.environment), call)
        }
        return ("*", [])
    }

    /// A resource by its ARN, which may be that of its alias; what there is not has no tags.
    private static func target(_ text: String, _ call: Call) -> (arn: String, tags: [Tag]) {
        guard let arn = AmazonResourceName(text) else { return (text, []) }
        let account = call.store.snapshot
        if let found = account.find(TrustAnchor.self, arn) { return (found.arn.description, found.tags) }
        if let found = account.find(Profile.self, arn) { return (found.arn.description, found.tags) }
        if let found = account.find(RevocationList.self, arn) { return (found.arn.description, found.tags) }
        return (text, call.store.subjects.first { $0.arn == arn }?.tags ?? [])
    }

    private static func arn(_ kind: String, _ identifier: String, _ environment: LabEnvironment) -> String {
        AmazonResourceName(
            rolesAnywhere: "\(kind)/\(identifier)",
            region: environment.region,
            account: environment.account
        ).description
    }
}
