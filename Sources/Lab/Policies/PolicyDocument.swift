// SPDX-License-Identifier: Apache-2.0

/// A policy in the language of IAM, read once and then asked any number of times (IAM User Guide, "IAM JSON policy
/// element reference").
struct PolicyDocument: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// A role's trust policy: it names principals, and its resource is the role.
        case trust
        /// An identity's policy, a boundary or a session's: it names resources, and its principal is what it is attached to.
        case identity
    }

    let kind: Kind

    /// The text as it was given, which `GetRole` returns.
    let text: String

    let statements: [PolicyStatement]

    /// Reads a policy, and throws when IAM would not store it.
    init(_ text: String, kind: Kind) throws(PolicyError) {
        self.text = text
        self.kind = kind
        statements = try PolicyReader.statements(of: text, kind: kind)
    }

    static func == (left: PolicyDocument, right: PolicyDocument) -> Bool {
        left.kind == right.kind && left.text == right.text
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(text)
    }

    /// Asks the policy. A statement that denies outweighs every one that allows.
    func decision(for request: PolicyRequest) -> PolicyDecision {
        let action = request.action.lowercased()
        var allowed: (index: Int, match: PolicyPrincipalMatch?)?
        for (index, statement) in statements.enumerated()
        where statement.mismatch(request, foldedAction: action) == nil {
            let match = statement.principalMatch(request)
            guard statement.effect == .allow else {
                return PolicyDecision(
                    outcome: .explicitlyDenied(by: index), principalMatch: match, document: self, request: request)
            }
            // Of several the most direct one counts, for it may grant more.
            if let best = allowed, (best.match?.rawValue ?? -1) >= (match?.rawValue ?? -1) { continue }
            allowed = (index, match)
        }
        return PolicyDecision(
            outcome: allowed.map { .allowed(by: $0.index) } ?? .notAllowed,
            principalMatch: allowed?.match,
            document: self,
            request: request
        )
    }
}

/// What a policy is asked about.
struct PolicyRequest: Sendable, Hashable {
    /// For example `sts:AssumeRole`.
    var action: String

    /// Who asks. An identity's policy does not look at it.
    var principal: PolicyPrincipal

    /// The ARN of what the action is done to. A trust policy does not look at it.
    var resource: String

    var context = PolicyContext()
}

/// What a policy says to a request.
struct PolicyDecision: Sendable {
    /// An index is that of the statement.
    enum Outcome: Sendable, Hashable {
        case allowed(by: Int)
        case explicitlyDenied(by: Int)
        /// No statement allows it.
        case notAllowed
    }

    /// What one statement says, for people.
    struct Finding: Sendable, Hashable {
        /// `Statement "SID"`, or `Statement[0]`.
        let statement: String
        /// Whether the statement applies to the request.
        let applies: Bool
        /// One sentence that begins with the statement.
        let text: String
        let hint: String?
    }

    let outcome: Outcome

    /// How the deciding statement names the principal, of several allowing ones the most direct; `nil` if no statement
    /// decides, and in an identity's policy.
    let principalMatch: PolicyPrincipalMatch?

    fileprivate let document: PolicyDocument
    fileprivate let request: PolicyRequest

    var isAllowed: Bool {
        if case .allowed = outcome { return true }
        return false
    }

    /// Whether a statement denies the request, which outweighs every one that allows.
    var isExplicitDenial: Bool {
        if case .explicitlyDenied = outcome { return true }
        return false
    }

    /// The statement that decides.
    var statement: String? {
        switch outcome {
        case .allowed(let index), .explicitlyDenied(let index): document.statements[index].label
        case .notAllowed: nil
        }
    }

    /// For each statement the first thing that did not match. It is computed, so that a request that is allowed pays
    /// nothing for it.
    var explanation: [Finding] {
        let action = request.action.lowercased()
        return document.statements.map { statement in
            let label = statement.label
            guard let mismatch = statement.mismatch(request, foldedAction: action) else {
                let text = "\(label) \(statement.effect == .allow ? "allows" : "denies") \(request.action)"
                return Finding(statement: label, applies: true, text: text, hint: nil)
            }
            let reason = statement.explanation(of: mismatch, request)
            let text = "\(label) does not apply: \(reason.text)"
            return Finding(statement: label, applies: false, text: text, hint: reason.hint)
        }
    }
}

/// The first thing about a statement that a request does not match, for people.
struct PolicyMismatch: Sendable, Hashable {
    /// What the policy wants, and what the request has.
    var text: String
    var hint: String?
}

/// One statement of a policy, ready to be compared.
struct PolicyStatement: Sendable {
    enum Effect: String, Sendable { case allow = "Allow", deny = "Deny" }

    /// A list, or everything but what is in it.
    struct Choice<Element: Sendable>: Sendable {
        var elements: [Element]
        var isNegated: Bool
    }

    /// An action with the name as written. In the name of an action case does not count.
    struct Action: Sendable {
        let text: String
        let pattern: PolicyPattern

        init(_ text: String) {
            self.text = text
            pattern = PolicyPattern(wildcards: text.lowercased())
        }
    }

    /// `Statement "SID"`, or `Statement[0]` by its index when it has none.
    var label: String
    var effect: Effect
    /// `nil` in an identity's policy.
    var principal: Choice<PrincipalElement>?
    var actions: Choice<Action>
    /// `nil` in a trust policy.
    var resources: Choice<PolicyTemplate>?
    var conditions: [PolicyCondition]

    /// What of a statement does not match; the index is the condition's.
    enum Mismatch: Sendable { case principal, action, resource, condition(Int) }

    /// How the statement names the principal; `nil` if it does not.
    func principalMatch(_ request: PolicyRequest) -> PolicyPrincipalMatch? {
        principal?.elements.lazy.compactMap { $0.match(request.principal) }.max()
    }

    /// The first thing that does not match: principal, action, resource, conditions in the order of the text. `nil` if the
    /// statement applies. The request's action is given in lower case.
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

    private static func mismatch(
        _ element: String, _ texts: [String], _ isNegated: Bool, _ actual: String
    ) -> PolicyMismatch {
        let list = texts.quoted(atMost: 5)
        guard !isNegated else {
            return PolicyMismatch(text: "Not\(element) leaves out \(list), the request has \"\(actual)\"", hint: nil)
        }
        let wish = "\(element) wants \(texts.count > 1 ? "one of " : "")\(list)"
        return PolicyMismatch(
            text: "\(wish), the request has \"\(actual)\"", hint: "add \"\(actual)\" to the \(element)")
    }
}

extension [String] {
    /// The texts in quotes, as a list of which the end may be left out.
    func quoted(atMost count: Int) -> String {
        let shown = prefix(count).map { "\"\($0)\"" }.joined(separator: ", ")
        return self.count > count ? "\(shown) and \(self.count - count) more" : shown
    }
}
