// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Synchronization

/// A wish to stop: SIGINT or SIGTERM, noted for work that ends at a point of its own.
package enum Interruption {
    private static let received = Atomic<CInt>(0)

    /// The signal that was received; `nil` if there was none.
    package static var signal: CInt? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }

    /// Runs the body, and notes signals meanwhile. A second signal of a kind ends the process at once; one that was ignored
    /// before stays ignored.
    package static func noting<Result>(_ body: () throws -> Result) rethrows -> Result {
        received.store(0, ordering: .relaxed)
        let former = [SIGINT, SIGTERM].map { number in
            let handler = Glibc.signal(number) { number in
                Interruption.received.store(number, ordering: .relaxed)
                Glibc.signal(number, SIG_DFL)
            }
            if unsafe unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
                Glibc.signal(number, SIG_IGN)
            }
            return (number, handler)
        }
        defer { for (number, handler) in former { Glibc.signal(number, handler) } }
        return try body()
    }
}
