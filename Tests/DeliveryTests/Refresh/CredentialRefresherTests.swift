// SPDX-License-Identifier: Apache-2.0

import Dispatch
import FoundationEssentials
import Synchronization
import Testing

@testable import Delivery

@Suite struct CredentialRefresherTests {
    private let clock = DrivenClock()
    private let service: ScriptedService
    private let start: Date

    init() {
        service = ScriptedService(clock)
        start = clock.now
    }

    private func keeper(
        random: Double = 0.5,
        observer: @escaping @Sendable (CredentialRefresher.Event) -> Void = { _ in }
    ) -> CredentialRefresher {
        CredentialRefresher(
            name: "web", source: service.source, dependencies: clock.dependencies(random: random), observer: observer)
    }

    /// Runs a keeper for some time of the driven clock.
    private func run(_ keeper: CredentialRefresher, for seconds: Double) async {
        clock.stop(after: seconds)
        await #expect(throws: DrivenClock.TimeOver.self) { try await keeper.run() }
    }

    private var times: [Double] { service.calls.map { $0.timeIntervalSince(start).rounded() } }

    @Test func `credentials are asked for at once, then 25 minutes before they end`() async {
        let keeper = keeper()
        await run(keeper, for: 7000)
        #expect(times == [0, 2100, 4200, 6300])
        #expect(keeper.status.refreshes == 4)
        #expect(keeper.credentials?.accessKeyID == "ASIA4")
    }

    @Test func `short sessions are replaced at their half-life`() async {
        service.setLifetime(900)
        await run(keeper(), for: 1800)
        #expect(times == [0, 450, 900, 1350, 1800])
    }

    @Test func `no sleep is longer than a few seconds`() async {
        await run(keeper(), for: 4000)
        #expect(clock.sleeps.allSatisfy { $0 > 0 && $0 <= CredentialRefresher.longestSleep })
    }

    @Test func `failures are tried again with growing waits, and the credentials stay until they expire`() async throws
    {
        let keeper = keeper(random: 0.999_999)
        await run(keeper, for: 2000)
        service.fail(true)
        let counted = Mutex((valid: 0, expired: 0))
        let end = start.addingTimeInterval(3600)
        clock.atSleep { [keeper] now in
            let isThere = keeper.credentials != nil
            counted.withLock { count in
                if now < end, isThere { count.valid += 1 }
                if now >= end, !isThere { count.expired += 1 }
                #expect(isThere == (now < end))
            }
        }
        await run(keeper, for: 2000)
        let (valid, expired) = counted.withLock { $0 }
        #expect(valid > 100)
        #expect(expired > 50)
        let gaps = zip(times.dropFirst(1), times.dropFirst(2)).map { $1 - $0 }
        #expect(Array(gaps.prefix(8)) == [1, 2, 4, 8, 16, 32, 60, 60])
        #expect(gaps.allSatisfy { $0 <= 60 })
        #expect(keeper.status.credentials == nil)
        #expect(keeper.status.failures == gaps.count + 1)
        #expect(keeper.status.failure?.contains("Failure") == true)
        // And it is over as soon as the service is back.
        service.fail(false)
        clock.atSleep { _ in }
        await run(keeper, for: 61)
        #expect(keeper.credentials != nil)
        #expect(keeper.status.failure == nil)
    }

    @Test func `a machine that slept asks within seconds of waking up`() async {
        let keeper = keeper()
        await run(keeper, for: 100)
        clock.advance(50_000)
        #expect(keeper.credentials == nil)
        await run(keeper, for: 10)
        #expect(times.count == 2)
        #expect(times[1] >= 50_100 && times[1] <= 50_110)
        #expect(keeper.credentials != nil)
    }

    @Test func `a clock that was put back makes credentials due, once`() async {
        let keeper = keeper()
        await run(keeper, for: 100)
        clock.advance(-30_000)
        await run(keeper, for: 1000)
        #expect(times.count == 2)
    }

    @Test func `a wait after a failure is not prolonged by a clock that was put back`() async {
        service.fail(true)
        let keeper = keeper()
        await run(keeper, for: 100)
        service.fail(false)
        clock.advance(-30_000)
        await run(keeper, for: 5)
        #expect(keeper.status.refreshes == 1)
    }

