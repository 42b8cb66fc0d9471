// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The account that the lab plays: the resources that are set up, and the clients that were seen.
///
/// What goes in and out are values. A change counts whole or not at all, and is in the state file, when there is one, before
/// it can be seen.
final class ResourceStore: Sendable {
    /// The key of session credentials: with it, one can make them.
    let sessionKey: [UInt8]

    /// Whether the lab remembers beyond its end.
    var isPersistent: Bool { file != nil }

    private let account: Mutex<Account>
    private let activity: Mutex<Activity>
    private let file: StateFile?
    private let whenChanged: @Sendable () -> Void

    /// Creates a store with what a state file holds, or an empty one that is forgotten at the end.
    init(
        environment: LabEnvironment,
        file: StateFile? = nil,
        whenChanged: @escaping @Sendable () -> Void = {}
    ) throws(LabError) {
        let kept = try file?.load(environment)
        sessionKey = kept?.sessionKey ?? environment.randomBytes(32)
        account = Mutex(kept?.account ?? Account())
        activity = Mutex(
            Activity(environment: environment, subjects: kept?.subjects ?? [], sessions: kept?.sessions ?? []))
        self.file = file
        self.whenChanged = whenChanged
    }

    /// The account as it is now.
    var snapshot: Account { account.withLock { $0 } }

    /// Changes the account. When the body throws, or the state file cannot be written, nothing is changed.
    @discardableResult
    func update<Result>(_ body: (inout Account) throws -> Result) throws -> Result {
        let result = try account.withLock { account in
            var draft = account
            let result = try body(&draft)
            try file?.keep(draft)
            draft.settle()
            account = draft
            return result
        }
        whenChanged()
        return result
    }

    /// The subjects that were seen, last seen first.
    var subjects: [Subject] { activity.withLock { $0.subjects } }

    /// The last sessions, oldest first.
    var sessions: [SessionRecord] { activity.withLock { $0.sessions.elements } }

    /// Finds a subject by its UUID.
    func subject(_ identifier: String) -> Subject? { activity.withLock { $0.subject(identifier) } }

    func updateSubject(_ identifier: String, _ change: (inout Subject) throws -> Void) throws {
        try activity.withLock { activity in
            guard var subject = activity.subject(identifier) else { return }
            try change(&subject)
            try file?.keep(subject)
            activity.put(subject)
        }
    }

    /// Records the use of a certificate, and returns its subject, which is the same one for the same name.
    func record(_ use: CertificateUse) throws -> Subject {
        try activity.withLock { activity in
            let subject = activity.record(use)
            try file?.keep(subject, use.session)
            return subject
        }
    }
}

/// The last values that were put in, up to a number of them.
struct RingBuffer<Element: Sendable>: Sendable {
    private var storage: [Element] = []
    private var next = 0
    private let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Adds a value, which replaces the oldest when the buffer is full.
    mutating func append(_ element: Element) {
        if storage.count < capacity {
            storage.append(element)
        } else {
            storage[next] = element
            next = (next + 1) % capacity
        }
    }

    /// The values, oldest first.
    var elements: [Element] { Array(storage[next...] + storage[..<next]) }
}

/// Remembers the results of work that gives the same result again, up to a number of them.
///
/// When it is full the older half goes. A client that fills it with rubbish costs the others time, never memory.
final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct State {
        var recent: [Key: Value] = [:]
        var older: [Key: Value] = [:]

        mutating func insert(_ value: Value, _ key: Key, capacity: Int) {
            if recent.count >= capacity / 2 { (recent, older) = ([:], recent) }
            recent[key] = value
        }
    }

    private let state = Mutex(State())
    private let capacity: Int

    init(capacity: Int) { self.capacity = max(2, capacity) }

    /// Finds a value, or makes and keeps it. Nothing is kept when making it throws.
    func value(for key: Key, orMake make: () throws -> Value) rethrows -> Value {
        let found = state.withLock { state -> Value? in
            if let value = state.recent[key] { return value }
            guard let value = state.older[key] else { return nil }
            state.insert(value, key, capacity: capacity)
            return value
        }
        if let found { return found }
        let value = try make()
        state.withLock { $0.insert(value, key, capacity: capacity) }
        return value
    }
}

/// Allows so many requests in a second, and as many at once.
final class RateLimit: Sendable {
    private struct State {
        var tokens: Double
        var last: ContinuousClock.Instant?
    }

    private let perSecond: Double
    private let state: Mutex<State>

    init(perSecond: Int) {
        self.perSecond = Double(max(1, perSecond))
        state = Mutex(State(tokens: self.perSecond))
    }

    /// Checks a request by its arrival.
    func check(at arrival: ContinuousClock.Instant) throws(ServiceRefusal) -> String {
        let isGranted = state.withLock { state in
            if let last = state.last {
                let seconds = last.duration(to: arrival) / .seconds(1)
                state.tokens = min(perSecond, state.tokens + max(0, seconds) * perSecond)
            }
            state.last = arrival
            guard state.tokens >= 1 else { return false }
            state.tokens -= 1
            return true
        }
        guard isGranted else {
            throw ServiceRefusal(
                code: .throttling, message: "Rate exceeded", detail: "more than \(Int(perSecond)) requests in a second",
                hint: "try again after a pause that grows and varies, or keep credentials instead of asking again")
        }
        return "at most \(Int(perSecond)) in a second"
    }
}
