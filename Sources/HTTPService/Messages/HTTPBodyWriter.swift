// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// Writes a body bit by bit. It may be used from anywhere.
///
/// A client that reads too slowly is dropped rather than waited for: see ``HTTPLimits/streamBacklogBytes``.
package final class HTTPBodyWriter: Sendable {
    private struct State {
        var isOpen = true
        var backlog = 0
        var whenClosed: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let limit: Int
    private let eventLoop: any EventLoop
    private let connection: NIOLoopBound<ConnectionHandler>

    init(_ connection: ConnectionHandler, on eventLoop: any EventLoop, limit: Int) {
        self.limit = limit
        self.eventLoop = eventLoop
        self.connection = NIOLoopBound(connection, eventLoop: eventLoop)
    }

    /// Whether the client is still there, as far as is known.
    package var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Sends bytes.
    ///
    /// - Parameter bytes: The next part of the body.
    /// - Returns: Whether they were taken: `false` once the client has gone, was dropped, or the body was finished.
    @discardableResult
    package func write(_ bytes: [UInt8]) -> Bool {
        enum Outcome { case taken, refused, tooSlow }
        let outcome: Outcome = state.withLock { state in
            guard state.isOpen else { return .refused }
            guard state.backlog + bytes.count <= limit else {
                state.isOpen = false
                return .tooSlow
            }
            state.backlog += bytes.count
            return .taken
        }
        let connection = connection
        switch outcome {
        case .refused: return false
        case .tooSlow:
            eventLoop.execute { connection.value.abandonStream() }
            return false
        case .taken:
            // An empty chunk would end the body.
            guard !bytes.isEmpty else { return true }
            eventLoop.execute { connection.value.writeStream(bytes) { self.sent(bytes.count) } }
            return true
        }
    }

    /// Ends the body.
    package func finish() {
        guard close() else { return }
        let connection = connection
        eventLoop.execute { connection.value.finishStream() }
    }

    /// Says what to do when the client goes or the server shuts down before the body was finished.
    ///
    /// - Parameter action: Is called once, at once when it has happened already, and must not block.
    package func whenClosed(_ action: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state in
            if state.isOpen { state.whenClosed = action }
            return state.isOpen
        }
        if !isOpen { action() }
    }

    /// The connection's word that the client has gone.
    func connectionClosed() {
        let action = state.withLock { state in
            state.isOpen = false
            defer { state.whenClosed = nil }
            return state.whenClosed
        }
        action?()
    }

    private func sent(_ count: Int) { state.withLock { $0.backlog -= count } }

    private func close() -> Bool {
        state.withLock { state in
            defer {
                state.isOpen = false
                state.whenClosed = nil
            }
            return state.isOpen
        }
    }
}
