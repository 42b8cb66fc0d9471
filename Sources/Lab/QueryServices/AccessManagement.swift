// SPDX-License-Identifier: Apache-2.0

import AWSModel
import SystemSupport

/// The part of IAM that sessions need: roles and their policies.
///
/// Source: AWS, *IAM API Reference*, version 2010-05-08; quotas: IAM User Guide, "IAM and AWS STS quotas".
enum AccessManagement {
    typealias Call = QueryService.Call
    typealias Outcome = QueryService.Outcome

    static let operations: [String: QueryService.Operation] =
        [roleOperations, inlinePolicyOperations, managedPolicyOperations, tagOperations]
        .reduce(into: [:]) { all, some in all.merge(some) { first, _ in first } }

    /// What a caller must be allowed to do for a request.
    ///
    /// Source of the keys: AWS, *Service Authorization Reference*, "Actions, resources, and condition keys for AWS Identity
    /// and Access Management".
    static func permission(
        for action: QueryService.Action, in account: Account, _ environment: LabEnvironment
    ) -> RequiredPermission {
        let form = action.form
        var context = PolicyContext()
        let role = form["RoleName"].flatMap { account.roles[$0] }
        context.describeResourceTags(role?.tags ?? [], service: "iam")
        context.describeRequestTags(form.tags())
        let untagged = form.list("TagKeys")
        if !untagged.isEmpty { context["aws:TagKeys"] = untagged }
        context.set(form["PolicyArn"], for: "iam:PolicyARN")
        context.set(form["PermissionsBoundary"] ?? role?.permissionsBoundary, for: "iam:PermissionsBoundary")
        let arn =
            role?.arn
            ?? form["RoleName"].map { environment.globalARN("iam", "role\(form["Path"] ?? "/")\($0)") }
        return RequiredPermission(
            action: "iam:\(action.name)", resource: arn?.description ?? form["PolicyArn"] ?? "*", context: context)
    }
}

extension QueryService.Call {
    /// The role that the request names.
    func role(in account: Account) throws(ServiceRefusal) -> Role {
        let name = try form.required("RoleName", AWSLimit.roleNameLength.range, .name)
        guard let role = account.roles[name] else {
            let other = account.roles.values.first { $0.name.lowercased() == name.lowercased() }
            throw .noSuchEntity(
                "the role with name \(name) cannot be found.",
                hint: other.map { "it is \($0.name)" }
            )
        }
        return role
    }

    /// Changes the role that the request names.
    @discardableResult
    func changeRole(_ change: (inout Role, Account) throws -> Void) throws -> Role {
        try store.update { account in
            var role = try role(in: account)
            try change(&role, account)
            account.roles[role.name] = role
            return role
        }
    }

    /// A policy of the request.
    func policy(_ parameter: String, kind: PolicyDocument.Kind) throws(ServiceRefusal) -> PolicyDocument {
        let text = try form.required(parameter, AWSLimit.policyLength.range, .policy)
        do {
            return try PolicyDocument(text, kind: kind)
        } catch {
            throw .malformedPolicy(error)
        }
    }

    /// One page of a list whose elements have keys that rise and never change: the elements, whether there are more, and
    /// the marker of the next page.
    func page<Element>(
        _ name: String, _ elements: [(key: String, element: Element)], _ write: (Element) -> XMLElement
    ) throws(ServiceRefusal) -> [XMLElement] {
        let count = try form.integer("MaxItems", AWSLimit.iamPageSize.range) ?? AWSLimit.defaultIAMPageSize
        var rest = elements[...]
        if let marker = try form.text("Marker", Marker.length) {
            guard let last = Marker.read(marker) else { throw .invalidInput("invalid Marker: \(marker)") }
            rest = elements.drop { $0.key <= last }
        }
        let page = rest.prefix(count)
        let isTruncated = page.count < rest.count
        var answer = [
            XMLElement(name, page.map { write($0.element) }), XMLElement("IsTruncated", text: "\(isTruncated)"),
        ]
        if isTruncated, let last = page.last { answer.append(XMLElement("Marker", text: Marker.text(last.key))) }
        return answer
    }
}

/// Where a list continues: `M` and the key in hexadecimal.
private enum Marker {
    /// The model's limit is 320 characters; a long tag key makes a longer marker here.
    static let length = 1...4_096

    static func text(_ key: String) -> String { "M" + hexadecimal(Array(key.utf8)) }

    static func read(_ marker: String) -> String? {
        let digits = marker.utf8.dropFirst().map(UInt8.init(hexadecimalDigit:))
        guard marker.hasPrefix("M"), digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
