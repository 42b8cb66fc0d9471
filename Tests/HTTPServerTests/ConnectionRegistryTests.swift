// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import Testing

@testable import HTTPServer

@Suite struct ConnectionRegistryTests {
    /// Opens a connection; `nil` if there was no room for it.
    private func open(_ network: String, in registry: ConnectionRegistry) throws -> EmbeddedChannel? {
        let channel = EmbeddedChannel()
        try channel.connect(to: .init(unixDomainSocketPath: "/test")).wait()
        if registry.admit(channel, from: network) { return channel }
        try close(channel)
        return nil
    }

    private func close(_ channel: EmbeddedChannel) throws {
        try channel.close().wait()
        channel.embeddedEventLoop.run()
    }

    @Test func `the network with the most gives its oldest connection up`() throws {
        let registry = ConnectionRegistry(limit: 4)
        let other = try #require(try open("192.0.2.1", in: registry))
        let many = try (0..<3).map { _ in try #require(try open("192.0.2.2", in: registry)) }
        let new = try #require(try open("192.0.2.3", in: registry))
        #expect([other, many[0], many[1], many[2], new].map(\.isActive) == [true, false, true, true, true])
        #expect(registry.count == 4)
        // It has two, and would have as many as the other would keep.
        #expect(try open("192.0.2.2", in: registry) == nil)
        #expect(try open("192.0.2.1", in: registry) == nil)
        try close(many[1])
        let last = try #require(try open("192.0.2.2", in: registry))
        #expect(registry.count == 4)
        for channel in [other, many[2], new] { try close(channel) }
        #expect(registry.count == 1)
        try close(last)
        // What the registry closed.
        many[0].embeddedEventLoop.run()
    }

    @Test func `a single network has all the room there is`() throws {
        let registry = ConnectionRegistry(limit: 3)
        let channels = try (0..<5).map { _ in try open("unix", in: registry) }
        #expect(channels.map { $0 != nil } == [true, true, true, false, false])
        for channel in channels { try channel.map(close) }
    }

    @Test(arguments: [
        ("192.0.2.1:443", "192.0.2.1"), ("[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:80", "2001:db8:1:2::/64"), ("[2001:db8:1:3::9]:80", "2001:db8:1:3::/64"), ("unix", "unix"),
    ])
    func `a client of IPv6 has a whole network`(address: String, network: String) {
        #expect(ConnectionPeer(address: address).network == network)
    }
}