    @Test func `a changed source is asked at once, and the old credentials stay when it fails`() async {
        let keeper = keeper()
        await run(keeper, for: 100)
        service.fail(true)
        service.change()
        await run(keeper, for: 10)
        #expect(times.count >= 2)
        #expect(keeper.credentials?.accessKeyID == "ASIA1")
        service.fail(false)
        await run(keeper, for: 100)
        #expect(keeper.credentials?.accessKeyID != "ASIA1")
    }

    @Test func `another source takes the place of the first with its first credentials`() async {
        let keeper = keeper()
        await run(keeper, for: 10)
        let other = ScriptedService(clock)
        other.fail(true)
        keeper.replace(source: other.source)
        await run(keeper, for: 10)
        #expect(keeper.credentials?.accessKeyID == "ASIA1")
        #expect(!other.calls.isEmpty)
        other.fail(false)
        let asked = other.calls.count
        await run(keeper, for: 60)
        #expect(keeper.credentials?.accessKeyID == "ASIA\(asked + 1)")
        #expect(times.count == 1)
    }

    @Test func `a source that is replaced while it is asked is not the one that is asked next`() async {
        let other = ScriptedService(clock)
        let keeper = keeper()
        service.atCall { [keeper, other] in keeper.replace(source: other.source) }
        await run(keeper, for: 10)
        #expect(times.count == 1)
        #expect(other.calls.count == 1)
        service.atCall {}
    }

    @Test func `one request is under way, however many ask`() throws {
        let keeper = keeper()
        let settled = Atomic(0)
        service.atCall { [keeper] in
            // In the middle of it.
            try? keeper.refresh()
            #expect(keeper.status.isPending)
        }
        for _ in 0..<50 { keeper.whenSettled { settled.wrappingAdd(1, ordering: .relaxed) } }
        #expect(settled.load(ordering: .relaxed) == 0)
        try keeper.refresh()
        #expect(service.calls.count == 1)
        #expect(settled.load(ordering: .relaxed) == 50)
        keeper.whenSettled { settled.wrappingAdd(1, ordering: .relaxed) }
        #expect(settled.load(ordering: .relaxed) == 51)
        // What knows the keeper is known to it.
        service.atCall {}
    }

    @Test func `who waited too long is let go`() {
        let keeper = keeper()
        let released = Atomic(0)
        keeper.whenSettled { released.wrappingAdd(1, ordering: .relaxed) }
        clock.advance(9)
        keeper.releaseWaiters(after: 10)
        #expect(released.load(ordering: .relaxed) == 0)
        clock.advance(2)
        keeper.releaseWaiters(after: 10)
        keeper.releaseWaiters(after: 10)
        #expect(released.load(ordering: .relaxed) == 1)
    }

    @Test func `what happens is told, with the time of the next attempt`() async {
        let events = Mutex<[String]>([])
        let keeper = keeper { event in
            let text =
                switch event {
                case .refreshed(let credentials): "refreshed \(credentials.accessKeyID)"
                case .failed(_, let seconds): "failed \(seconds)"
                case .sourceChanged: "changed"
                }
            events.withLock { $0.append(text) }
        }
        service.fail(true)
        clock.atSleep { [service] _ in service.fail(false) }
        await run(keeper, for: 5)
        service.change()
        await run(keeper, for: 5)
        #expect(events.withLock { $0 } == ["failed 0.75", "refreshed ASIA2", "changed", "refreshed ASIA3"])
        clock.atSleep { _ in }
    }

    @Test func `a cancelled keeper does not wait for a service that hangs`() async {
        let hanging = DispatchSemaphore(value: 0)
        let (begun, beginning) = AsyncStream<Void>.makeStream()
        let keeper = CredentialRefresher(
            name: "web",
            source: CredentialSource(obtain: {
                beginning.yield()
                hanging.wait()
                return .example()
            }),
            dependencies: CredentialRefresher.Dependencies(
                now: { [clock] in clock.now },
                sleep: { _ in try Task.checkCancellation() },
                random: { 0.5 }
            )
        )
        let work = Task { try await keeper.run() }
        for await _ in begun { break }
        work.cancel()
        await #expect(throws: CancellationError.self) { try await work.value }
        hanging.signal()
    }
}
