// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import HTTPServer
import SystemSupport

/// Where a server can listen: unix sockets, inherited sockets, and the options of TCP ones.
@Suite struct HTTPListenerTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    private let last = "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    private func start(
        _ listeners: HTTPListener..., limits: HTTPLimits = .patient, handler: TestHandler = .echo
    ) async throws -> HTTPServer {
        var configuration = HTTPServer.Configuration(now: { .now })
        configuration.eventLoops = 1
        configuration.workers = 1
        configuration.limits = limits
        return try await HTTPServer.start(listeners, configuration: configuration, handler: handler)
    }

    private func statuses(_ server: HTTPServer, _ requests: String) async throws -> [Int] {
        let client = try await RawClient.connect(to: server)
        try await client.send(requests)
        return try await client.text().split(separator: "HTTP/1.1 ").compactMap { Int($0.prefix(3)) }
    }

    /// What a server's handler was told of who asks.
    private func caller(_ listener: HTTPListener) async throws -> (address: String, isLocal: Bool) {
        let seen = Mutex<(String, Bool)>(("", false))
        let handler = TestHandler { request in
            seen.withLock { $0 = (request.remoteAddress, request.isLocal) }
            return .now(HTTPResponse(status: .ok))
        }
        let server = try await start(listener, handler: handler)
        #expect(try await statuses(server, last) == [200])
        await server.shutDown(within: .zero)
        return seen.withLock { $0 }
    }

    // MARK: Unix sockets

    @Test func `a unix socket is its user's alone, serves like any other and goes with the server`() async throws {
        let directory = try SocketDirectory()
        let path = directory.file("s")
        let server = try await start(HTTPListener(path: path))
        #expect(SocketDirectory.mode(path) == S_IFSOCK | 0o600)
        #expect(server.listeners[0].origin == "unix:\(path)")
        #expect(server.listeners[0].isLoopback)
        #expect(server.listeners[0].port == 0)
        #expect(
            try await statuses(server, get + "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx" + last) == [
                200, 200, 200,
            ]
        )
        await server.shutDown(within: .zero)
        #expect(SocketDirectory.mode(path) == nil)
    }

    @Test func `limits hold on a unix socket`() async throws {
        let directory = try SocketDirectory()
        var limits = HTTPLimits.patient
        limits.bodyBytes = 10
        limits.connections = 1
        let server = try await start(HTTPListener(path: directory.file("s")), limits: limits)
        let first = try await RawClient.connect(to: server)
        try await first.send(get)
        try await first.waitForAnswer()
        #expect(try await RawClient.connect(to: server).text().hasPrefix("HTTP/1.1 503 "))
        try await first.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n")
        #expect(try await first.text().contains("HTTP/1.1 413 "))
        await server.shutDown(within: .zero)
    }

    @Test func `whoever asks over a unix socket is local`() async throws {
        let directory = try SocketDirectory()
        let caller = try await caller(HTTPListener(path: directory.file("s")))
        #expect(caller.address == "unix")
        #expect(caller.isLocal)
    }

    @Test func `a socket that a server left behind is replaced`() async throws {
        let directory = try SocketDirectory()
        let path = directory.file("s")
        close(try RawSocket.make(SocketAddress(unixDomainSocketPath: path)))
        #expect(SocketDirectory.mode(path) != nil)
        let server = try await start(HTTPListener(path: path))
        #expect(SocketDirectory.mode(path) == S_IFSOCK | 0o600)
        #expect(try await statuses(server, last) == [200])
        await server.shutDown(within: .zero)
    }

    @Test func `a socket that is in use is left alone`() async throws {
        let directory = try SocketDirectory()
        let server = try await start(HTTPListener(path: directory.file("s")))
        let error = await #expect(throws: HTTPServerError.self) {
            try await start(HTTPListener(path: directory.file("s")))
        }
        #expect(error?.code == .addressUnavailable)
        #expect(error?.message == "cannot listen on unix:\(directory.file("s")): another program listens there")
        #expect(try await statuses(server, last) == [200])
        await server.shutDown(within: .zero)
    }

    @Test func `of many servers that find an old socket at once, one gets its place`() async throws {
        let directory = try SocketDirectory()
        let path = directory.file("s")
        close(try RawSocket.make(SocketAddress(unixDomainSocketPath: path)))
        let servers = await withTaskGroup(of: HTTPServer?.self) { group in
            for _ in 0..<8 { group.addTask { try? await start(HTTPListener(path: path)) } }
            return await group.reduce(into: [HTTPServer]()) { if let server = $1 { $0.append(server) } }
        }
        #expect(servers.count == 1)
        for server in servers {
            #expect(try await statuses(server, last) == [200])
            await server.shutDown(within: .zero)
        }
    }

    @Test(arguments: ["file", "directory", "link"])
    func `what is not a socket is left alone`(_ kind: String) async throws {
        let directory = try SocketDirectory()
        let path = directory.file("s")
        switch kind {
        case "file": try Data("precious".utf8).write(to: URL(filePath: path))
        case "directory": try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        default:
            close(try RawSocket.make(SocketAddress(unixDomainSocketPath: directory.file("other"))))
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: directory.file("other"))
        }
        let before = SocketDirectory.mode(path)
        let error = await #expect(throws: HTTPServerError.self) { try await start(HTTPListener(path: path)) }
        #expect(error?.code == .addressUnavailable)
        #expect(error?.message.hasSuffix(": a file that is not a socket is there") == true)
        #expect(SocketDirectory.mode(path) == before)
    }

    @Test func `a file that took the socket's place stays`() async throws {
        let directory = try SocketDirectory()
        let path = directory.file("s")
        let server = try await start(HTTPListener(path: path))
        try FileManager.default.removeItem(atPath: path)
        let other = try RawSocket.make(SocketAddress(unixDomainSocketPath: path))
        await server.shutDown(within: .zero)
        #expect(SocketDirectory.mode(path) != nil)
        close(other)
    }

    @Test func `a path has at most 107 bytes`() async throws {
        let directory = try SocketDirectory()
        let longest = directory.file(String(repeating: "s", count: 107 - directory.path.utf8.count - 1))
        let server = try await start(HTTPListener(path: longest))
        #expect(SocketDirectory.mode(longest) == S_IFSOCK | 0o600)
        #expect(server.listeners[0].path == longest)
        await server.shutDown(within: .zero)
        for path in [longest + "s", "", "/tmp/\0"] {
            let error = await #expect(throws: HTTPServerError.self) { try await start(HTTPListener(path: path)) }
            #expect(error?.code == .invalidAddress)
        }
    }

    @Test func `a directory that is not there is named`() async throws {
        let directory = try SocketDirectory()
        let error = await #expect(throws: HTTPServerError.self) {
            try await start(HTTPListener(path: directory.file("none/s")))
        }
        #expect(error?.message == "cannot listen on unix:\(directory.file("none/s")): no such file or directory")
        #expect(error?.hint != nil)
    }

    @Test func `a start that fails leaves no socket behind`() async throws {
        let directory = try SocketDirectory()
        await #expect(throws: HTTPServerError.self) {
            try await start(HTTPListener(path: directory.file("s")), HTTPListener(address: "nowhere"))
        }
        #expect(SocketDirectory.mode(directory.file("s")) == nil)
    }

    // MARK: Inherited sockets

    @Test func `an inherited TCP socket is served under its own address`() async throws {
        let descriptor = try RawSocket.make(SocketAddress(ipAddress: "127.0.0.1", port: 0))
        let listener = try HTTPListener(inheriting: descriptor)
        #expect((1...65_535).contains(listener.port))
        #expect(listener.origin == "http://127.0.0.1:\(listener.port)")
        #expect(listener.isLoopback)
        let server = try await start(listener)
        #expect(server.listeners[0].origin == listener.origin)
        #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
        #expect(try await statuses(server, get + last) == [200, 200])
        await server.shutDown(within: .zero)
        await #expect(throws: (any Error).self) { try await RawClient.connect(to: server) }
    }

    @Test(.enabled(if: RawSocket.hasIPv6), arguments: [("::1", true), ("::", false)])
    func `an inherited IPv6 socket is known`(_ address: String, _ isLoopback: Bool) throws {
        let descriptor = try RawSocket.make(SocketAddress(ipAddress: address, port: 0))
        defer { close(descriptor) }
        let listener = try HTTPListener(inheriting: descriptor)
        #expect(listener.origin == "http://[\(address)]:\(listener.port)")
        #expect(listener.isLoopback == isLoopback)
    }

    @Test func `an inherited unix socket is served, and its file stays`() async throws {
        let directory = try SocketDirectory()
        let descriptor = try RawSocket.make(SocketAddress(unixDomainSocketPath: directory.file("s")))
        let listener = try HTTPListener(inheriting: descriptor)
        #expect(listener.origin == "unix:\(directory.file("s"))")
        #expect(listener.isLoopback)
        let caller = try await caller(listener)
        #expect(caller.isLocal)
        #expect(SocketDirectory.mode(directory.file("s")) != nil)
    }

    @Test func `an inherited socket without a file has a name`() throws {
        let name = "pki-\(UInt64.random(in: .min ... .max))"
        let descriptor = try RawSocket.make(RawSocket.abstract(name))
        defer { close(descriptor) }
        #expect(try HTTPListener(inheriting: descriptor).origin == "unix:@\(name)")
    }

    @Test(arguments: ["closed", "file", "datagram", "idle"])
    func `what does not listen is refused`(_ kind: String) throws {
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let (descriptor, reason) =
            switch kind {
            case "closed": (CInt(-1), "is not a socket")
            case "file": (unsafe open("/dev/null", O_RDONLY | O_CLOEXEC), "is not a socket")
            case "datagram":
                (try RawSocket.make(address, type: SOCK_DGRAM, listens: false), "is not a stream socket")
            default: (try RawSocket.make(address, listens: false), "does not listen")
            }
        defer { close(descriptor) }
        let error = #expect(throws: HTTPServerError.self) { try HTTPListener(inheriting: descriptor) }
        #expect(error?.code == .invalidAddress)
        #expect(error?.message == "the file descriptor \(descriptor) \(reason)")
    }

    // MARK: TCP

    /// An option of a connection that a listener took.
    private func options(_ listener: HTTPListener) async throws -> (version4: Int, version6: Int?) {
        let group = MultiThreadedEventLoopGroup.singleton
        let (channels, announce) = AsyncStream.makeStream(of: (any Channel).self)
        let bound = try await BoundListener(listener, on: group) { announce.yield($0) }
        let client = try await ClientBootstrap(group: group)
            .connect(host: bound.listener.address, port: bound.listener.port)
            .get()
        var found: (Int, Int?) = (0, nil)
        for await channel in channels {
            let version4 = ChannelOptions.Types.SocketOption(level: .ip, name: .init(rawValue: IP_TTL))
            let version6 = ChannelOptions.Types.SocketOption(level: .ipv6, name: .init(rawValue: IPV6_UNICAST_HOPS))
            found.0 = try await channel.getOption(version4).get()
            if listener.address.contains(":") { found.1 = try await channel.getOption(version6).get() }
            try? await channel.close()
            break
        }
        try? await client.close()
        await bound.close()
        return found
    }

    @Test(arguments: [1, 64, 255])
    func `connections inherit the time to live`(_ hops: Int) async throws {
        #expect(try await options(HTTPListener(timeToLive: hops)).version4 == hops)
        let descriptor = try RawSocket.make(SocketAddress(ipAddress: "127.0.0.1", port: 0))
        let inherited = try HTTPListener(inheriting: descriptor, timeToLive: hops)
        #expect(try await options(inherited).version4 == hops)
    }

    @Test(.enabled(if: RawSocket.hasIPv6))
    func `connections over IPv6 inherit the hop limit, and the time to live of IPv4`() async throws {
        let found = try await options(HTTPListener(address: "::1", timeToLive: 3))
        #expect(found.version6 == 3)
        #expect(found.version4 == 3)
    }

    @Test(arguments: [0, 256, -1])
    func `a time to live that is none is refused`(_ hops: Int) async {
        let error = await #expect(throws: HTTPServerError.self) { try await start(HTTPListener(timeToLive: hops)) }
        #expect(error?.code == .invalidTimeToLive)
    }

    @Test func `whoever asks over loopback is local`() async throws {
        let caller = try await caller(HTTPListener())
        #expect(caller.address.hasPrefix("127.0.0.1:"))
        #expect(caller.isLocal)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.0.9", true), ("::1", true), ("::ffff:127.0.0.1", true), ("::ffff:7f00:5", true),
        ("10.0.0.1", false), ("0.0.0.0", false), ("::", false), ("::ffff:10.0.0.1", false), ("fe80::1", false),
    ])
    func `local addresses are known`(_ text: String, _ expected: Bool) throws {
        #expect(try SocketAddress(ipAddress: text, port: 1).isLoopback == expected)
    }
}
