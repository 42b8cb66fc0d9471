// SPDX-License-Identifier: Apache-2.0

import AWSModel
import SystemSupport

/// Reads the statements of a policy's text, and refuses what IAM refuses.
struct PolicyReader {
    private static let documentElements = ["Version", "Id", "Statement"]
    private static let statementElements = [
        "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
    ]
    private static let trustActions = [
        "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:TagSession",
        "sts:SetSourceIdentity", "sts:SetContext",
    ]

    private let kind: PolicyDocument.Kind
    private var hasVariables = false
    private var identifiers: Set<String> = []

    private init(kind: PolicyDocument.Kind) { self.kind = kind }

    static func statements(of text: String, kind: PolicyDocument.Kind) throws(PolicyError) -> [PolicyStatement] {
        guard text.utf8.count <= AWSLimit.policyLength.maximum else {
            throw .syntax("the text has \(text.utf8.count) octets, not at most \(AWSLimit.policyLength.maximum)")
        }
        var reader = PolicyReader(kind: kind)
        let json: JSONValue
        do {
            json = try JSONReader.value(of: Array(text.utf8))
        } catch {
            throw .notJSON(error.message, hint: error.hint)
        }
        return try reader.document(json)
    }

    private mutating func document(_ json: JSONValue) throws(PolicyError) -> [PolicyStatement] {
        let members = try Self.members(json, "the policy", Self.documentElements)
        if let version = members["Version"] {
            guard case .string(let text) = version, ["2012-10-17", "2008-10-17"].contains(text) else {
                throw .syntax(
                    "Version is \(version.scalarText.map { "\"\($0)\"" } ?? version.kind)",
                    hint: "write \"Version\": \"2012-10-17\"; it is the language's version, not the policy's date")
            }
            hasVariables = text == "2012-10-17"
        }
        if let identifier = members["Id"], identifier.scalarText == nil {
            throw .syntax("Id is \(identifier.kind), not a string")
        }
        guard let statement = members["Statement"] else { throw .missing("Statement", at: "the policy") }
        var statements: [PolicyStatement] = []
        for (index, element) in statement.elements.enumerated() {
            statements.append(try self.statement(element, index))
        }
        guard !statements.isEmpty else { throw .syntax("Statement is empty", hint: "write one statement or more") }
        return statements
    }

    private static func members(
        _ json: JSONValue, _ place: String, _ known: [String]
    ) throws(PolicyError) -> [String: JSONValue] {
        guard case .object(let members) = json else { throw .syntax("\(place) is \(json.kind), not an object") }
        var found: [String: JSONValue] = [:]
        for member in members {
            guard known.contains(member.name) else {
                throw .syntax(
                    "\(place) has the unknown element \"\(member.name)\"",
                    hint: nearestWord(to: member.name, in: known).map { "write \($0)" }
                        ?? "the elements are \(known.joined(separator: ", "))"
                )
            }
            found[member.name] = member.value
        }
        return found
    }

    private mutating func statement(_ json: JSONValue, _ index: Int) throws(PolicyError) -> PolicyStatement {
        let place = "Statement[\(index)]"
        let members = try Self.members(json, place, Self.statementElements)
        let identifier = try identifier(members["Sid"], place)
        for name in ["Principal", "Action", "Resource"] where members[name] != nil && members["Not\(name)"] != nil {
            throw .syntax("\(place) has both \(name) and Not\(name)", hint: "keep one of them")
        }
        let effect = try Self.effect(members["Effect"], place)
        return PolicyStatement(
            label: identifier.map { "Statement \"\($0)\"" } ?? place,
            effect: effect,
            principal: try principal(members, effect, place),
            actions: try actions(members, place),
            resources: try resources(members, place),
            conditions: try members["Condition"].map { json throws(PolicyError) in
                try conditions(json, "\(place).Condition")
            } ?? []
        )
    }

    private mutating func identifier(_ json: JSONValue?, _ place: String) throws(PolicyError) -> String? {
        guard let json else { return nil }
        guard case .string(let text) = json else { throw .syntax("\(place).Sid is \(json.kind), not a string") }
        let isPlain = text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
        }
        guard isPlain else {
            throw PolicyError(
                message: "Statement IDs (SID) must be alpha-numeric."
                    + " Check that your input satisfies the regular expression [0-9A-Za-z]*",
                detail: "\(place).Sid is \"\(text)\"", hint: "use letters and digits only")
        }
        guard !text.isEmpty else { return nil }
        guard identifiers.insert(text).inserted else {
            throw PolicyError(
                message: "Statement IDs (SID) in a single policy must be unique.",
                detail: "\(place).Sid is \"\(text)\", which an earlier statement has",
                hint: "give each statement a Sid of its own, or none")
        }
        return text
    }

    private static func effect(_ json: JSONValue?, _ place: String) throws(PolicyError) -> PolicyStatement.Effect {
        guard let json else { throw .missing("Effect", at: place, hint: "write \"Effect\": \"Allow\" or \"Deny\"") }
        guard case .string(let text) = json, let effect = PolicyStatement.Effect(rawValue: text) else {
            throw .syntax(
                "\(place).Effect is \(json.scalarText.map { "\"\($0)\"" } ?? json.kind)",
                hint: "write \"Allow\" or \"Deny\", with a capital")
        }
        return effect
    }

    private func principal(
        _ members: [String: JSONValue], _ effect: PolicyStatement.Effect, _ place: String
    ) throws(PolicyError) -> PolicyStatement.Choice<PrincipalElement>? {
        let isNegated = members["NotPrincipal"] != nil
        let name = isNegated ? "NotPrincipal" : "Principal"
        guard let json = members[name] else {
            guard kind == .trust else { return nil }
            throw .missing(
                "Principal", at: place, hint: "write \"Principal\": {\"Service\": \"rolesanywhere.amazonaws.com\"}")
        }
        guard kind == .trust else {
            throw PolicyError(
                message: "Policy document should not specify a principal.", detail: "\(place) has the element \(name)",
                hint: "leave it out: the principal is what the policy is attached to")
        }
        if isNegated, effect == .allow {
            throw .prohibited(
                "NotPrincipal", at: place,
                hint: "NotPrincipal works with \"Effect\": \"Deny\" only; name the principals instead")
        }
        return PolicyStatement.Choice(elements: [try Self.principal(json, "\(place).\(name)")], isNegated: isNegated)
    }

    private static func principal(_ json: JSONValue, _ place: String) throws(PolicyError) -> PrincipalElement {
        if case .string("*") = json { return .everyone }
        guard case .object(let members) = json else {
            throw PolicyError(
                message: "Invalid principal in policy.",
                detail: "\(place) is \(json.scalarText.map { "\"\($0)\"" } ?? json.kind)",
                hint: "write an object, for example {\"Service\": \"rolesanywhere.amazonaws.com\"}")
        }
        var element = PrincipalElement()
        for member in members {
            for name in try strings(member.value, "\(place).\(member.name)") {
                try element.add(name, kind: member.name, at: place)
            }
        }
        guard !element.texts.isEmpty else {
            throw PolicyError(
                message: "Invalid principal in policy.", detail: "\(place) names nobody",
                hint: "write for example {\"Service\": \"rolesanywhere.amazonaws.com\"}")
        }
        return element
    }

    private static func strings(_ json: JSONValue, _ place: String) throws(PolicyError) -> [String] {
        var texts: [String] = []
        for element in json.elements {
            guard case .string(let text) = element else {
                throw .syntax("\(place) is or holds \(element.kind), not a string")
            }
            texts.append(text)
        }
        return texts
    }

    /// The strings of an element, or of its negation; none if neither is there.
    private static func choice(
        _ element: String, of members: [String: JSONValue], _ place: String
    ) throws(PolicyError) -> (name: String, texts: [String], isNegated: Bool) {
        let isNegated = members["Not\(element)"] != nil
        let name = isNegated ? "Not\(element)" : element
        guard let json = members[name] else { return (name, [], isNegated) }
        return (name, try strings(json, "\(place).\(name)"), isNegated)
    }

    private func actions(
        _ members: [String: JSONValue], _ place: String
    ) throws(PolicyError) -> PolicyStatement.Choice<PolicyStatement.Action> {
        let (name, texts, isNegated) = try Self.choice("Action", of: members, place)
        guard !texts.isEmpty else {
            if kind == .trust { throw .missing("Action", at: place, hint: "write \"Action\": \"sts:AssumeRole\"") }
            throw PolicyError(
                message: "Policy statement must contain actions.", detail: "\(place) has no \(name)",
                hint: "write for example \"Action\": \"s3:GetObject\"")
        }
        for text in texts { try check(action: text, "\(place).\(name)") }
        return PolicyStatement.Choice(elements: texts.map(PolicyStatement.Action.init), isNegated: isNegated)
    }

    private func check(action text: String, _ place: String) throws(PolicyError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard text == "*" || (parts.count == 2 && parts.allSatisfy { !$0.isEmpty }) else {
            throw PolicyError(
                message: "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                detail: "\(place) is \"\(text)\"",
                hint: kind == .trust ? "write for example \"sts:AssumeRole\"" : "write SERVICE:ACTION")
        }
        guard kind == .trust else { return }
        let pattern = PolicyPattern(wildcards: text.lowercased())
        guard parts[0].lowercased() == "sts", Self.trustActions.contains(where: { pattern.matches($0.lowercased()) })
        else {
            throw PolicyError(
                message: "AssumeRole policy may only specify STS AssumeRole actions.",
                detail: "\(place) is \"\(text)\"",
                hint: nearestWord(to: text, in: Self.trustActions).map { "write \"\($0)\"" }
                    ?? "the actions for IAM Roles Anywhere are sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity"
            )
        }
    }

    private func resources(
        _ members: [String: JSONValue], _ place: String
    ) throws(PolicyError) -> PolicyStatement.Choice<PolicyTemplate>? {
        guard kind == .identity else {
            for name in ["NotResource", "Resource"] where members[name] != nil {
                throw .prohibited(name, at: place, hint: "leave it out: a trust policy's resource is its own role")
            }
            return nil
        }
        let (name, texts, isNegated) = try Self.choice("Resource", of: members, place)
        guard !texts.isEmpty else {
            throw PolicyError(
                message: "Policy statement must contain resources.", detail: "\(place) has no \(name)",
                hint: "write for example \"Resource\": \"*\"")
        }
        var templates: [PolicyTemplate] = []
        for text in texts {
            // Only the beginning of an ARN is known without the request.
            guard
                text == "*" || text.hasPrefix("arn:") || (hasVariables && text.hasPrefix("${")) || text.hasPrefix("*:")
            else {
                throw PolicyError(
                    message: "Resource \(text) must be in ARN format or \"*\".",
                    detail: "\(place).\(name) is \"\(text)\"", hint: "write for example \"arn:aws:s3:::NAME/*\"")
            }
            let style = PolicyTemplate.Style(hasWildcards: true, hasVariables: hasVariables)
            guard let template = PolicyTemplate(text, style) else { throw Self.badVariable("\(place).\(name)", text) }
            templates.append(template)
        }
        return PolicyStatement.Choice(elements: templates, isNegated: isNegated)
    }

    private static func badVariable(_ place: String, _ text: String) -> PolicyError {
        .syntax("\(place) is \"\(text)\", with a variable that is malformed", hint: "write ${KEY} or ${KEY, 'DEFAULT'}")
    }

    private func conditions(_ json: JSONValue, _ place: String) throws(PolicyError) -> [PolicyCondition] {
        guard case .object(let operators) = json else { throw .syntax("\(place) is \(json.kind), not an object") }
        var conditions: [PolicyCondition] = []
        for member in operators {
            guard let comparison = ConditionOperator(member.name) else {
                throw .syntax(
                    "unknown condition operator \"\(member.name)\" in \(place)",
                    hint: ConditionOperator.suggestion(for: member.name).map { "write \($0)" }
                        ?? "write for example \"StringEquals\": {\"aws:PrincipalTag/x509Subject/CN\": \"NAME\"}"
                )
            }
            guard case .object(let keys) = member.value else {
                throw .syntax(
                    "\(place).\(member.name) is \(member.value.kind), not an object", hint: "write {\"KEY\": \"VALUE\"}"
                )
            }
            for key in keys {
                conditions.append(try condition(comparison, key, "\(place).\(member.name).\(key.name)"))
            }
        }
        return conditions
    }

    private func condition(
        _ comparison: ConditionOperator, _ member: JSONMember, _ place: String
    ) throws(PolicyError) -> PolicyCondition {
        guard let colon = member.name.firstIndex(of: ":"), colon != member.name.startIndex else {
            throw PolicyError(
                message: "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                detail: "\(place) has a key without a service before a colon",
                hint: "write for example aws:PrincipalTag/x509Subject/CN")
        }
        var values: [ConditionValue] = []
        var texts: [String] = []
        for element in member.value.elements {
            guard let text = element.scalarText else { throw .syntax("\(place) is or holds \(element.kind)") }
            guard let value = ConditionValue(text, for: comparison.comparison, hasVariables: hasVariables) else {
                if comparison.comparison.takesVariables { throw Self.badVariable(place, text) }
                throw .syntax("\(place) is \"\(text)\", which \(comparison.name) cannot compare with")
            }
            values.append(value)
            texts.append(text)
        }
        return PolicyCondition(comparison, key: member.name, values: values, texts: texts)
    }
}

