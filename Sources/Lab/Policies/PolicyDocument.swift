// SPDX-License-Identifier: Apache-2.0

/// A policy in the language of IAM, read once and then asked any number of times (IAM User Guide, "IAM JSON policy
/// element reference").
struct PolicyDocument: Sendable, Hashable {
    /// What a policy is attached to.
    enum Kind: Sendable, Hashable {
        /// A role's trust policy: it names principals, and its resource is the role.
        case trust
        /// An identity's policy, a boundary or a session's: it names resources, and its principal is whoever bears it.
        case identity
    }

    let kind: Kind

    /// The text as it was given, which `GetRole` returns.
    let text: String

    /// The statements in their order.
    let statements: [PolicyStatement]

    /// Reads a policy.
    ///
    /// - Parameters:
    ///   - text: The JSON text.
    ///   - kind: What it is for.
    /// - Throws: ``PolicyError`` when IAM would not store it.
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
                return PolicyDecision(.explicitlyDenied(by: index), match, self, request)
            }
            // Of several the most direct one counts, for it may grant more.
            if let best = allowed, (best.match?.rawValue ?? -1) >= (match?.rawValue ?? -1) { continue }
            allowed = (index, match)
        }
        return PolicyDecision(allowed.map { .allowed(by: $0.index) } ?? .notAllowed, allowed?.match, self, request)
    }
}
