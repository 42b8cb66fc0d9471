// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore
internal import SystemSupport

/// What the system says about sockets by their numbers.
enum ListeningSocket {
    /// The most connections that may wait to be taken.
    static let backlog: CInt = 1_024

    /// The address that a socket listens on.
    ///
    /// - Parameter descriptor: Its number.
    /// - Returns: The address.
    /// - Throws: ``HTTPServiceError`` when it is no stream socket of TCP or unix that listens.
    static func address(of descriptor: CInt) throws(HTTPServiceError) -> SocketAddress {
        guard let type = option(SO_TYPE, of: descriptor) else { throw unusable(descriptor, "is not a socket") }
        guard type == CInt(SOCK_STREAM.rawValue) else { throw unusable(descriptor, "is not a stream socket") }
        guard option(SO_ACCEPTCONN, of: descriptor) == 1 else { throw unusable(descriptor, "does not listen") }
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &size)
            }
        }
        guard status == 0 else { throw unusable(descriptor, "has no address: \(systemErrorText(errno))") }
        return try unsafe withUnsafeBytes(of: storage) { bytes throws(HTTPServiceError) in
            switch CInt(storage.ss_family) {
            case AF_INET: return unsafe SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self))
            case AF_INET6: return unsafe SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self))
            case AF_UNIX: return unsafe SocketAddress(bytes.loadUnaligned(as: sockaddr_un.self))
            default: throw unusable(descriptor, "speaks neither TCP nor unix")
            }
        }
    }

    /// The name of a unix socket: a path, or for one without a file `@` and its name, as systemd writes it.
    static func path(_ address: sockaddr_un) -> String {
        unsafe withUnsafeBytes(of: address.sun_path) { bytes in
            let isAbstract = unsafe bytes.first == 0
            let name = unsafe bytes.dropFirst(isAbstract ? 1 : 0).prefix { $0 != 0 }
            return unsafe (isAbstract ? "@" : "") + String(decoding: name, as: UTF8.self)
        }
    }

    /// An option of a socket that is a number.
    static func option(_ name: CInt, level: CInt = SOL_SOCKET, of descriptor: CInt) -> CInt? {
        var value: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        guard unsafe getsockopt(descriptor, level, name, &value, &size) == 0 else { return nil }
        return value
    }

    private static func unusable(_ descriptor: CInt, _ why: String) -> HTTPServiceError {
        HTTPServiceError(
            .invalidAddress,
            "the file descriptor \(descriptor) \(why)",
            hint:
                "hand over a TCP or unix stream socket that listens already (in systemd: ListenStream= and Accept=no)"
        )
    }
}
