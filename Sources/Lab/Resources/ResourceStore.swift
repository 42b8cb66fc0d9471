// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Synchronization

/// The resources of the account that the lab plays.
///
/// Everything that changes in the lab changes here, under one lock; what goes in and out are values.
final class ResourceStore: Sendable {
    private struct State {
        var trustAnchors: [String: TrustAnchor] = [:]
        var profiles: [String: Profile] = [:]
        var roles: [String: Role] = [:]
        var subjects: [DistinguishedName: Subject] = [:]
    }

    /// Subjects beyond this number push out those that were not seen for longest.
    private static let subjectLimit = 1_000

    private let state = Mutex(State())
    private let environment: LabEnvironment

    init(environment: LabEnvironment) { self.environment = environment }

    /// Adds a trust anchor, or replaces the one with its ARN.
    func put(_ anchor: TrustAnchor) { state.withLock { $0.trustAnchors[anchor.arn.description] = anchor } }

    /// Adds a profile, or replaces the one with its ARN.
    func put(_ profile: Profile) { state.withLock { $0.profiles[profile.arn.description] = profile } }

    /// Adds a role, or replaces the one with its ARN.
    func put(_ role: Role) { state.withLock { $0.roles[role.arn.description] = role } }

    /// Finds a trust anchor by its ARN, with its UUID or its alias.
    func trustAnchor(_ arn: AmazonResourceName) -> TrustAnchor? {
        state.withLock { state in
            state.trustAnchors[arn.description]
                ?? alias(arn, "trust-anchor").flatMap { name in state.trustAnchors.values.first { $0.name == name } }
        }
    }

    /// Finds a profile by its ARN, with its UUID or its alias.
    func profile(_ arn: AmazonResourceName) -> Profile? {
        state.withLock { state in
            state.profiles[arn.description]
                ?? alias(arn, "profile").flatMap { name in state.profiles.values.first { $0.name == name } }
        }
    }

    /// Finds a role by its ARN.
    func role(_ arn: AmazonResourceName) -> Role? { state.withLock { $0.roles[arn.description] } }

    /// Every trust anchor, in the order of their names.
    var trustAnchors: [TrustAnchor] { state.withLock { $0.trustAnchors.values.sorted { $0.name < $1.name } } }

    /// Every profile, in the order of their names.
    var profiles: [Profile] { state.withLock { $0.profiles.values.sorted { $0.name < $1.name } } }

    /// Every role, in the order of their names.
    var roles: [Role] { state.withLock { $0.roles.values.sorted { $0.name < $1.name } } }

    /// Every subject, last seen first.
    var subjects: [Subject] { state.withLock { $0.subjects.values.sorted { $0.lastSeen > $1.lastSeen } } }

    /// Records that a certificate's subject has got a session.
    ///
    /// - Parameters:
    ///   - certificate: The certificate that was used.
    ///   - date: When.
    /// - Returns: The subject, which is the same one whenever the name is.
    func recordSubject(of certificate: Certificate, at date: Date) -> Subject {
        let name = certificate.subject
        return state.withLock { state in
            if var subject = state.subjects[name] {
                subject.serialNumber = certificate.serialNumber.hexadecimal
                subject.lastSeen = date
                state.subjects[name] = subject
                return subject
            }
            let identifier = UniversalIdentifier.derived(
                from: [Array("subject".utf8), Array(environment.account.utf8), name.derEncoded]
            )
            let subject = Subject(
                identifier: identifier,
                arn: AmazonResourceName(
                    rolesAnywhere: "subject/\(identifier)",
                    region: environment.region,
                    account: environment.account
                ),
                name: name,
                serialNumber: certificate.serialNumber.hexadecimal,
                lastSeen: date
            )
            if state.subjects.count >= Self.subjectLimit,
                let oldest = state.subjects.min(by: { $0.value.lastSeen < $1.value.lastSeen })
            {
                state.subjects.removeValue(forKey: oldest.key)
            }
            state.subjects[name] = subject
            return subject
        }
    }

    private func alias(_ arn: AmazonResourceName, _ kind: String) -> Substring? {
        guard let resource = arn.rolesAnywhereResource, resource.isAlias, resource.kind == kind,
            arn.region == environment.region, arn.account == environment.account
        else { return nil }
        return resource.identifier
    }
}
