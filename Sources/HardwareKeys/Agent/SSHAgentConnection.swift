// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// One question to an agent and its answer, over a connection of their own.
struct SSHAgentConnection: ~Copyable {
    /// The longest message in both directions, which is OpenSSH's own limit.
    static let longestMessage = 256 * 1024

    /// The longest path that the system takes for a socket, in bytes.
    private static let longestPath = MemoryLayout<sockaddr_un>.size - MemoryLayout<sa_family_t>.size - 1

    private let descriptor: CInt
    private let timeout: Duration
    private let deadline: ContinuousClock.Instant

    private init(_ descriptor: CInt, timeout: Duration) {
        self.descriptor = descriptor
        self.timeout = timeout
        deadline = .now + timeout
    }

    static func open(_ path: String, timeout: Duration) throws(HardwareKeyError) -> SSHAgentConnection {
        guard !path.isEmpty else {
            throw HardwareKeyError(.absent, "there is no SSH agent: SSH_AUTH_SOCK is not set", hint: wayToAnAgent)
        }
        let octets = Array(path.utf8)
        guard octets.count <= longestPath, !octets.contains(0) else {
            throw HardwareKeyError(
                .invalidAddress,
                "\(printable(path)) cannot be the socket of an SSH agent: a path has at most \(longestPath) bytes")
        }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw HardwareKeyError(.failed, "no socket can be made: \(systemErrorText(errno))")
        }
        let connection = SSHAgentConnection(descriptor, timeout: timeout)
        // The system's timeout covers connecting and sending, for which an agent needs no time.
        let limit = max(timeout, .milliseconds(1)).components
        var time = timeval(tv_sec: Int(limit.seconds), tv_usec: Int(limit.attoseconds / 1_000_000_000_000))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: octets) }
        let status = unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            throw HardwareKeyError(
                .absent, "no SSH agent answers at \(printable(path)): \(systemErrorText(errno))", hint: wayToAnAgent)
        }
        return connection
    }

    deinit { close(descriptor) }

    /// The hint without an agent.
    static let wayToAnAgent = "start one and give it the key: eval \"$(ssh-agent)\"; ssh-add KEY"

    consuming func answer(to question: [UInt8]) throws(HardwareKeyError) -> [UInt8] {
        try send(sshString(question))
        var reader = SSHWireReader(try receive(4))
        guard let count = reader.number(), (1...Self.longestMessage).contains(count) else {
            throw HardwareKeyError(
                .failed,
                "what answers on the SSH agent's socket is no agent: a message has 1 to \(Self.longestMessage) bytes")
        }
        return try receive(count)
    }

    private borrowing func send(_ bytes: [UInt8]) throws(HardwareKeyError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { throw timedOut }
            guard count > 0 else { throw brokenOff(systemErrorText(errno)) }
            rest = rest.dropFirst(count)
        }
    }

    private borrowing func receive(_ total: Int) throws(HardwareKeyError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: min(total, 16384))
        while bytes.count < total {
            try waitForBytes()
            let count = unsafe recv(descriptor, &buffer, min(buffer.count, total - bytes.count), CInt(MSG_DONTWAIT))
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw brokenOff(systemErrorText(errno)) }
            guard count > 0 else { throw brokenOff("it closed the connection") }
            bytes += buffer.prefix(count)
        }
        return bytes
    }

    private borrowing func waitForBytes() throws(HardwareKeyError) {
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw timedOut }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // One millisecond more: a wait that rounds down to zero would spin.
            let milliseconds = min(left / .milliseconds(1), 3_600_000) + 1
            let status = unsafe poll(&wanted, 1, CInt(milliseconds))
            if status > 0 { return }
            guard status == 0 || errno == EINTR else { throw brokenOff(systemErrorText(errno)) }
        }
    }

    private var timedOut: HardwareKeyError {
        HardwareKeyError(
            .failed, "the SSH agent did not answer within \(timeout)",
            hint: "it may be waiting for a touch of the device or for a confirmation on its own screen")
    }

    private func brokenOff(_ why: String) -> HardwareKeyError {
        HardwareKeyError(.failed, "the SSH agent did not answer: \(why)")
    }
}

/// Parses a message of the SSH protocols (RFC 4251 §5). Malformed parts are `nil`, and nothing is read past them.
struct SSHWireReader {
    /// The bytes that have not been read.
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: some Sequence<UInt8>) { rest = Array(bytes)[...] }

    var isAtEnd: Bool { rest.isEmpty }

    /// A single byte.
    mutating func byte() -> UInt8? { rest.popFirst() }

    /// Four bytes, the most significant first.
    mutating func number() -> Int? {
        guard rest.count >= 4 else { return nil }
        defer { rest = rest.dropFirst(4) }
        return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }

    /// Bytes after their number.
    mutating func string() -> [UInt8]? {
        var ahead = self
        guard let count = ahead.number(), count <= ahead.rest.count else { return nil }
        defer { rest = ahead.rest.dropFirst(count) }
        return Array(ahead.rest.prefix(count))
    }

    /// A string that is a name.
    mutating func name() -> String? { string().map { String(decoding: $0, as: UTF8.self) } }

    /// The magnitude of a positive number of any length, without leading zeros. A set first bit means a negative number
    /// (RFC 4251 §5), which keys and signatures do not have: it is read as a missing zero octet.
    mutating func magnitude() -> [UInt8]? {
        guard let octets = string() else { return nil }
        let magnitude = Array(octets.drop { $0 == 0 })
        return magnitude.isEmpty ? nil : magnitude
    }
}

func sshNumber(_ number: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
}

/// Bytes after their number.
func sshString(_ bytes: [UInt8]) -> [UInt8] { sshNumber(bytes.count) + bytes }
