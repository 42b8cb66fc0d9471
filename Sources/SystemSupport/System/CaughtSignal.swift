// SPDX-License-Identifier: Apache-2.0

internal import Dispatch

/// A signal that a program can handle instead of being ended by it.
package enum CaughtSignal: CInt, Sendable {
    case hangUp = 1
    case interrupt = 2
    case quit = 3
    case user1 = 10
    case user2 = 12
    case terminate = 15

    /// Catches signals from now until the process ends: they do not end it, and the stream has each that arrives.
    package static func stream(of signals: CaughtSignal...) async -> AsyncStream<CaughtSignal> {
        let queue = DispatchQueue(label: "signals")
        let (stream, continuation) = AsyncStream.makeStream(of: CaughtSignal.self)
        for signal in signals {
            let source = DispatchSource.makeSignalSource(signal: signal.rawValue, queue: queue)
            await withCheckedContinuation { registered in
                source.setRegistrationHandler { registered.resume() }
                // A source without an owner is gone; this one owns itself.
                source.setEventHandler { withExtendedLifetime(source) { _ = continuation.yield(signal) } }
                source.activate()
            }
        }
        return stream
    }
}
