// SPDX-License-Identifier: Apache-2.0

import HTTPServer
import SystemSupport

extension HTTPServer {
    /// Starts a server. The hint is for an address that cannot be used.
    static func start(
        _ listeners: [HTTPListener], configuration: Configuration, handler: any HTTPHandler, hint: () -> String
    ) async throws -> HTTPServer {
        do {
            return try await start(listeners, configuration: configuration, handler: handler)
        } catch {
            guard error.code == .addressUnavailable else { throw error }
            throw InputError(message: error.message, hint: hint())
        }
    }
}

/// The protocol of systemd: notifications, socket activation and watchdog (sd_notify(3), sd_listen_fds(3),
/// sd_watchdog_enabled(3)). Without a service manager nothing is sent.
struct ServiceManager: Sendable {
    enum Notice: Hashable, Sendable {
        /// Started, or reloaded.
        case ready
        /// Reloading since this time of ``ThisProcess/monotonicMicroseconds``, until ``ready``.
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
    private let processID: CInt

    /// The first inherited socket.
    private static let firstDescriptor: CInt = 3

    /// The maximum number of inherited sockets.
    private static let socketLimit: CInt = 1_024

    /// - Parameter processID: Of this process. Variables for another process, inherited from a parent, are ignored.
    init(environment: [String: String], processID: CInt) {
        self.environment = environment
        self.processID = processID
        let isMeant = environment["WATCHDOG_PID"].map { $0 == String(processID) } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { Self.digits($0) }.flatMap { Int64($0) }
        watchdogInterval =
            if isMeant, let microseconds, microseconds > 1 { .microseconds(microseconds / 2) } else { nil }
    }

    /// Sends notices in one message. Returns whether there is a manager that got them.
    @discardableResult func notify(_ notices: Notice...) -> Bool {
        guard let address = environment["NOTIFY_SOCKET"].flatMap(UnixSocketAddress.init(named:)), !notices.isEmpty
        else {
            return false
        }
        do {
            let socket = try UnixSocket(.datagram)
            try socket.connect(to: address)
            try socket.send(Array(notices.map(\.lines).joined(separator: "\n").utf8))
            return true
        } catch {
            return false
        }
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
            guard ThisProcess.closeOnExec(descriptor) else {
                throw InputError(
                    message: "LISTEN_FDS is \(count), but the file descriptor \(descriptor) is not open", hint: nil)
            }
            sockets.append(Socket(descriptor: descriptor, name: names?[Int(index)] ?? "unknown"))
        }
        return sockets
    }

    /// Whether standard error goes to systemd's journal, which adds times: `JOURNAL_STREAM` is its device and inode.
    static func writesToJournal(_ environment: [String: String]) -> Bool {
        guard let stream = environment["JOURNAL_STREAM"] else { return false }
        return FileStatus(of: StandardStream.error)?.stamp.place == stream
    }

    private static func digits(_ text: String) -> String? {
        !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? text : nil
    }
}
