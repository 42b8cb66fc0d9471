// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import NIOCore

@testable import HTTPServer

/// A private directory that goes away with the value; its path is short enough for unix sockets.
final class SocketDirectory {
    let path = "/tmp/pki-http-\(UInt64.random(in: .min ... .max))"

    init() throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    static func mode(_ path: String) -> mode_t? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status.st_mode : nil
    }
}

/// Sockets made by the system's own calls, as another program would make them.
enum RawSocket {
    struct Failure: Error { let number: CInt }

    static func make(_ address: SocketAddress, type: __socket_type = SOCK_STREAM, listens: Bool = true) throws -> CInt {
        let family: CInt =
            switch address {
            case .v4: AF_INET
            case .v6: AF_INET6
            case .unixDomainSocket: AF_UNIX
            }
        let descriptor = socket(family, CInt(type.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        let status = unsafe address.withSockAddr { pointer, size in unsafe bind(descriptor, pointer, socklen_t(size)) }
        guard descriptor >= 0, status == 0, !listens || listen(descriptor, 8) == 0 else {
            let number = errno
            close(descriptor)
            throw Failure(number: number)
        }
        return descriptor
    }

    /// A socket in the abstract namespace, which has no file.
    static func abstract(_ name: String) -> SocketAddress {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: [0] + Array(name.utf8)) }
        return SocketAddress(address)
    }

    static let hasIPv6 = FileManager.default.fileExists(atPath: "/proc/net/if_inet6")
}
