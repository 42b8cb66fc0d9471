// SPDX-License-Identifier: Apache-2.0

import Certificates
import Delivery
import FoundationEssentials
import SystemSupport

/// The keepers of several profiles' credentials, which run side by side.
struct RefresherGroup: Sendable {
    /// A profile that is kept.
    private struct Member: Sendable {
        var name: String
        var keeper: CredentialRefresher
        var clock: ServiceClock
    }

    /// Puts something between a keeper and its source: writes what comes into a file, for instance.
    typealias Wrapping = @Sendable (_ name: String, _ source: CredentialSource) -> CredentialSource

    private let members: [Member]
    private let settings: AccessSettings
    private let isNamed: Bool
    private let wrapping: Wrapping
    private let console: Console

    /// The keepers, in the order of the profiles.
    var keepers: [CredentialRefresher] { members.map(\.keeper) }

    /// Makes keepers and reads their identities. Nothing is asked for yet.
    ///
    /// - Parameters:
    ///   - profiles: The profiles' names; none for what the options say, or the standard profile.
    ///   - settings: What the command line gave, which go before each profile's settings.
    ///   - console: Where it is said what happens.
    ///   - retries: Whether a failure is tried again, and is said to be; else it is the caller's to report.
    ///   - wrapping: Puts something between each keeper and its source.
    /// - Throws: What is wrong with a profile or an identity.
    init(
        profiles: [String],
        settings: AccessSettings,
        console: Console,
        retries: Bool = true,
        wrapping: @escaping Wrapping = { $1 }
    ) throws {
        var seen: Set<String> = []
        for name in profiles where !seen.insert(name).inserted {
            throw UsageError(message: "the profile \(name) is given twice")
        }
        let names: [String?] = profiles.isEmpty ? [nil] : profiles
        self.settings = settings
        self.console = console
        self.wrapping = wrapping
        isNamed = !profiles.isEmpty
        members = try names.map { name in
            let access = try Access(settings, profile: name)
            let clock = ServiceClock()
            let source = try AccessSource(access, clock: clock, console: console).source
            let keeper = CredentialRefresher(
                name: access.name,
                source: wrapping(access.name, source),
                dependencies: CredentialRefresher.Dependencies(
                    now: { clock.now },
                    sleep: { try await Task.sleep(for: $0) },
                    random: { Double.random(in: 0..<1) }
                ),
                observer: { event in
                    if case .failed = event, !retries { return }
                    Self.say(event, of: access.name, console)
                }
            )
            return Member(name: access.name, keeper: keeper, clock: clock)
        }
    }

    /// Reads profiles and identities again. What cannot be used stays as it was, with a warning.
    func reload() {
        for member in members {
            do {
                let access = try Access(settings, profile: isNamed ? member.name : nil)
                let source = try AccessSource(access, clock: member.clock, console: console).source
                member.keeper.replace(source: wrapping(member.name, source))
            } catch {
                console.warning("\(member.name): not read again, so the old settings stay: \(Self.text(error))")
            }
        }
    }

    /// Keeps all credentials fresh until the task is cancelled.
    func run() async {
        await withTaskGroup { group in
            for member in members {
                group.addTask { try? await member.keeper.run() }
            }
        }
    }

    private static func say(_ event: CredentialRefresher.Event, of name: String, _ console: Console) {
        switch event {
        case .refreshed(let credentials):
            console.note("\(name): credentials until \(CivilTime(credentials.expiration).extended)")
        case .failed(let error, let seconds):
            let tenths = Int((seconds * 10).rounded())
            console.warning(
                "\(name): no new credentials: \(text(error)); trying again in \(tenths / 10).\(tenths % 10) s"
            )
        case .sourceChanged: break
        }
    }

    private static func text(_ error: any Error) -> String {
        guard let explained = error as? any ExplainedError else { return "\(error)" }
        return [explained.message, explained.hint].compactMap(\.self).joined(separator: "; ")
    }
}
