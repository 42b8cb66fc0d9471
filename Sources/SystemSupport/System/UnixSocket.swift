// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The address of a Unix-domain socket (unix(7)).
package struct UnixSocketAddress: Sendable {
    /// The longest path that the system allows, in bytes.
    package static let longestPath = MemoryLayout<sockaddr_un>.size - MemoryLayout<sa_family_t>.size - 1

    /// `sun_path` as the system reads it: a path with its zero byte, or a zero byte and an abstract name.
    private let octets: [UInt8]

    /// `nil` if the path is empty, too long, or has a zero byte.
    package init?(path: String) {
        guard (1...Self.longestPath).contains(path.utf8.count), !path.utf8.contains(0) else { return nil }
        octets = Array(path.utf8) + [0]
    }

    /// Reads an absolute path, or `@` and a name in the abstract namespace, as systemd writes them. `nil` for anything else.
    package init?(named name: String) {
        guard name.utf8.count > 1, let address = UnixSocketAddress(path: name) else { return nil }
        switch name.utf8.first {
        case UInt8(ascii: "/"): self = address
        // An abstract name ends where the address does.
        case UInt8(ascii: "@"): octets = [0] + name.utf8.dropFirst()
        default: return nil
        }
    }

    /// Calls `bind` or `connect`.
    fileprivate func pass(
        to function: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt, _ descriptor: CInt
    ) throws(SystemError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: octets) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + octets.count)
        let status = unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe function(descriptor, $0, size) }
        }
        guard status == 0 else { throw .last }
    }
}

/// A Unix-domain socket, closed when the value is released. No child process inherits it.
package struct UnixSocket: ~Copyable {
    package enum Kind: Sendable { case stream, datagram }

    private let descriptor: CInt

    package init(_ kind: Kind, isBlocking: Bool = true) throws(SystemError) {
        let type = kind == .stream ? SOCK_STREAM : SOCK_DGRAM
        let flags = CInt(SOCK_CLOEXEC.rawValue) | (isBlocking ? 0 : CInt(SOCK_NONBLOCK.rawValue))
        descriptor = socket(AF_UNIX, CInt(type.rawValue) | flags, 0)
        guard descriptor >= 0 else { throw .last }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Returns the descriptor, which the caller closes.
    package consuming func release() -> CInt {
        let descriptor = descriptor
        discard self
        return descriptor
    }

    /// Limits how long ``connect(to:)`` and ``send(_:)`` wait.
    package borrowing func setSendTimeout(_ timeout: Duration) {
        let limit = max(timeout, .milliseconds(1)).components
        var time = timeval(tv_sec: Int(limit.seconds), tv_usec: Int(limit.attoseconds / 1_000_000_000_000))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    package borrowing func connect(to address: UnixSocketAddress) throws(SystemError) {
        try unsafe address.pass(to: Glibc.connect, descriptor)
    }

    /// Creates the socket's file. It never has a wider mode than this one; the umask may narrow it.
    package borrowing func bind(to address: UnixSocketAddress, mode: UInt32) throws(SystemError) {
        // Linux gives the file the socket's own mode, less the umask.
        fchmod(descriptor, mode)
        try unsafe address.pass(to: Glibc.bind, descriptor)
    }

    package borrowing func listen(backlog: CInt) throws(SystemError) {
        try ListeningSocket.setBacklog(backlog, of: descriptor)
    }

    /// Sends all bytes; to a datagram socket as one message. SIGPIPE is not raised.
    package borrowing func send(_ bytes: [UInt8]) throws(SystemError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { throw .timedOut }
            guard count > 0 else { throw .last }
            rest = rest.dropFirst(count)
        }
    }

    /// Receives a number of bytes; fewer if the other side closes the connection before.
    package borrowing func receive(
        _ total: Int, until deadline: ContinuousClock.Instant
    ) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: min(total, 16_384))
        while bytes.count < total {
            try waitForBytes(until: deadline)
            let count = unsafe recv(descriptor, &buffer, min(buffer.count, total - bytes.count), CInt(MSG_DONTWAIT))
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw .last }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        return bytes
    }

    private borrowing func waitForBytes(until deadline: ContinuousClock.Instant) throws(SystemError) {
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw .timedOut }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // One millisecond more: a wait that rounds down to zero would spin.
            let milliseconds = min(left / .milliseconds(1), 3_600_000) + 1
            let status = unsafe poll(&wanted, 1, CInt(milliseconds))
            if status > 0 { return }
            guard status == 0 || errno == EINTR else { throw .last }
        }
    }
}

/// A stream socket of TCP or unix that listens, by its descriptor.
package enum ListeningSocket {
    package enum Address: Sendable {
        case network(address: String, port: Int)
        /// A path, or for a socket without a file `@` and its name, as systemd writes it.
        case unix(path: String)
    }

    /// Why a descriptor is not a listening socket that can be used: `is not a socket`.
    package struct Unusable: Error {
        package let reason: String
    }

    /// The options that limit how many routers a packet passes: for IPv4 and for IPv6.
    package static let hopLimitOptions = (version4: IP_TTL, version6: IPV6_UNICAST_HOPS)

    /// Sets the number of connections that may wait to be accepted, and begins to listen.
    package static func setBacklog(_ backlog: CInt, of descriptor: CInt) throws(SystemError) {
        guard listen(descriptor, backlog) == 0 else { throw .last }
    }

    /// The address that a socket listens on.
    package static func address(of descriptor: CInt) throws(Unusable) -> Address {
        guard let type = option(SO_TYPE, of: descriptor) else { throw Unusable(reason: "is not a socket") }
        guard type == CInt(SOCK_STREAM.rawValue) else { throw Unusable(reason: "is not a stream socket") }
        guard option(SO_ACCEPTCONN, of: descriptor) == 1 else { throw Unusable(reason: "does not listen") }
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &size)
            }
        }
        guard status == 0 else { throw Unusable(reason: "has no address: \(SystemError.last)") }
        let address = unsafe withUnsafeBytes(of: storage) { bytes -> Address? in
            switch CInt(storage.ss_family) {
            case AF_INET:
                let address = unsafe bytes.loadUnaligned(as: sockaddr_in.self)
                return .network(address: text(of: address.sin_addr), port: Int(UInt16(bigEndian: address.sin_port)))
            case AF_INET6:
                let address = unsafe bytes.loadUnaligned(as: sockaddr_in6.self)
                return .network(address: text(of: address.sin6_addr), port: Int(UInt16(bigEndian: address.sin6_port)))
            case AF_UNIX:
                let path = unsafe bytes.dropFirst(MemoryLayout<sa_family_t>.size)
                let isAbstract = unsafe path.first == 0
                let name = unsafe path.dropFirst(isAbstract ? 1 : 0).prefix { $0 != 0 }
                return unsafe .unix(path: (isAbstract ? "@" : "") + String(decoding: name, as: UTF8.self))
            default: return nil
            }
        }
        guard let address else { throw Unusable(reason: "speaks neither TCP nor unix") }
        return address
    }

    private static func text<Address>(of address: Address) -> String {
        IPAddress.text(unsafe withUnsafeBytes(of: address) { unsafe Array($0) })
    }

    private static func option(_ name: CInt, of descriptor: CInt) -> CInt? {
        var value: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard unsafe getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 else { return nil }
        return value
    }
}
