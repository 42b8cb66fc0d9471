// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// The one deadline that a connection has at a time.
///
/// Deadlines move with every request and are hardly ever reached. So the event loop is asked for one wake-up, and asked
/// again only when the deadline lies behind it by then, or before it.
struct ConnectionTimer {
    /// What the deadline is for.
    enum Purpose { case head, body, idle, write, drain }

    private(set) var purpose: Purpose?
    private var deadline = NIODeadline.distantFuture
    private var wakeUp: (task: Scheduled<Void>, at: NIODeadline)?

    /// Sets the deadline, in the place of any other.
    mutating func set(
        _ purpose: Purpose,
        after time: TimeAmount,
        on eventLoop: any EventLoop,
        _ action: @escaping () -> Void
    ) {
        self.purpose = purpose
        deadline = eventLoop.now + time
        schedule(on: eventLoop, action)
    }

    /// Whether the deadline has passed; otherwise sees to it that the question is asked again.
    mutating func expiredPurpose(on eventLoop: any EventLoop, _ action: @escaping () -> Void) -> Purpose? {
        wakeUp = nil
        guard let purpose else { return nil }
        if deadline <= eventLoop.now {
            clear()
            return purpose
        }
        schedule(on: eventLoop, action)
        return nil
    }

    /// Takes the deadline away.
    mutating func clear() {
        purpose = nil
        deadline = .distantFuture
    }

    /// Takes the deadline away for good.
    mutating func cancel() {
        clear()
        wakeUp?.task.cancel()
        wakeUp = nil
    }

    private mutating func schedule(on eventLoop: any EventLoop, _ action: @escaping () -> Void) {
        if let wakeUp {
            guard deadline < wakeUp.at else { return }
            wakeUp.task.cancel()
        }
        wakeUp = (eventLoop.assumeIsolated().scheduleTask(deadline: deadline, action), deadline)
    }
}
