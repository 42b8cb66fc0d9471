// SPDX-License-Identifier: Apache-2.0

/// One statement of a policy, read once and made ready to be compared.
struct PolicyStatement: Sendable {
    enum Effect: String, Sendable { case allow = "Allow", deny = "Deny" }

    /// A list, or everything but what is in it.
    struct Choice<Element: Sendable>: Sendable {
        var elements: [Element]
        var isNegated: Bool
    }

    /// An action with the name as written.
    struct Action: Sendable {
        let text: String
        let pattern: PolicyPattern

        /// Makes a pattern; in the name of an action case does not count.
        init(_ text: String) {
            self.text = text
            pattern = PolicyPattern(wildcards: text.lowercased())
        }
    }

    /// `Statement "SID"`, or `Statement[0]` by its place when it has none.
    var label: String
    var effect: Effect
    /// Nothing in an identity's policy.
    var principal: Choice<PrincipalElement>?
    var actions: Choice<Action>
    /// Nothing in a trust policy.
    var resources: Choice<PolicyTemplate>?
    var conditions: [PolicyCondition]

    /// What of a statement does not match; the index is the condition's.
    enum Mismatch: Sendable { case principal, action, resource, condition(Int) }

    /// How the statement names who makes the request; nothing when it does not, or when it names nobody at all.
    func principalMatch(_ request: PolicyRequest) -> PolicyPrincipalMatch? {
        principal?.elements.lazy.compactMap { $0.match(request.principal) }.max()
    }

    /// The first thing that does not match: principal, action, resource, conditions in the order of the text.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - action: Its action in lower case.
    /// - Returns: Nothing when the statement applies.
    func mismatch(_ request: PolicyRequest, foldedAction action: String) -> Mismatch? {
        if let principal, (principalMatch(request) != nil) == principal.isNegated { return .principal }
        if actions.elements.contains(where: { $0.pattern.matches(action) }) == actions.isNegated { return .action }
        if let resources {
            let isNamed = resources.elements.contains {
                $0.pattern(in: request.context)?.matches(request.resource) ?? false
            }
            if isNamed == resources.isNegated { return .resource }
        }
        return conditions.firstIndex { !$0.isMet(in: request.context) }.map(Mismatch.condition)
    }

    /// Says what does not match.
    func explanation(of mismatch: Mismatch, _ request: PolicyRequest) -> PolicyMismatch {
        switch mismatch {
        case .principal:
            let texts = principal?.elements.flatMap(\.texts) ?? []
            return Self.mismatch("Principal", texts, principal?.isNegated ?? false, request.principal.description)
        case .action:
            return Self.mismatch("Action", actions.elements.map(\.text), actions.isNegated, request.action)
        case .resource:
            let texts = resources?.elements.map { template in
                guard template.hasVariables else { return template.text }
                return template.resolved(in: request.context).map { "\(template.text) (here \($0))" }
                    ?? "\(template.text) (without a value here)"
            }
            return Self.mismatch("Resource", texts ?? [], resources?.isNegated ?? false, request.resource)
        case .condition(let index):
            return conditions[index].mismatch(in: request.context)
        }
    }

    private static func mismatch(_ element: String, _ texts: [String], _ isNegated: Bool, _ actual: String)
        -> PolicyMismatch
    {
        let shown = texts.prefix(5).map { "\"\($0)\"" }.joined(separator: ", ")
        let more = texts.count > 5 ? " and \(texts.count - 5) more" : ""
        let list = "\(texts.count > 1 ? "one of " : "")\(shown)\(more)"
        let text =
            isNegated
            ? "Not\(element) leaves out \(shown)\(more), the request has \"\(actual)\""
            : "\(element) wants \(list), the request has \"\(actual)\""
        return PolicyMismatch(text: text, hint: isNegated ? nil : "add \"\(actual)\" to the \(element)")
    }
}
