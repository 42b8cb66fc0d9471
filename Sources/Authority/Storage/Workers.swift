// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Runs a loop on several threads.
enum Workers {
    /// Runs a body for each index below a count, in about their order, on so many threads, the caller's among them. Returns the
    /// first failure, after which no new index is begun; `nil` if there was none.
    ///
    /// Not `concurrentPerform`, which starts no more threads than there are processors: most of these wait for the disk.
    static func firstFailure<Failure: Error>(
        of count: Int, jobs: Int, _ body: @Sendable (Int) throws(Failure) -> Void
    ) -> Failure? {
        let failure = Mutex<Failure?>(nil)
        let next = Atomic(0)
        let hasFailed = Atomic(false)
        @Sendable func work() {
            while !hasFailed.load(ordering: .relaxed) {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                do throws(Failure) {
                    try body(index)
                } catch {
                    hasFailed.store(true, ordering: .relaxed)
                    failure.withLock { if $0 == nil { $0 = error } }
                }
            }
        }
        let group = DispatchGroup()
        withoutActuallyEscaping(work) { work in
            // A serial queue has a thread of its own.
            for _ in 1..<max(1, min(jobs, count)) { DispatchQueue(label: "worker").async(group: group) { work() } }
            work()
            group.wait()
        }
        return failure.withLock { $0 }
    }
}
