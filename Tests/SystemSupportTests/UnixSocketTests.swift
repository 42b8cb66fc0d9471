// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemSupport
import Testing

@Suite struct UnixSocketTests {
    @Test(arguments: ["", "a\0b", String(repeating: "a", count: UnixSocketAddress.longestPath + 1)])
    func `a path that the system cannot take is no address`(_ path: String) {
        #expect(UnixSocketAddress(path: path) == nil)
        #expect(UnixSocketAddress(named: path) == nil)
    }

    @Test(arguments: [("/run/notify", true), ("@pki", true), ("relative", false), ("@", false), ("/", false)])
    func `a named address is absolute or abstract`(_ name: String, _ isAddress: Bool) {
        #expect((UnixSocketAddress(named: name) != nil) == isAddress)
    }

    @Test func `a message arrives, and a silent or closed connection is reported`() throws {
        let directory = try Directory.makeTemporary("pki-socket.", in: "/tmp")
        defer { directory.remove() }
        let path = "\(directory.path)/s"
        let address = try #require(UnixSocketAddress(path: path))
        let listener = try UnixSocket(.stream)
        try listener.bind(to: address, mode: 0o600)
        defer { directory.unlink("s") }
        #expect(directory.status(of: "s")?.kind == .socket)
        let early = try UnixSocket(.stream)
        let refusal = #expect(throws: SystemError.self) { try early.connect(to: address) }
        #expect(refusal == .connectionRefused)
        try listener.listen(backlog: 1)
        let client = try UnixSocket(.stream)
        try client.connect(to: address)
        try client.send([1, 2, 3])
        let silence = #expect(throws: SystemError.self) {
            try client.receive(1, until: .now + .milliseconds(1))
        }
        #expect(silence == .timedOut)
        let again = #expect(throws: SystemError.self) { try UnixSocket(.stream).bind(to: address, mode: 0o600) }
        #expect(again == .addressInUse)
    }

    @Test func `a listening socket has an address, and nothing else has`() throws {
        let directory = try Directory.makeTemporary("pki-socket.", in: "/tmp")
        defer { directory.remove() }
        let socket = try UnixSocket(.stream)
        try socket.bind(to: try #require(UnixSocketAddress(path: "\(directory.path)/s")), mode: 0o600)
        defer { directory.unlink("s") }
        let descriptor = socket.release()
        defer { close(descriptor) }
        let early = #expect(throws: ListeningSocket.Unusable.self) {
            try ListeningSocket.address(of: descriptor)
        }
        #expect(early?.reason == "does not listen")
        try ListeningSocket.setBacklog(1, of: descriptor)
        guard case .unix(let path) = try ListeningSocket.address(of: descriptor) else {
            Issue.record("no unix socket")
            return
        }
        #expect(path == "\(directory.path)/s")
    }
}

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("::ffff:127.0.0.1", true), ("128.0.0.1", false),
        ("::2", false), ("1::1", false), ("::127.0.0.1", false), ("::ffff:8.8.8.8", false),
    ])
    func `loopback addresses are recognised`(_ text: String, _ isLoopback: Bool) throws {
        #expect(IPAddress.isLoopback(try #require(IPAddress.octets(text))) == isLoopback)
    }

    @Test func `an IPv4-mapped address is IPv4`() throws {
        #expect(IPAddress.unmapped(try #require(IPAddress.octets("::ffff:192.0.2.1"))) == [192, 0, 2, 1])
        #expect(IPAddress.octets("192.0.2.1 ") == nil)
        #expect(IPAddress.octets("1::\0") == nil)
        #expect(IPAddress.octets("0177.0.0.1") == nil)
    }
}
