// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The protocol of systemd: notifications, socket activation and watchdog (sd_notify(3), sd_listen_fds(3),
/// sd_watchdog_enabled(3)). Without a service manager nothing is sent.
struct ServiceManager: Sendable {
    enum Notice: Hashable, Sendable {
        /// Started, or reloaded.
        case ready
        /// Reloading since this time of ``ServiceManager/monotonicMicroseconds()``, until ``ready``.
        case reloading(monotonicMicroseconds: UInt64)
        case stopping
        case watchdog
        case status(String)

        fileprivate var lines: String {
            switch self {
            case .ready: return "READY=1"
            case .reloading(let time): return "RELOADING=1\nMONOTONIC_USEC=\(time)"
            case .stopping: return "STOPPING=1"
            case .watchdog: return "WATCHDOG=1"
            case .status(let text):
                // A second line would be another assignment.
                let line = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : String($0) }
                return "STATUS=\(line.joined())"
            }
        }
    }

    /// A socket that was opened for this process.
    struct Socket: Hashable, Sendable {
        let descriptor: CInt
        /// From the unit's `FileDescriptorName=`; `unknown` without one.
        let name: String
    }

    /// How often ``Notice/watchdog`` is sent: half of the manager's timeout; `nil` without a watchdog.
    let watchdogInterval: Duration?

    private let environment: [String: String]
    private let processID: pid_t

    /// The first inherited socket.
    private static let firstDescriptor: CInt = 3

    /// The maximum number of inherited sockets.
    private static let socketLimit: CInt = 1_024

    /// - Parameter processID: Of this process. Variables for another process, inherited from a parent, are ignored.
    init(environment: [String: String], processID: pid_t) {
        self.environment = environment
        self.processID = processID
        let isMeant = environment["WATCHDOG_PID"].map { $0 == String(processID) } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { Self.digits($0) }.flatMap { Int64($0) }
        watchdogInterval =
            if isMeant, let microseconds, microseconds > 1 { .microseconds(microseconds / 2) } else { nil }
    }

    /// Sends notices in one message. Returns whether there is a manager that got them.
    @discardableResult func notify(_ notices: Notice...) -> Bool {
        guard let name = environment["NOTIFY_SOCKET"], !notices.isEmpty, let (address, size) = Self.address(name) else {
            return false
        }
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let message = Array(notices.map(\.lines).joined(separator: "\n").utf8)
        while true {
            let sent = unsafe withUnsafePointer(to: address) { address in
                unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe sendto(descriptor, message, message.count, CInt(MSG_NOSIGNAL), $0, size)
                }
            }
            if sent < 0, errno == EINTR { continue }
            return sent == message.count
        }
    }

    /// Microseconds of CLOCK_MONOTONIC, for ``Notice/reloading(monotonicMicroseconds:)``.
    static func monotonicMicroseconds() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }

    /// The sockets that were opened for this process, in the order of the unit. Programs that it starts do not inherit them.
    func sockets(from first: CInt = ServiceManager.firstDescriptor) throws(InputError) -> [Socket] {
        guard environment["LISTEN_PID"] == String(processID), let text = environment["LISTEN_FDS"] else { return [] }
        guard let count = Self.digits(text).flatMap({ CInt($0) }), count <= Self.socketLimit else {
            throw InputError(message: "LISTEN_FDS is \"\(text)\", which is not a number of sockets", hint: nil)
        }
        let names = environment["LISTEN_FDNAMES"].map {
            $0.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
        if let names, count > 0, names.count != Int(count) {
            throw InputError(message: "LISTEN_FDNAMES has \(names.count) names, and LISTEN_FDS is \(count)", hint: nil)
        }
        var sockets: [Socket] = []
        for index in 0..<count {
            let descriptor = first + index
            let flags = fcntl(descriptor, F_GETFD)
            guard flags >= 0, fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) >= 0 else {
                throw InputError(
                    message: "LISTEN_FDS is \(count), but the file descriptor \(descriptor) is not open", hint: nil)
            }
            sockets.append(Socket(descriptor: descriptor, name: names?[Int(index)] ?? "unknown"))
        }
        return sockets
    }

    private static func digits(_ text: String) -> String? {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? text : nil
    }

    /// The address of a unix socket: a path, or `@` and a name in the abstract namespace (unix(7)).
    private static func address(_ name: String) -> (sockaddr_un, socklen_t)? {
        var octets = Array(name.utf8)
        var address = sockaddr_un()
        guard octets.count > 1, octets.count < MemoryLayout.size(ofValue: address.sun_path), !octets.contains(0) else {
            return nil
        }
        switch octets[0] {
        case UInt8(ascii: "/"): octets.append(0)
        case UInt8(ascii: "@"): octets[0] = 0
        default: return nil
        }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: octets) }
        // An abstract name ends where the address does.
        let size = MemoryLayout<sa_family_t>.size + octets.count
        return (address, socklen_t(size))
    }
}
