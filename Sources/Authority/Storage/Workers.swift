// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Does many like things on several threads.
enum Workers {
    /// Runs a body for each index.
    ///
    /// - Parameters:
    ///   - count: How many indices there are, from 0.
    ///   - jobs: How many threads; with one, it is the caller's.
    ///   - body: Runs on any of the threads, in about the order of the indices.
    /// - Returns: The first failure, after which no new index was begun; nothing when all went well.
    static func firstFailure<Failure: Error>(
        of count: Int,
        jobs: Int,
        _ body: @Sendable (Int) throws(Failure) -> Void
    ) -> Failure? {
        let failure = Mutex<Failure?>(nil)
        let next = Atomic(0)
        let hasFailed = Atomic(false)
        // Run by every thread until nothing is left.
        func work() {
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
        let threads = min(jobs, count)
        guard threads > 1 else {
            work()
            return failure.withLock { $0 }
        }
        withoutActuallyEscaping(work) { work in
            let others = (1..<threads).compactMap { _ in Thread(work) }
            work()
            for thread in others { thread.join() }
        }
        return failure.withLock { $0 }
    }
}

/// A thread of the system.
@safe private struct Thread {
    private var handle = pthread_t()

    /// Starts one; nothing when the system has no more, and then the others do its work.
    init?(_ body: @escaping () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(run: body))
        let status = unsafe pthread_create(
            &handle,
            nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                }
                return nil
            },
            unsafe box.toOpaque()
        )
        guard status == 0 else {
            unsafe box.release()
            return nil
        }
    }

    func join() { pthread_join(handle, nil) }

    private final class Body {
        let run: () -> Void
        init(run: @escaping () -> Void) { self.run = run }
    }
}
