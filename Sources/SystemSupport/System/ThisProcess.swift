// SPDX-License-Identifier: Apache-2.0

internal import CLibraries
import FoundationEssentials
internal import Glibc

/// This process and the machine that it runs on.
package enum ThisProcess {
    package static var identifier: CInt { getpid() }

    /// The user who started it. ``FileStatus/ownUser`` is the one that it acts for.
    package static var user: UInt32 { getuid() }

    /// `nil` if the system does not know it.
    package static var hostName: String? {
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return nil }
        return text(of: name)
    }

    /// The number of processors that are available.
    package static var processorCount: Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }

    /// The path of the program's file, without links.
    package static var executablePath: String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe readlink("/proc/self/exe", &path, path.count)
        return String(decoding: path.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Microseconds of CLOCK_MONOTONIC.
    package static var monotonicMicroseconds: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }

    /// The environment variables of these names that are set. Foundation would read all variables each time.
    package static func variables(_ names: String...) -> [String: String] {
        var values: [String: String] = [:]
        for name in names { if let value = unsafe getenv(name) { values[name] = unsafe String(cString: value) } }
        return values
    }

    /// Reads an environment variable into memory that is wiped; `nil` if it is not set. No child process gets it.
    package static func secret(inVariable name: String) -> SecretBytes? {
        SecretOrigins.add(variable: name)
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe SecretBytes(UnsafeRawBufferPointer(start: value, count: strlen(value)))
    }

    /// The position of the first argument that is not UTF-8: it would be read with replacement characters, as another name.
    package static var undecodableArgument: Int? {
        (1..<max(1, Int(CommandLine.argc))).first { index in
            unsafe CommandLine.unsafeArgv[index].map { unsafe String(validatingCString: $0) == nil } ?? false
        }
    }

    /// The first environment variable of those that `isRead` names whose value is not UTF-8.
    package static func undecodableVariable(where isRead: (String) -> Bool) -> String? {
        var names: [String] = []
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            unsafe next += 1
            guard unsafe String(validatingCString: entry) == nil, let end = unsafe strchr(entry, 0x3d) else { continue }
            let name = unsafe UnsafeRawBufferPointer(start: entry, count: UnsafeMutablePointer(end) - entry)
            unsafe names.append(String(decoding: name, as: UTF8.self))
        }
        return names.sorted().first(where: isRead)
    }

    /// Blocks the thread.
    package static func sleep(for duration: Duration) {
        let (seconds, attoseconds) = duration.components
        var time = timespec(tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
        var rest = timespec()
        while unsafe nanosleep(&time, &rest) != 0, errno == EINTR { time = rest }
    }

    /// Makes a write to a closed pipe, or beyond the limit on a file's size, fail instead of ending the process.
    package static func ignoreWriteSignals() {
        signal(SIGXFSZ, SIG_IGN)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Raises the number of files and connections that may be open at once, as far as the system allows. Debian gives a program
    /// 1,024 of which it may have more.
    package static func allowOpenFiles(_ count: UInt) {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard unsafe getrlimit(resource, &limit) == 0, limit.rlim_cur < count else { return }
        limit.rlim_cur = min(count, limit.rlim_max)
        unsafe setrlimit(resource, &limit)
    }

    /// Ends the process at once, without running what libraries registered with `atexit`.
    package static func exit(_ status: CInt) -> Never { _exit(status) }

    /// Closes a descriptor for programs that are started from now on. Returns whether it is open.
    @discardableResult package static func closeOnExec(_ descriptor: CInt) -> Bool {
        let flags = fcntl(descriptor, F_GETFD)
        return flags >= 0 && fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) >= 0
    }

    private static func text(of name: [CChar]) -> String {
        String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// A shared library, opened at run time and never closed.
@safe package struct DynamicLibrary {
    /// Why a library cannot be opened, in the loader's words.
    package struct LoadingError: Error {
        package let reason: String
    }

    private let handle: UnsafeMutableRawPointer

    /// - Parameter isLazy: Whether functions are looked up when they are first called: faster, but a missing one ends the process.
    package init(_ file: String, isLazy: Bool) throws(LoadingError) {
        // The library may bring libcrypto along, whose memory can be guarded only before it is used.
        pki_open_libcrypto_first()
        guard let handle = unsafe dlopen(file, (isLazy ? RTLD_LAZY : RTLD_NOW) | RTLD_LOCAL) else {
            let text = unsafe dlerror().map { unsafe printable(String(cString: $0), limit: 300) }
            throw LoadingError(reason: text ?? "no reason given")
        }
        unsafe self.handle = unsafe handle
    }

    /// The address of a function; `nil` if the library has none of the name.
    @unsafe package func symbol(_ name: String) -> UnsafeMutableRawPointer? { unsafe dlsym(handle, name) }
}
