// SPDX-License-Identifier: Apache-2.0

import Dispatch
import struct FoundationEssentials.Date
import Synchronization
import SystemSupport

/// The changes that threads want to make together: the disk is waited for once.
final class SharedChanges: Sendable {
    /// One of them. The thread that it belongs to waits while another makes it.
    fileprivate final class Member: Sendable {
        // SAFETY: called once, while the thread that it belongs to waits.
        nonisolated(unsafe) let body: (inout InventoryChange) -> Void
        /// How the whole change ended; `nil` until it was made.
        let outcome = Mutex<Result<Void, any Error>?>(nil)

        init(_ body: @escaping (inout InventoryChange) -> Void) { unsafe self.body = body }
    }

    private let waiting = Mutex<[Member]>([])
    private let turn = Mutex(())
    private let queue = DispatchQueue(label: "inventory")
    private let isMoveScheduled = Atomic(false)

    /// Moves the log once for all changes of a second, after those who wait for them were answered: it takes as long as a
    /// commit.
    fileprivate func moveLogSoon(of inventory: Inventory) {
        guard !isMoveScheduled.exchange(true, ordering: .relaxed) else { return }
        queue.asyncAfter(deadline: .now() + .seconds(1)) {
            self.isMoveScheduled.store(false, ordering: .relaxed)
            // The next change does it otherwise.
            try? inventory.moveLog()
        }
    }

    /// Waits for its turn, and makes everything that waits by then, unless another thread has made it meanwhile.
    fileprivate func make(_ own: Member, _ change: ((inout InventoryChange) -> Void) throws -> Void) throws {
        waiting.withLock { $0.append(own) }
        try turn.withLock { _ in
            if let outcome = own.outcome.withLock(\.self) { return try outcome.get() }
            let members = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            let outcome = Result { try change { change in for member in members { unsafe member.body(&change) } } }
            for member in members { member.outcome.withLock { $0 = outcome } }
            try outcome.get()
        }
    }
}

extension Inventory {
    /// Changes the inventory and the directory as ``change(now:jobs:_:)`` does, together with what other threads want to
    /// change meanwhile: all of it is committed at once. If the body throws, nothing but its own part is forgotten. The
    /// log is moved into the file a second later.
    func sharedChange<Value>(now: Date, _ body: (inout InventoryChange) throws -> Value) throws -> Value {
        var result: Result<Value, any Error>?
        try withoutActuallyEscaping(body) { body in
            let own = SharedChanges.Member { change in
                result = Result { try change.attempt(at: now, body) }
            }
            try shared.make(own) { try change(now: now, jobs: CertificateAuthority.diskJobs, movesLog: false, $0) }
        }
        shared.moveLogSoon(of: self)
        guard let result else { throw AuthorityError(.storage, "the change was not made") }
        return try result.get()
    }
}
