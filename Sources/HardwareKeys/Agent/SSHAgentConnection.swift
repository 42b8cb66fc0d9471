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

    /// Connects.
    ///
    /// - Parameters:
    ///   - path: The agent's socket.
    ///   - timeout: How long the whole exchange may take.
    /// - Returns: The connection.
    /// - Throws: ``HardwareKeyError`` with ``HardwareKeyErrorCode/absent`` when nobody listens there.
    static func open(_ path: String, timeout: Duration) throws(HardwareKeyError) -> SSHAgentConnection {
        guard !path.isEmpty else {
            throw HardwareKeyError(.absent, "there is no SSH agent: SSH_AUTH_SOCK is not set", hint: wayToAnAgent)
        }
        let octets = Array(path.utf8)
        guard octets.count <= longestPath, !octets.contains(0) else {
            throw HardwareKeyError(
                .invalidAddress,
                "\(printable(path)) cannot be the socket of an SSH agent: a path has at most \(longestPath) bytes"
            )
        }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw HardwareKeyError(.failed, "no socket can be made: \(systemErrorText(errno))")
        }
        let connection = SSHAgentConnection(descriptor, timeout: timeout)
        // The system's own limit is for connecting and sending, where an agent that is there never lets one wait.
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
                .absent,
                "no SSH agent answers at \(printable(path)): \(systemErrorText(errno))",
                hint: wayToAnAgent
            )
        }
        return connection
    }

    deinit { close(descriptor) }

    /// What to do without an agent.
    static let wayToAnAgent = "start one and give it the key: eval \"$(ssh-agent)\"; ssh-add KEY"

    /// Asks.
    ///
    /// - Parameter question: A message, beginning with the octet of its kind.
    /// - Returns: The answer, of the same form and never empty.
    /// - Throws: ``HardwareKeyError`` with ``HardwareKeyErrorCode/failed`` when there is none, or it is none.
    consuming func answer(to question: [UInt8]) throws(HardwareKeyError) -> [UInt8] {
        try send(sshString(question))
        var reader = SSHWireReader(try receive(4))
        guard let count = reader.number(), (1...Self.longestMessage).contains(count) else {
            throw HardwareKeyError(
                .failed,
                "what answers on the SSH agent's socket is no agent: a message has 1 to \(Self.longestMessage) bytes"
            )
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
            // A millisecond more: a wait that rounds down to none would spin.
            let milliseconds = min(left / .milliseconds(1), 3_600_000) + 1
            let status = unsafe poll(&wanted, 1, CInt(milliseconds))
            if status > 0 { return }
            guard status == 0 || errno == EINTR else { throw brokenOff(systemErrorText(errno)) }
        }
    }

    private var timedOut: HardwareKeyError {
        HardwareKeyError(
            .failed,
            "the SSH agent did not answer within \(timeout)",
            hint: "it may be waiting for a touch of the device or for a confirmation on its own screen"
        )
    }

    private func brokenOff(_ why: String) -> HardwareKeyError {
        HardwareKeyError(.failed, "the SSH agent did not answer: \(why)")
    }
}
