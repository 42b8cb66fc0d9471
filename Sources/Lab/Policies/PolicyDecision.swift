// SPDX-License-Identifier: Apache-2.0

/// What a policy says to a request.
struct PolicyDecision: Sendable {
    /// The three answers. An index is the statement's place, from zero.
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

        /// What would mend it.
        let hint: String?
    }

    let outcome: Outcome

    /// How the deciding statement names who makes the request, of several allowing ones the most direct; nothing when no
    /// statement decides, and in an identity's policy.
    let principalMatch: PolicyPrincipalMatch?

    private let document: PolicyDocument
    private let request: PolicyRequest

    init(
        _ outcome: Outcome,
        _ principalMatch: PolicyPrincipalMatch?,
        _ document: PolicyDocument,
        _ request: PolicyRequest
    ) {
        self.outcome = outcome
        self.principalMatch = principalMatch
        self.document = document
        self.request = request
    }

    /// Whether the policy allows the request.
    var isAllowed: Bool {
        if case .allowed = outcome { return true }
        return false
    }

    /// The statement that decides.
    var statement: String? {
        switch outcome {
        case .allowed(let index), .explicitlyDenied(let index): document.statements[index].label
        case .notAllowed: nil
        }
    }

    /// Statement by statement the first thing that did not match. Made when it is asked for, so that a request that is
    /// allowed pays nothing for it.
    var explanation: [Finding] {
        let action = request.action.lowercased()
        return document.statements.map { statement in
            guard let mismatch = statement.mismatch(request, foldedAction: action) else {
                return Finding(
                    statement: statement.label,
                    applies: true,
                    text: "\(statement.label) \(statement.effect == .allow ? "allows" : "denies") \(request.action)",
                    hint: nil
                )
            }
            let reason = statement.explanation(of: mismatch, request)
            return Finding(
                statement: statement.label,
                applies: false,
                text: "\(statement.label) does not apply: \(reason.text)",
                hint: reason.hint
            )
        }
    }
}
