// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import SystemSupport
import Testing

@testable import pki

/// The other end of NOTIFY_SOCKET: a datagram socket, in a private directory or without a file.
private final class Listener {
    struct Failure: Error { let number: CInt }

    /// What NOTIFY_SOCKET has to be.
    let name: String
    private let directory: String
    private let descriptor: CInt

    init(isAbstract: Bool) throws {
        let random = UInt64.random(in: .min ... .max)
        directory = "/tmp/pki-notify-\(random)"
        name = isAbstract ? "@pki-notify-\(random)" : "\(directory)/notify"
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let octets = (isAbstract ? [0] : []) + Array(name.utf8.dropFirst(isAbstract ? 1 : 0))
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: octets) }
        let size = socklen_t(2 + octets.count)
        let status = unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, size) }
        }
        guard status == 0 else { throw Failure(number: errno) }
    }

    deinit {
        close(descriptor)
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The next message; nothing when there is none.
    func message() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = unsafe recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}

@Suite struct ServiceManagerTests {
    private func manager(_ environment: [String: String]) -> ServiceManager {
        ServiceManager(environment: environment, processID: 42)
    }

    // MARK: Telling

    @Test(arguments: [false, true])
    func `each notice arrives as systemd reads it`(_ isAbstract: Bool) throws {
        let listener = try Listener(isAbstract: isAbstract)
        let manager = manager(["NOTIFY_SOCKET": listener.name])
        #expect(manager.notify(.ready))
        #expect(listener.message() == "READY=1")
        #expect(manager.notify(.reloading(monotonicMicroseconds: 12_345)))
        #expect(listener.message() == "RELOADING=1\nMONOTONIC_USEC=12345")
        #expect(manager.notify(.watchdog))
        #expect(listener.message() == "WATCHDOG=1")
        #expect(manager.notify(.stopping, .status("bye")))
        #expect(listener.message() == "STOPPING=1\nSTATUS=bye")
        #expect(listener.message() == nil)
    }

    @Test func `a status is one line`() throws {
        let listener = try Listener(isAbstract: false)
        #expect(manager(["NOTIFY_SOCKET": listener.name]).notify(.status("a\nREADY=1\r\nü")))
        #expect(listener.message() == "STATUS=a READY=1  ü")
    }

    @Test(arguments: [
        nil, "", "@", "/", "relative", "vsock:2:1", "/nowhere/notify", "/" + String(repeating: "x", count: 108),
    ])
    func `without a manager nothing happens`(_ name: String?) {
        #expect(!manager(name.map { ["NOTIFY_SOCKET": $0] } ?? [:]).notify(.ready))
    }

    @Test func `nothing is told when there is nothing to tell`() throws {
        let listener = try Listener(isAbstract: false)
        #expect(!manager(["NOTIFY_SOCKET": listener.name]).notify())
        #expect(listener.message() == nil)
    }

    @Test func `the monotonic clock goes forward`() {
        let first = ThisProcess.monotonicMicroseconds
        #expect(first > 0)
        #expect(ThisProcess.monotonicMicroseconds >= first)
    }

    // MARK: The watchdog

    @Test(
        arguments: [
            (["WATCHDOG_USEC": "30000000"], .seconds(15)),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"], .seconds(15)),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"], nil),
            (["WATCHDOG_USEC": "0"], nil), (["WATCHDOG_USEC": "-1"], nil), (["WATCHDOG_USEC": "soon"], nil),
            (["WATCHDOG_USEC": "99999999999999999999"], nil), ([:], nil),
        ] as [([String: String], Duration?)]
    )
    func `the watchdog wants a sign twice in its time`(_ environment: [String: String], _ interval: Duration?) {
        #expect(manager(environment).watchdogInterval == interval)
    }

    // MARK: Sockets

    /// Two descriptors that follow each other, far from those that other tests open.
    private func pair() throws -> CInt {
        let file = unsafe open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        let first = fcntl(file, F_DUPFD, 900)
        let second = fcntl(file, F_DUPFD, first + 1)
        try #require(first >= 900 && second == first + 1)
        return first
    }

    @Test func `sockets are taken with their names, and are not inherited any further`() throws {
        let first = try pair()
        defer { for descriptor in first...first + 1 { close(descriptor) } }
        #expect(fcntl(first, F_GETFD) == 0)
        var environment = ["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:control"]
        let sockets = try manager(environment).sockets(from: first)
        #expect(sockets.map(\.descriptor) == [first, first + 1])
        #expect(sockets.map(\.name) == ["web", "control"])
        #expect(fcntl(first, F_GETFD) == FD_CLOEXEC)
        #expect(fcntl(first + 1, F_GETFD) == FD_CLOEXEC)
        environment["LISTEN_FDNAMES"] = nil
        #expect(try manager(environment).sockets(from: first).map(\.name) == ["unknown", "unknown"])
    }

    @Test(arguments: [
        [:], ["LISTEN_FDS": "1"], ["LISTEN_PID": "42"], ["LISTEN_PID": "43", "LISTEN_FDS": "1"],
        ["LISTEN_PID": "43", "LISTEN_FDS": "x"], ["LISTEN_PID": "42", "LISTEN_FDS": "0"],
        ["LISTEN_PID": "42", "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""],
    ])
    func `sockets of another process are not touched`(_ environment: [String: String]) throws {
        #expect(try manager(environment).sockets(from: 900).isEmpty)
    }

    @Test(arguments: [
        (["LISTEN_FDS": "x"], "LISTEN_FDS is \"x\", which is not a number of sockets"),
        (["LISTEN_FDS": "-1"], "LISTEN_FDS is \"-1\", which is not a number of sockets"),
        (["LISTEN_FDS": "5000"], "LISTEN_FDS is \"5000\", which is not a number of sockets"),
        (["LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"], "LISTEN_FDNAMES has 1 names, and LISTEN_FDS is 2"),
        (["LISTEN_FDS": "1"], "LISTEN_FDS is 1, but the file descriptor 5000000 is not open"),
    ])
    func `what cannot be is refused`(_ environment: [String: String], _ message: String) {
        let environment = environment.merging(["LISTEN_PID": "42"]) { $1 }
        let error = #expect(throws: InputError.self) { try manager(environment).sockets(from: 5_000_000) }
        #expect(error?.message == message)
    }
}
