// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore
internal import SystemSupport

/// The file of a unix socket that this process listens on.
struct UnixSocketFile: Sendable {
    /// The longest path that the system allows, in bytes.
    static let longestPath = MemoryLayout<sockaddr_un>.size - MemoryLayout<sa_family_t>.size - 1

    private let directory: Directory
    private let name: String
    private let stamp: FileStamp

    /// Creates a listening socket and its file.
    static func listen(at path: String) async throws(HTTPServerError) -> (descriptor: CInt, file: UnixSocketFile) {
        let address = try address(path)
        // Another server that starts now must not take a socket that does not listen yet for an old one.
        let directory = try await lockedDirectory(of: path)
        defer { withExtendedLifetime(directory) {} }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw unavailable(path, systemErrorText(errno)) }
        do throws(HTTPServerError) {
            return (descriptor, try listen(descriptor, at: path, address, in: directory))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Removes the file, unless it was replaced. To be called while the socket is open: its inode number could belong to another
    /// file afterwards.
    func remove() {
        if directory.status(of: name)?.stamp.isSameFile(as: stamp) == true { directory.unlink(name) }
    }

    private static func listen(
        _ descriptor: CInt, at path: String, _ address: sockaddr_un, in lock: Directory
    ) throws(HTTPServerError) -> UnixSocketFile {
        let name = FilePath.name(of: path)
        // Linux gives the file the socket's own mode, less the umask: it never has a wider one.
        fchmod(descriptor, 0o600)
        if unsafe call(bind, descriptor, address) != 0 {
            guard errno == EADDRINUSE else { throw unavailable(path, systemErrorText(errno)) }
            try removeAbandoned(name, in: lock, path, address)
            guard unsafe call(bind, descriptor, address) == 0 else {
                throw unavailable(path, systemErrorText(errno))
            }
        }
        guard let status = lock.status(of: name), status.kind == .socket else {
            throw unavailable(path, "something took its place")
        }
        // The lock is released with its directory value, so the file keeps another without a lock.
        let directory: Directory
        do { directory = try Directory(lock.path, for: .output) } catch { throw unavailable(path, error.message) }
        let file = UnixSocketFile(directory: directory, name: name, stamp: status.stamp)
        // A umask may have taken the owner's own rights away. Nobody can connect before the socket listens.
        if status.mode != 0o600, unsafe fchmodat(lock.descriptor, name, 0o600, 0) != 0 {
            let reason = errno
            file.remove()
            throw unavailable(path, systemErrorText(reason))
        }
        guard Glibc.listen(descriptor, ListeningSocket.backlog) == 0 else {
            let reason = errno
            file.remove()
            throw unavailable(path, systemErrorText(reason))
        }
        return file
    }

    /// Removes the file of a socket that no one listens on.
    private static func removeAbandoned(
        _ name: String, in directory: Directory, _ path: String, _ address: sockaddr_un
    ) throws(HTTPServerError) {
        guard let kind = directory.status(of: name)?.kind else { return }
        guard kind == .socket else {
            throw unavailable(path, "a file that is not a socket is there", hint: "choose another path")
        }
        let flags = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let probe = socket(AF_UNIX, flags, 0)
        guard probe >= 0 else { throw unavailable(path, systemErrorText(errno)) }
        defer { close(probe) }
        // Only this error means that no one listens; a server with a full queue gives another.
        let answer = unsafe call(connect, probe, address)
        guard answer != 0, errno == ECONNREFUSED else {
            throw unavailable(path, "another program listens there", hint: "end that program, or choose another path")
        }
        guard directory.unlink(name) || !directory.contains(name) else {
            throw unavailable(path, "an old socket is there, and cannot be removed")
        }
    }

    /// Opens the directory and locks it, until the value is released.
    private static func lockedDirectory(of path: String) async throws(HTTPServerError) -> Directory {
        let directory: Directory
        do { directory = try Directory(FilePath.parent(of: path), for: .output) } catch {
            throw unavailable(path, error.number == 0 ? error.message : systemErrorText(error.number))
        }
        for _ in 0..<100 {
            do { if try directory.tryLock() { return directory } } catch { throw unavailable(path, error.message) }
            do { try await Task.sleep(for: .milliseconds(10)) } catch { break }
        }
        throw unavailable(path, "another program has locked the directory \(printable(directory.path))")
    }

    private static func address(_ path: String) throws(HTTPServerError) -> sockaddr_un {
        let octets = path.utf8
        guard !octets.isEmpty, !octets.contains(0) else {
            throw HTTPServerError(.invalidAddress, "the path of a unix socket is empty or has a zero byte")
        }
        guard octets.count <= longestPath else {
            throw HTTPServerError(
                .invalidAddress,
                "the path of the unix socket has \(octets.count) bytes; the system takes \(longestPath): \(path)",
                hint: "choose a shorter path")
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: octets) }
        return address
    }

    /// Calls `bind` or `connect`.
    private static func call(
        _ function: (CInt, UnsafePointer<sockaddr>, socklen_t) -> CInt, _ descriptor: CInt, _ address: sockaddr_un
    ) -> CInt {
        unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe function(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func unavailable(_ path: String, _ why: String, hint: String? = nil) -> HTTPServerError {
        HTTPServerError(
            .addressUnavailable, "cannot listen on unix:\(path): \(why)",
            hint: hint ?? "choose another path, in a directory that is there and yours")
    }
}
