// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPService

/// The little of IAM that the road to a session needs: roles and their policies.
///
/// Source: AWS, *IAM API Reference*, version 2010-05-08; *IAM User Guide*, "IAM and AWS STS quotas".
enum AccessManagement {
    /// The operations by their names.
    static let operations: [String: QueryService.Operation] =
        roleOperations
        .merging(policyOperations) { first, _ in first }
        .merging(tagOperations) { first, _ in first }

    // MARK: What operations share

    /// Reads the name of the role that a request is about.
    static func roleName(_ call: QueryService.Call) throws(ServiceRefusal) -> String {
        try name(call, "RoleName", 1...64)
    }

    /// Reads a name: `[\w+=,.@-]+`.
    static func name(
        _ call: QueryService.Call,
        _ parameter: String,
        _ length: ClosedRange<Int>
    ) throws(ServiceRefusal) -> String {
        let text = try required(call, parameter, length)
        guard text.utf8.allSatisfy(isAllowedInName) else {
            throw .invalidInput(
                "the specified value for \(lowerFirst(parameter)) is invalid. It must contain only alphanumeric "
                    + "characters and/or the following: +=,.@_-"
            )
        }
        return text
    }

    /// Reads a parameter that must be there.
    static func required(
        _ call: QueryService.Call,
        _ parameter: String,
        _ length: ClosedRange<Int>
    ) throws(ServiceRefusal) -> String {
        guard let text = try optional(call, parameter, length) else {
            throw constraint(parameter, "Member must not be null")
        }
        return text
    }

    /// Reads a parameter that may be there.
    static func optional(
        _ call: QueryService.Call,
        _ parameter: String,
        _ length: ClosedRange<Int>
    ) throws(ServiceRefusal) -> String? {
        guard let text = call.form[parameter] else { return nil }
        let count = text.unicodeScalars.count
        if count < length.lowerBound {
            throw constraint(parameter, "Member must have length greater than or equal to \(length.lowerBound)")
        }
        if count > length.upperBound {
            throw constraint(parameter, "Member must have length less than or equal to \(length.upperBound)")
        }
        return text
    }

    /// Reads a whole number.
    static func integer(
        _ call: QueryService.Call,
        _ parameter: String,
        _ range: ClosedRange<Int>
    ) throws(ServiceRefusal) -> Int? {
        guard let text = call.form[parameter] else { return nil }
        guard let number = Int(text) else { throw constraint(parameter, "Member must be a whole number") }
        if number < range.lowerBound {
            throw constraint(parameter, "Member must have value greater than or equal to \(range.lowerBound)")
        }
        if number > range.upperBound {
            throw constraint(parameter, "Member must have value less than or equal to \(range.upperBound)")
        }
        return number
    }

    /// Reads tags: at most 50, no key twice.
    static func tags(_ call: QueryService.Call) throws(ServiceRefusal) -> [Tag] {
        let tags = call.form.tags()
        for (index, tag) in tags.enumerated() {
            guard (1...128).contains(tag.key.unicodeScalars.count), tag.value.unicodeScalars.count <= 256 else {
                throw constraint("tags.\(index + 1).member.key", "Member must have length less than or equal to 128")
            }
            guard !tag.key.lowercased().hasPrefix("aws:") else {
                throw .invalidInput("the tag key \(tag.key) begins with \"aws:\", which is AWS's own")
            }
            guard !tags[..<index].contains(where: { $0.key.lowercased() == tag.key.lowercased() }) else {
                throw ServiceRefusal(
                    code: .init("InvalidInput", .badRequest),
                    message: "Duplicate tag keys found. Please note that Tag keys are case insensitive."
                )
            }
        }
        return tags
    }

    /// Checks a policy as IAM does before it stores it.
    static func policy(
        _ call: QueryService.Call,
        _ parameter: String,
        kind: PolicyDocument.Kind
    ) throws(ServiceRefusal) -> PolicyDocument {
        let text = try required(call, parameter, 1...131_072)
        do {
            return try PolicyDocument(text, kind: kind)
        } catch {
            throw .malformedPolicy(error)
        }
    }

    /// A refusal in IAM's words for a parameter that does not keep its limits.
    static func constraint(_ parameter: String, _ rule: String) -> ServiceRefusal {
        ServiceRefusal(
            code: .init("ValidationError", .badRequest),
            message:
                "1 validation error detected: Value at '\(lowerFirst(parameter))' failed to satisfy constraint: \(rule)"
        )
    }

    /// A quota that is used up.
    static func limit(_ message: String, remedy: String? = nil) -> ServiceRefusal {
        ServiceRefusal(code: .init("LimitExceeded", .conflict), message: message, remedy: remedy)
    }

    /// Finds a role.
    static func role(_ name: String, in account: Account) throws(ServiceRefusal) -> Role {
        guard let role = account.roles[name] else { throw .noSuchEntity("the role with name \(name) cannot be found.") }
        return role
    }

    /// Changes the role that a request names.
    @discardableResult
    static func change(_ call: QueryService.Call, _ change: (inout Role) throws -> Void) throws -> Role {
        let name = try roleName(call)
        return try call.store.update { account in
            var role = try role(name, in: account)
            try change(&role)
            account.roles[name] = role
            return role
        }
    }

    /// One page of a list: `MaxItems` of it from `Marker` on.
    ///
    /// - Parameters:
    ///   - keys: The keys of the whole list, sorted.
    ///   - call: The request.
    /// - Returns: The keys of the page, and the members that say whether there is more.
    static func page(
        _ keys: [String],
        _ call: QueryService.Call
    ) throws(ServiceRefusal) -> (keys: ArraySlice<String>, members: [XMLElement]) {
        let size = try integer(call, "MaxItems", 1...1_000) ?? 100
        var start = 0
        if let marker = call.form["Marker"] {
            guard let data = Data(base64Encoded: marker), let last = String(validating: data, as: UTF8.self) else {
                throw .invalidInput("the marker is not one that the service gave out")
            }
            start = keys.firstIndex { $0 > last } ?? keys.count
        }
        let page = keys[start...].prefix(size)
        guard page.endIndex < keys.endIndex, let last = page.last else {
            return (page, [XMLElement("IsTruncated", text: "false")])
        }
        return (
            page,
            [
                XMLElement("IsTruncated", text: "true"),
                XMLElement("Marker", text: Data(last.utf8).base64EncodedString()),
            ]
        )
    }

    static func isAllowedInName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "_+=,.@-".utf8.contains(byte)
        }
    }

    private static func lowerFirst(_ text: String) -> String { text.prefix(1).lowercased() + text.dropFirst() }
}