/// Why IAM would not store a policy.
///
/// The client gets the message in the service's words, which say little. Detail and hint are for the lab's user.
struct PolicyError: Error, Equatable, CustomStringConvertible {
    /// The message of `MalformedPolicyDocument`.
    let message: String
    /// What is wrong, and where.
    let detail: String
    var hint: String?

    var description: String { "\(message) (\(detail))" }

    static func notJSON(_ detail: String, hint: String? = nil) -> PolicyError {
        PolicyError(message: "This policy contains invalid Json", detail: detail, hint: hint)
    }

    static func syntax(_ detail: String, hint: String? = nil) -> PolicyError {
        PolicyError(message: "Syntax errors in policy.", detail: detail, hint: hint)
    }

    static func missing(_ field: String, at place: String, hint: String? = nil) -> PolicyError {
        PolicyError(message: "Missing required field \(field)", detail: "\(place) has no \(field)", hint: hint)
    }

    static func prohibited(_ field: String, at place: String, hint: String) -> PolicyError {
        PolicyError(message: "Has prohibited field \(field)", detail: "\(place) has the element \(field)", hint: hint)
    }

    static func invalidPrincipal(_ kind: String, _ name: String, _ detail: String, hint: String? = nil) -> PolicyError {
        PolicyError(message: "Invalid principal in policy: \"\(kind)\":\"\(name)\"", detail: detail, hint: hint)
    }
}

// How IAM reads the JSON of a policy: more generously than others.
extension JSONValue {
    /// The text of a string, or the digits or the word of a number or a boolean: IAM takes these where it wants strings.
    var scalarText: String? {
        switch self {
        case .string(let text): text
        case .number(let digits): digits
        case .boolean(let truth): truth ? "true" : "false"
        case .null, .array, .object: nil
        }
    }

    /// The elements of an array, or the value itself: IAM takes one string wherever it takes several.
    var elements: [JSONValue] {
        if case .array(let elements) = self { return elements }
        return [self]
    }
}
