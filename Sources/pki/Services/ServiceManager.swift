// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What systemd tells a service by its environment, and is told back: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
///
/// Without systemd there is nothing to listen on and nobody to tell.
struct ServiceManager: Sendable {
    private let notifySocket: String?
    private let watchdogMicroseconds: Int?
    private let socketCount: Int

    /// The first descriptor that is handed over.
    private static let firstDescriptor: CInt = 3

    /// Reads the environment.
    ///
    /// - Parameters:
    ///   - environment: The variables.
    ///   - process: This process's identifier: variables that were meant for another do not count.
    init(_ environment: [String: String], process: pid_t = getpid()) {
        func isForThis(_ variable: String) -> Bool {
            environment[variable].map { $0 == String(process) } ?? (variable == "WATCHDOG_PID")
        }
        notifySocket = environment["NOTIFY_SOCKET"].flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
        watchdogMicroseconds =
            isForThis("WATCHDOG_PID")
            ? environment["WATCHDOG_USEC"].flatMap(Int.init).flatMap { $0 > 0 ? $0 : nil } : nil
        let count = isForThis("LISTEN_PID") ? environment["LISTEN_FDS"].flatMap(Int.init) ?? 0 : 0
        socketCount = (0...1_024).contains(count) ? count : 0
    }

    /// The sockets that were handed over, which children of this process will not have.
    var sockets: [CInt] {
        let descriptors = (0..<CInt(socketCount)).map { Self.firstDescriptor + $0 }
        for descriptor in descriptors { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return descriptors
    }

    /// How often to tell that the service is alive: half of the time after which it is taken for dead.
    var watchdogInterval: Duration? {
        notifySocket == nil ? nil : watchdogMicroseconds.map { .microseconds(max(1, $0 / 2)) }
    }

    /// Says that the service does what it should, and how it stands with it.
    func ready(_ status: String) { notify("READY=1\nSTATUS=\(oneLine(status))") }

    /// Says how it stands.
    func status(_ text: String) { notify("STATUS=\(oneLine(text))") }

    /// Says that settings are read again; ``ready(_:)`` says that they were.
    func reloading() {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        notify("RELOADING=1\nMONOTONIC_USEC=\(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)")
    }

    /// Says that the service ends.
    func stopping() { notify("STOPPING=1") }

    /// Says that the service is alive.
    func alive() { notify("WATCHDOG=1") }

    private func oneLine(_ text: String) -> String { text.replacing("\n", with: " ") }

    /// Sends a datagram; whether somebody takes it makes no difference to the service.
    private func notify(_ message: String) {
        guard let notifySocket else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(notifySocket.utf8)
        // An abstract name begins with a NUL.
        if path.first == UInt8(ascii: "@") { path[0] = 0 }
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.count < capacity else { return }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        let isAbstract = path.first == 0
        let length = socklen_t(offset + path.count + (isAbstract ? 0 : 1))
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(message.utf8)
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length)
            }
        }
    }
}
