// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import Synchronization

/// The account that the lab plays: what someone has set up, and who was here.
///
/// What goes in and out are values. A change counts whole or not at all, and when there is a state file it stands there
/// before anybody sees it.
final class ResourceStore: Sendable {
    /// What the credentials of sessions are made with: who has it can make some.
    let sessionKey: [UInt8]

    /// Whether the lab remembers beyond its end.
    var isPersistent: Bool { file != nil }

    private let account: Mutex<Account>
    private let activity: Mutex<Activity>
    private let file: StateFile?
    private let whenChanged: @Sendable () -> Void

    /// Takes up what a state file holds, or begins with nothing.
    ///
    /// - Parameters:
    ///   - environment: The region, the account, and chance.
    ///   - file: Where to remember; nothing forgets at the end.
    ///   - whenChanged: Is told after every change of what is set up.
    /// - Throws: ``LabError`` when the file cannot be read or belongs to another account or region.
    init(
        environment: LabEnvironment,
        file: StateFile? = nil,
        whenChanged: @escaping @Sendable () -> Void = {}
    ) throws(LabError) {
        let kept = try file?.load(environment)
        sessionKey = kept?.sessionKey ?? environment.randomBytes(32)
        account = Mutex(kept?.account ?? Account())
        activity = Mutex(
            Activity(environment: environment, subjects: kept?.subjects ?? [], sessions: kept?.sessions ?? [])
        )
        self.file = file
        self.whenChanged = whenChanged
    }

    /// The account as it is now.
    var snapshot: Account { account.withLock { $0 } }

    /// Changes the account.
    ///
    /// - Parameter body: Makes the changes. When it throws, nothing was changed.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws, or ``LabError`` when the state file cannot be written.
    @discardableResult
    func update<Result>(_ body: (inout Account) throws -> Result) throws -> Result {
        let result = try account.withLock { account in
            var draft = account
            let result = try body(&draft)
            try file?.keep(draft)
            draft.settle()
            account = draft
            return result
        }
        whenChanged()
        return result
    }

    /// The subjects that were seen, last seen first.
    var subjects: [Subject] { activity.withLock { $0.subjects } }

    /// The last sessions, oldest first.
    var sessions: [SessionRecord] { activity.withLock { $0.sessions.elements } }

    /// Finds a subject by its UUID.
    func subject(_ identifier: String) -> Subject? {
        activity.withLock { activity in activity.subjects.first { $0.identifier == identifier } }
    }

    /// Puts a tag list on a subject.
    ///
    /// - Parameters:
    ///   - identifier: The subject's UUID.
    ///   - change: Makes the change.
    /// - Throws: What the change throws, or ``LabError`` when the state file cannot be written.
    func updateSubject(_ identifier: String, _ change: (inout Subject) throws -> Void) throws {
        try activity.withLock { activity in
            guard var subject = activity.subject(identifier) else { return }
            try change(&subject)
            try file?.keep(subject)
            activity.put(subject)
        }
    }

    /// Records that a certificate's subject has got a session, or has tried.
    ///
    /// - Parameter sighting: Who was seen, when, with what.
    /// - Returns: The subject, which is the same one whenever the name is.
    /// - Throws: ``LabError`` when the state file cannot be written.
    func record(_ sighting: CertificateUse) throws -> Subject {
        try activity.withLock { activity in
            let subject = activity.record(sighting)
            try file?.keep(subject, sighting.session)
            return subject
        }
    }
}

extension Account {
    mutating func settle() {
        trustAnchors.settle()
        profiles.settle()
        revocationLists.settle()
        roles.settle()
        planted.settle()
    }
}
