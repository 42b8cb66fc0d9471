// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

extension SharedFileTests {
    /// A private directory that goes with the value.
    final class Place: Sendable {
        struct CannotPrepare: Error {}

        let path: String

        init() throws {
            var template = Array("/tmp/pki-tests-XXXXXX".utf8CString)
            guard let made = unsafe mkdtemp(&template) else { throw CannotPrepare() }
            path = unsafe String(cString: made)
        }

        deinit { Self.remove(path) }

        /// The names in the directory, sorted, without `.` and `..`.
        func names(in directory: String = "") -> [String] { Self.names(in: "\(path)/\(directory)") }

        func mode(of name: String) -> mode_t { status(of: name).st_mode & 0o7777 }

        func inode(of name: String) -> ino_t { status(of: name).st_ino }

        func isLink(_ name: String) -> Bool { status(of: name).st_mode & S_IFMT == S_IFLNK }

        private func status(of name: String) -> stat {
            var status = stat()
            return unsafe lstat("\(path)/\(name)", &status) == 0 ? status : stat()
        }

        func makeDirectory(_ name: String) throws {
            guard unsafe mkdir("\(path)/\(name)", 0o700) == 0 else { throw CannotPrepare() }
        }

        func link(_ name: String, to target: String) throws {
            guard unsafe symlink(target, "\(path)/\(name)") == 0 else { throw CannotPrepare() }
        }

        func write(_ text: String, to name: String, mode: mode_t = 0o600) throws {
            let file = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
            guard file >= 0 else { throw CannotPrepare() }
            defer { close(file) }
            let bytes = Array(text.utf8)
            guard unsafe Glibc.write(file, bytes, bytes.count) == bytes.count, fchmod(file, mode) == 0 else {
                throw CannotPrepare()
            }
        }

        func read(_ name: String) -> String? {
            let file = unsafe open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { return nil }
            defer { close(file) }
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = unsafe Glibc.read(file, &buffer, buffer.count)
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }

        /// Runs something in a thread with an umask of its own, so that other tests keep theirs.
        func withUmask(_ mask: mode_t, _ body: @escaping @Sendable () throws -> Void) throws {
            let task = Task(mask: mask, body: body)
            var thread = pthread_t()
            let argument = unsafe Unmanaged.passRetained(task).toOpaque()
            let started = unsafe pthread_create(
                &thread,
                nil,
                { argument in
                    if let argument = unsafe argument {
                        unsafe Unmanaged<Task>.fromOpaque(argument).takeRetainedValue().run()
                    }
                    return nil
                },
                argument
            )
            guard started == 0, pthread_join(thread, nil) == 0 else { throw CannotPrepare() }
            try task.result.withLock { $0 }?.get()
        }

        private final class Task: Sendable {
            let mask: mode_t
            let body: @Sendable () throws -> Void
            let result = Mutex<Result<Void, any Error>?>(nil)

            init(mask: mode_t, body: @escaping @Sendable () throws -> Void) {
                self.mask = mask
                self.body = body
            }

            /// Calls `unshare(CLONE_FS)`, which Swift's Glibc does not have.
            private static func stopSharingUmask() -> Bool {
                guard let function = unsafe dlsym(nil, "unshare") else { return false }
                return unsafe unsafeBitCast(function, to: (@convention(c) (CInt) -> CInt).self)(0x200) == 0
            }

            func run() {
                let outcome = Result {
                    // From here on the thread shares its umask with nobody.
                    guard Self.stopSharingUmask() else { throw CannotPrepare() }
                    umask(mask)
                    try body()
                }
                result.withLock { $0 = outcome }
            }
        }

        private static func names(in path: String) -> [String] {
            guard let listing = unsafe opendir(path) else { return [] }
            defer { unsafe closedir(listing) }
            var names: [String] = []
            while let entry = unsafe readdir(listing) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                    unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
                }
                if name != ".", name != ".." { names.append(name) }
            }
            return names.sorted()
        }

        private static func remove(_ path: String) {
            // Not into a link, which may lead to a directory that is not ours.
            if unsafe unlink(path) == 0 { return }
            for name in names(in: path) { remove("\(path)/\(name)") }
            unsafe rmdir(path)
        }
    }
}
