// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// The principals that a statement names (IAM User Guide, "AWS JSON policy elements: Principal").
struct PrincipalElement: Sendable, Hashable {
    private enum Name: Sendable, Hashable {
        case everyone, service(String), account(String), arn(String), federated(String)
    }

    private var names: [Name] = []

    /// The names as they are in the policy, for people.
    private(set) var texts: [String] = []

    /// Everyone: `"Principal": "*"`.
    static let everyone: PrincipalElement = {
        var element = PrincipalElement()
        element.names = [.everyone]
        element.texts = ["*"]
        return element
    }()

    /// Adds a name of the kind `AWS`, `Service` or `Federated`. `place` says where it is, for the error.
    mutating func add(_ name: String, kind: String, at place: String) throws(PolicyError) {
        switch kind {
        case "Service": names.append(.service(try Self.service(name, place)))
        case "AWS": names.append(try Self.aws(name, place))
        case "Federated":
            guard !name.isEmpty else {
                throw .invalidPrincipal("FEDERATED", name, "\(place).Federated is an empty text")
            }
            names.append(.federated(name))
        default:
            throw .invalidPrincipal(
                kind, name, "\(place) names a \(kind), which no trust policy knows",
                hint: "use Service, AWS or Federated")
        }
        texts.append(name)
    }

    private static func service(_ name: String, _ place: String) throws(PolicyError) -> String {
        let right = "rolesanywhere.amazonaws.com"
        func refusal(_ hint: String) -> PolicyError {
            .invalidPrincipal("SERVICE", name, "\(place).Service is \"\(name)\", which is no service", hint: hint)
        }
        let isMistyped = nearestWord(to: name, in: [right]) != nil || name.lowercased().contains("rolesanywhere")
        if name != right, isMistyped { throw refusal("write \"Service\": \"\(right)\"") }
        let ends = [".amazonaws.com", ".amazonaws.com.cn", ".amazon.com", ".aws.internal", ".api.aws"]
        guard ends.contains(where: { name.hasSuffix($0) && name.utf8.count > $0.utf8.count }),
            name.utf8.allSatisfy({
                $0 == 0x2d || $0 == 0x2e || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0)
            })
        else { throw refusal("write the service's principal, for example \"\(right)\"") }
        return name
    }

    private static func aws(_ name: String, _ place: String) throws(PolicyError) -> Name {
        if name == "*" { return .everyone }
        if isAccount(name) { return .account(name) }
        let parts = name.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        let hasWildcard = name.contains("*") || name.contains("?")
        guard parts.count == 6, parts[0] == "arn", parts[1].hasPrefix("aws"), parts[3].isEmpty, isAccount(parts[4]),
            !hasWildcard
        else {
            throw .invalidPrincipal(
                "AWS", name, "\(place).AWS is \"\(name)\", which is neither an account nor an ARN of IAM or STS",
                hint: hasWildcard
                    ? "name the account, and narrow it with the condition ArnLike aws:PrincipalArn"
                    : "write twelve digits, or for example arn:aws:iam::111122223333:role/NAME")
        }
        if parts[2] == "iam", parts[5] == "root" { return .account(String(parts[4])) }
        let kinds: [Substring: [String]] = ["iam": ["user/", "role/"], "sts": ["assumed-role/", "federated-user/"]]
        let resource = parts[5]
        guard let prefix = kinds[parts[2]]?.first(where: { resource.hasPrefix($0) }), resource.count > prefix.count,
            prefix != "assumed-role/" || resource.split(separator: "/", omittingEmptySubsequences: false).count == 3
        else {
            throw .invalidPrincipal(
                "AWS", name, "\(place).AWS is \"\(name)\", which is no user, role or session",
                hint: "write for example arn:aws:iam::111122223333:role/NAME"
                    + " or arn:aws:sts::111122223333:assumed-role/NAME/SESSION")
        }
        return .arn(name)
    }

    private static func isAccount(_ text: some StringProtocol) -> Bool {
        text.utf8.count == 12 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// How the element names the principal of a request, most directly; `nil` if it does not.
    func match(_ principal: PolicyPrincipal) -> PolicyPrincipalMatch? {
        var best: PolicyPrincipalMatch?
        for name in names {
            guard let match = Self.match(name, principal) else { continue }
            if match == .direct { return .direct }
            best = max(best ?? match, match)
        }
        return best
    }

    private static func match(_ name: Name, _ principal: PolicyPrincipal) -> PolicyPrincipalMatch? {
        switch (name, principal) {
        case (.everyone, _): .everyone
        case (.service(let name), .service(let actual)): name == actual ? .direct : nil
        case (.federated(let name), .federated(let actual)): name == actual ? .direct : nil
        case (.account(let name), .aws(_, _, let account)): name == account ? .account : nil
        case (.arn(let name), .aws(let arn, let role, _)): name == arn || name == role ? .direct : nil
        default: nil
        }
    }
}

/// Who makes a request.
enum PolicyPrincipal: Sendable, Hashable {
    /// An AWS service, for example `rolesanywhere.amazonaws.com`.
    case service(String)

    /// A user or a session by its ARN. The ARN of a session's role has the role's path, unlike the session's.
    case aws(arn: String, role: String?, account: String)

    /// An identity provider: an ARN, or a host name.
    case federated(String)

    var description: String {
        switch self {
        case .service(let name): "the service \(name)"
        case .aws(let arn, _, _): arn
        case .federated(let provider): "the identity provider \(provider)"
        }
    }
}

/// How a statement's `Principal` names the principal of a request.
///
/// Within one account a role that is named by its ARN needs no permission of its own to assume another; one that is
/// trusted with its whole account does (IAM User Guide, "Policy evaluation logic"). Ordered from the widest to the
/// narrowest.
enum PolicyPrincipalMatch: Int, Sendable, Hashable, Comparable {
    /// Through the account, by its number or its root's ARN.
    case account
    /// Through `*`.
    case everyone
    /// By the name or ARN of the service, the provider, the user, the role or the session.
    case direct

    static func < (left: PolicyPrincipalMatch, right: PolicyPrincipalMatch) -> Bool { left.rawValue < right.rawValue }
}
