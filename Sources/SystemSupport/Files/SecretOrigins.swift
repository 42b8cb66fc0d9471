// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Synchronization

/// The variables and descriptors that secrets were read from, which no child process gets, and the bytes of pipes, which can be
/// read only once.
package enum SecretOrigins {
    private struct State {
        var variables: Set<String> = []
        var descriptors: Set<CInt> = []
        /// A pipe by what it is: it may have several paths, and a descriptor too.
        var streams: [(stamp: FileStamp, bytes: SecretBytes)] = []
        /// Regular files that were handed over open, which are read from their current position.
        var files: [CInt: SecretBytes] = [:]
    }

    private static let state = Mutex(State())

    /// The environment variables that carried a secret.
    package static var variables: Set<String> { state.withLock { $0.variables } }

    /// The descriptors that carried a secret, as this process got them.
    package static var descriptors: Set<CInt> { state.withLock { $0.descriptors } }

    /// Whether a descriptor carried a secret, or is another one of the same file or pipe.
    package static func carriesSecret(_ descriptor: CInt) -> Bool {
        let known = descriptors
        if known.contains(descriptor) { return true }
        guard let status = FileStatus(of: descriptor), [.regular, .pipe].contains(status.kind) else { return false }
        let same = known.contains { FileStatus(of: $0)?.stamp.isSameFile(as: status.stamp) == true }
        return same || state.withLock { $0.streams.contains { $0.stamp.isSameFile(as: status.stamp) } }
    }

    /// Remembers a variable that carries a secret, whether or not it has been read yet.
    package static func add(variable name: String) { state.withLock { _ = $0.variables.insert(name) } }

    /// Remembers a descriptor that carries a secret, whether or not it has been read yet.
    package static func add(descriptor: CInt) { state.withLock { _ = $0.descriptors.insert(descriptor) } }

    /// Remembers the descriptor that a path leads to, such as `/dev/fd/63` or `/dev/stdin`. Other paths are none of it.
    package static func add(path: String) {
        guard let descriptor = ownDescriptor(path) else { return }
        add(descriptor: descriptor)
    }

    /// The descriptor of this process that a path is another name of.
    package static func ownDescriptor(_ path: String) -> CInt? {
        guard path.utf8.first == 0x2f else { return nil }
        if path == "/dev/stdin" { return STDIN_FILENO }
        for prefix in ["/dev/fd/", "/proc/self/fd/", "/proc/\(getpid())/fd/"] where path.hasPrefix(prefix) {
            return CInt(path.dropFirst(prefix.count))
        }
        return nil
    }

    /// The bytes of something that can be read only once, and is read on the first call. `descriptor` is `nil` if it was opened here.
    static func bytes(
        of status: FileStatus, handedOverAs descriptor: CInt?, _ read: () throws(FileError) -> SecretBytes
    ) throws(FileError) -> SecretBytes {
        if status.kind == .regular {
            guard let descriptor else { return try read() }
            if let known = state.withLock({ $0.files[descriptor] }) { return known }
            let bytes = try read()
            state.withLock { $0.files[descriptor] = bytes }
            return bytes
        }
        if let known = known(status.stamp) { return known }
        let bytes = try read()
        state.withLock { $0.streams.append((status.stamp, bytes)) }
        return bytes
    }

    private static func known(_ stamp: FileStamp) -> SecretBytes? {
        state.withLock { state in state.streams.first { $0.stamp.isSameFile(as: stamp) }?.bytes }
    }
}
