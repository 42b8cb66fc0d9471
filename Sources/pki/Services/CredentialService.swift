// SPDX-License-Identifier: Apache-2.0

import Certificates
import Delivery
import FoundationEssentials
import Glibc
import SystemSupport
import UnixSignals

/// The work of `pki serve` beside answering: keeping credentials fresh, looking at files, and telling systemd.
struct CredentialService: Sendable {
    var group: RefresherGroup
    var handler: CredentialServer
    var token: TokenFile
    var manager: ServiceManager
    var console: Console

    /// How long systemd is kept waiting for the first credentials.
    private static let longestStart = 15

    /// Works until a signal asks for the end.
    ///
    /// - Parameter signals: SIGHUP reads profiles again; any other ends it.
    func run(until signals: UnixSignalsSequence) async {
        await withTaskGroup { tasks in
            tasks.addTask { await group.run() }
            tasks.addTask { await runMaintenance() }
            if let interval = manager.watchdogInterval { tasks.addTask { await reportAlive(every: interval) } }
            for await signal in signals {
                guard signal == .sighup else { break }
                reload()
            }
            tasks.cancelAll()
        }
    }

    /// Once a second: lets waiting requests go, looks at the files that are not the keepers' own, says when all is ready.
    private func runMaintenance() async {
        let files = AWSFiles(ProcessInfo.processInfo.environment)
        var config = FileStamp(at: files.config.path)
        var isReady = false
        var lastComplaint = ""
        for second in 0... {
            handler.releaseWaiters()
            let statuses = group.keepers.map(\.status)
            if !isReady, second >= Self.longestStart || statuses.allSatisfy({ !$0.isPending }) {
                isReady = true
                ResidentMemory.releaseStartUpPages()
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
                    if try token.update() { console.note("the token was replaced: \(token.path)") }
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
        manager.notify(.reloading(monotonicMicroseconds: ServiceManager.monotonicMicroseconds()))
        group.reload()
        console.note("the profiles were read again")
        manager.notify(.ready, .status(summary(group.keepers.map(\.status))))
    }

    private func summary(_ statuses: [CredentialRefresher.Status]) -> String {
        let count = statuses.count { $0.credentials != nil }
        return "\(count) of \(statuses.count) profiles have credentials"
    }
}
