// SPDX-License-Identifier: Apache-2.0

import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// The background work of `pki serve`: keeping credentials fresh, watching files, and notifying systemd.
struct CredentialService: Sendable {
    var group: RefresherGroup
    var handler: CredentialServer
    var token: TokenFile
    var manager: ServiceManager
    var console: Console

    /// How long systemd is kept waiting for the first credentials.
    private static let longestStart = 15

    /// Runs until a signal other than SIGHUP, which reads the profiles again.
    func run(until signals: AsyncStream<CaughtSignal>) async {
        await withTaskGroup { tasks in
            tasks.addTask { await group.run() }
            tasks.addTask { await runMaintenance() }
            if let interval = manager.watchdogInterval { tasks.addTask { await reportAlive(every: interval) } }
            for await signal in signals {
                guard signal == .hangUp else { break }
                reload()
            }
            tasks.cancelAll()
        }
    }

    /// Once a second: releases waiting requests, watches the config and token files, and reports when all is ready.
    private func runMaintenance() async {
        let files = AWSFiles(ProcessInfo.processInfo.environment)
        var config = FileStamp(at: files.config.path)
        var isReady = false
        var lastComplaint = ""
        for second in 0... {
            handler.releaseWaiters()
            let statuses = group.refreshers.map(\.status)
            if !isReady, second >= Self.longestStart || statuses.allSatisfy({ !$0.isPending }) {
                isReady = true
                manager.notify(.ready, .status(summary(statuses)))
            } else if isReady, second % 10 == 0 {
                manager.notify(.status(summary(statuses)))
            }
            if second % 3 == 0 {
                let now = FileStamp(at: files.config.path)
                if now != config {
                    config = now
                    reload()
                }
                do {
                    if try token.update() { console.note("the token was replaced: \(token.path ?? "")") }
                    lastComplaint = ""
                } catch {
                    if lastComplaint != error.message { console.warning("the old token stays: \(error.message)") }
                    lastComplaint = error.message
                }
            }
            do {
                try await Task.sleep(for: .seconds(1))
            } catch { return }
        }
    }

    private func reportAlive(every interval: Duration) async {
        while true {
            manager.notify(.watchdog)
            do {
                try await Task.sleep(for: interval)
            } catch { return }
        }
    }

    private func reload() {
        manager.notify(.reloading(monotonicMicroseconds: ThisProcess.monotonicMicroseconds))
        group.reload()
        console.note("the profiles were read again")
        manager.notify(.ready, .status(summary(group.refreshers.map(\.status))))
    }

    private func summary(_ statuses: [CredentialRefresher.Status]) -> String {
        let count = statuses.count { $0.credentials != nil }
        return "\(count) of \(statuses.count) profiles have credentials"
    }
}

/// The refreshers of several profiles' credentials, which run side by side.
struct RefresherGroup: Sendable {
    private struct Member: Sendable {
        var name: String
        var region: String
        var refresher: CredentialRefresher
        var clock: ServiceClock
    }

    /// Puts something between a refresher and its source: one that writes the credentials to a file, for instance.
    typealias Wrapping = @Sendable (_ name: String, _ source: CredentialSource) -> CredentialSource

    private let members: [Member]
    private let settings: AccessOptions
    private let isNamed: Bool
    private let wrapping: Wrapping
    private let console: Console

    /// In the order of the profiles.
    var refreshers: [CredentialRefresher] { members.map(\.refresher) }

    /// The region of the first profile.
    var region: String? { members.first?.region }

    /// Reads profiles and identities. No request is sent yet.
    ///
    /// - Parameters:
    ///   - profiles: The profiles' names; none for the options alone, or the standard profile.
    ///   - settings: The command line's options, which override each profile's settings.
    ///   - retries: Whether failures are retried and reported; else the caller reports them.
    init(
        profiles: [String],
        settings: AccessOptions,
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
            let refresher = CredentialRefresher(
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
            return Member(name: access.name, region: access.request.region, refresher: refresher, clock: clock)
        }
    }

    /// Reads profiles and identities again. One that cannot be used keeps its old settings, with a warning.
    func reload() {
        for member in members {
            do {
                let access = try Access(settings, profile: isNamed ? member.name : nil)
                let source = try AccessSource(access, clock: member.clock, console: console).source
                member.refresher.replace(source: wrapping(member.name, source))
            } catch {
                console.warning("\(member.name): not read again, so the old settings stay: \(Self.text(error))")
            }
        }
    }

    /// Keeps all credentials fresh until the task is cancelled.
    func run() async {
        await withTaskGroup { group in
            for member in members {
                group.addTask { try? await member.refresher.run() }
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
                "\(name): no new credentials: \(text(error)); trying again in \(tenths / 10).\(tenths % 10) s")
        case .sourceChanged: break
        }
    }

    private static func text(_ error: any Error) -> String {
        guard let explained = error as? any ExplainedError else { return "\(error)" }
        return [explained.message, explained.hint].compactMap(\.self).joined(separator: "; ")
    }
}

/// Random bytes from the system, eight at a time: each draw is a system call.
@Sendable func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 7)
    while bytes.count < count {
        var word = generator.next()
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}
