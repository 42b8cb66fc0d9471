// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore

/// The file of a unix socket that this process listens on.
struct UnixSocketFile: Sendable {
    /// The longest path that the system takes, in bytes.
    static let longestPath = MemoryLayout<sockaddr_un>.size - MemoryLayout<sa_family_t>.size - 1

    private let path: String
    private let device: dev_t
    private let node: ino_t

    /// Makes a socket that listens, and its file.
    ///
    /// - Parameter path: Where the file will be.
    /// - Returns: The number of the socket, and the file.
    /// - Throws: ``HTTPServiceError`` when the path is too long, in use, or cannot be made.
    static func listen(at path: String) async throws(HTTPServiceError) -> (descriptor: CInt, file: UnixSocketFile) {
        let address = try address(path)
        // Another server that starts at this moment must not take a socket that does not listen yet for an old one.
        let lock = try await lockFolder(of: path)
        defer { if let lock { close(lock) } }

        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw unavailable(path, ListeningSocket.systemText(errno)) }
        do throws(HTTPServiceError) {
            return (descriptor, try listen(descriptor, at: path, address))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Removes the file, unless something else has taken its place. To be called while the socket is open: its number
    /// could belong to another file afterwards.
    func remove() {
        guard let status = Self.status(of: path), status.st_dev == device, status.st_ino == node else { return }
        unsafe unlink(path)
    }

    private static func listen(
        _ descriptor: CInt,
        at path: String,
        _ address: sockaddr_un
    ) throws(HTTPServiceError) -> UnixSocketFile {
        // Linux gives the file the socket's own mode, less the umask: it never has a wider one.
        fchmod(descriptor, 0o600)
        if unsafe call(bind, descriptor, address) != 0 {
            guard errno == EADDRINUSE else { throw unavailable(path, ListeningSocket.systemText(errno)) }
            try removeAbandoned(path, address)
            guard unsafe call(bind, descriptor, address) == 0 else {
                throw unavailable(path, ListeningSocket.systemText(errno))
            }
        }
        guard let status = status(of: path), status.st_mode & S_IFMT == S_IFSOCK else {
            throw unavailable(path, "something took its place")
        }
        let file = UnixSocketFile(path: path, device: status.st_dev, node: status.st_ino)
        // A umask may have taken the owner's own rights away. Nobody can connect before the socket listens.
        let isPrivate = status.st_mode & 0o7777 == 0o600
        if !isPrivate, unsafe chmod(path, 0o600) != 0 {
            let reason = errno
            file.remove()
            throw unavailable(path, ListeningSocket.systemText(reason))
        }
        guard Glibc.listen(descriptor, ListeningSocket.backlog) == 0 else {
            let reason = errno
            file.remove()
            throw unavailable(path, ListeningSocket.systemText(reason))
        }
        return file
    }

    /// Removes a socket's file that nothing accepts on.
    private static func removeAbandoned(_ path: String, _ address: sockaddr_un) throws(HTTPServiceError) {
        guard let status = status(of: path) else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw unavailable(path, "a file that is not a socket is there", remedy: "choose another path")
        }
        let flags = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let probe = socket(AF_UNIX, flags, 0)
        guard probe >= 0 else { throw unavailable(path, ListeningSocket.systemText(errno)) }
        defer { close(probe) }
        // Only this answer says that nobody is there; a server with a full queue has another.
        let answer = unsafe call(connect, probe, address)
        guard answer != 0, errno == ECONNREFUSED else {
            throw unavailable(path, "another program listens there", remedy: "end that program, or choose another path")
        }
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw unavailable(path, "an old socket is there: \(ListeningSocket.systemText(errno))")
        }
    }

    private static func status(of path: String) -> stat? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status : nil
    }

    /// Locks the folder, for as long as the descriptor is open.
    ///
    /// - Returns: The descriptor; nothing when the folder may not be read, where nobody can keep order.
    private static func lockFolder(of path: String) async throws(HTTPServiceError) -> CInt? {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        for _ in 0..<100 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
        }
        close(descriptor)
        throw unavailable(path, "another program has locked the folder \(folder)")
    }

    private static func address(_ path: String) throws(HTTPServiceError) -> sockaddr_un {
        let octets = path.utf8
        guard !octets.isEmpty, !octets.contains(0) else {
            throw HTTPServiceError(.invalidAddress, "the path of a unix socket is empty or has a zero byte")
        }
        guard octets.count <= longestPath else {
            throw HTTPServiceError(
                .invalidAddress,
                "the path of the unix socket has \(octets.count) bytes; the system takes \(longestPath): \(path)",
                remedy: "choose a shorter path"
            )
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: octets) }
        return address
    }

    /// Calls a function that takes an address, `bind` or `connect`.
    private static func call(
        _ function: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt,
        _ descriptor: CInt,
        _ address: sockaddr_un
    ) -> CInt {
        unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func unavailable(_ path: String, _ why: String, remedy: String? = nil) -> HTTPServiceError {
        HTTPServiceError(
            .addressUnavailable,
            "cannot listen on unix:\(path): \(why)",
            remedy: remedy ?? "choose another path, in a folder that is there and yours"
        )
    }
}
