// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// A command that could not be run.
package struct CommandError: ExplainedError {
    package let message: String
    package let hint: String?
    /// As in shells: 127 if the command does not exist, 126 if it cannot be run.
    package let status: CInt

    fileprivate init(_ command: String, _ reason: CInt) {
        message = "the command \(printable(command)) cannot be run: \(systemErrorText(reason))"
        hint = reason == ENOENT ? "check its spelling and the PATH" : nil
        status = reason == ENOENT ? 127 : 126
    }
}

/// A command in another process, or one that replaces this process.
package struct ChildProcess: Sendable {
    /// How a process ended.
    package enum End: Sendable {
        case exited(CInt)
        case signalled(CInt)

        package var isSuccess: Bool { if case .exited(0) = self { true } else { false } }

        /// Ends this process in the same way.
        package func repeated() -> Never {
            switch self {
            case .exited(let status): _exit(status)
            case .signalled(let number):
                ChildProcess.restoreSignals()
                // raise() signals this thread: a signal to the process might arrive later, in another one.
                raise(number)
                _exit(128 + number)
            }
        }
    }

    private let identifier: pid_t

    /// Starts a command, found on the PATH, with this environment. It inherits nothing that carried a secret to this process.
    ///
    /// - Parameters:
    ///   - command: The command and its arguments.
    ///   - environment: Its environment.
    ///   - input: The descriptor of its standard input; `nil` for that of this process.
    package init(_ command: [String], environment: [String: String], input: CInt? = nil) throws(CommandError) {
        Self.hideSecretDescriptors()
        let environment = Self.withoutSecrets(environment)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // The command starts with the signals of a command, whatever this process does with its own.
        var signals = sigset_t()
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        if let input { unsafe posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) }
        var identifier = pid_t()
        // The command gets its parent's limit. GuardedMemory keeps this process from dumping core meanwhile.
        CoreDumps.allow()
        defer { CoreDumps.forbid() }
        let status = unsafe Self.withCStrings(command) { arguments in
            unsafe Self.withCStrings(environment.map { "\($0)=\($1)" }) { variables in
                unsafe posix_spawnp(&identifier, command[0], &actions, &attributes, arguments, variables)
            }
        }
        guard status == 0 else { throw CommandError(command[0], status) }
        self.identifier = identifier
    }

    package static var openDescriptors: Set<CInt> {
        Set((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.compactMap { CInt($0) } ?? [])
    }

    /// Closes descriptors for commands started from now on, except those that were open when this process began.
    package static func closeDescriptorsOnExec(except inherited: Set<CInt>) {
        for descriptor in openDescriptors.subtracting(inherited) where descriptor > STDERR_FILENO {
            ThisProcess.closeOnExec(descriptor)
        }
    }

    /// The environment of a command, without the variables that a secret was read from.
    private static func withoutSecrets(_ environment: [String: String]) -> [String: String] {
        let own = ProcessInfo.processInfo.environment
        let secrets = SecretOrigins.variables
        // A variable with another value is no longer the secret.
        return environment.filter { !secrets.contains($0.key) || own[$0.key] != $0.value }
    }

    /// Closes the descriptors that a secret was read from for commands. Standard streams, which every program has, become
    /// /dev/null; a terminal stays.
    private static func hideSecretDescriptors() {
        let named = SecretOrigins.descriptors
        let others = named.isEmpty ? [] : openDescriptors.filter { $0 > STDERR_FILENO }
        // All of them are known before the first is changed: they are recognised by what they have in common.
        let carriers = named.union(others).filter(SecretOrigins.carriesSecret)
        for descriptor in carriers {
            if descriptor > STDERR_FILENO {
                ThisProcess.closeOnExec(descriptor)
            } else if fcntl(descriptor, F_GETFD) >= 0, !Terminal.isTerminal(descriptor) {
                let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
                guard null >= 0 else { continue }
                dup2(null, descriptor)
                close(null)
            }
        }
    }

    /// Replaces this process by a command, found on the PATH, with this environment. It inherits nothing that carried a
    /// secret to this process. Returns only the reason of a failure.
    package static func replace(by command: [String], environment: [String: String]) -> CommandError {
        restoreSignals()
        hideSecretDescriptors()
        let environment = withoutSecrets(environment)
        CoreDumps.allow()
        clearenv()
        for (name, value) in environment { unsafe setenv(name, value, 1) }
        let reason = unsafe withCStrings(command) { arguments in
            _ = unsafe execvp(command[0], arguments)
            return errno
        }
        return CommandError(command[0], reason)
    }

    /// Runs a command in /bin/sh, with its output on standard error, and returns its exit status: 128 plus the signal's number
    /// if a signal ended it.
    package static func runShell(_ text: String, environment: [String: String]) async throws -> CInt {
        switch try await ChildProcess(["/bin/sh", "-c", "exec >&2\n\(text)"], environment: environment).wait() {
        case .exited(let status): status
        case .signalled(let number): 128 + number
        }
    }

    /// Runs a command in /bin/sh with a text as its input, and returns how it ended; `nil` if it could not be started.
    /// Meanwhile the terminal's signals are the command's alone. What it does not read is lost.
    package static func runShell(_ text: String, reading input: [UInt8], environment: [String: String]) -> End? {
        var ends: [CInt] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return nil }
        for end in ends { ThisProcess.closeOnExec(end) }
        let former = [SIGINT, SIGQUIT].map { (number: $0, handler: signal($0, SIG_IGN)) }
        defer { for (number, handler) in former { signal(number, handler) } }
        let child = try? ChildProcess(["/bin/sh", "-c", text], environment: environment, input: ends[0])
        close(ends[0])
        if child != nil { _ = writeAll(input, to: ends[1]) }
        close(ends[1])
        return child?.waitBlocking()
    }

    /// Forwards a signal, unless a terminal has sent it to the command too.
    package func send(_ number: CInt) {
        if number == SIGINT || number == SIGQUIT, Terminal.isInForeground { return }
        kill(identifier, number)
    }

    /// Waits for the command on a thread that may block.
    package func wait() async -> End {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: waitBlocking()) }
        }
    }

    /// Waits for the command on this thread. A process is waited for once.
    package func waitBlocking() -> End {
        var status: CInt = 0
        while unsafe waitpid(identifier, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        return signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
    }

    /// Resets every signal: what is ignored here would stay ignored in a command.
    private static func restoreSignals() {
        for number in 1..<CInt(32) where number != SIGKILL && number != SIGSTOP { signal(number, SIG_DFL) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigprocmask(SIG_SETMASK, &none, nil)
    }

    /// Lends a nil-terminated array of C strings.
    private static func withCStrings<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = unsafe texts.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        return unsafe body(copies + [nil])
    }
}

/// Whether the system may write this process's memory to a file when it crashes.
package enum CoreDumps {
    /// The limit of this process's parent.
    private static let inherited = Mutex<rlimit?>(nil)

    /// Forbids it from now on, for this process and the commands that it starts.
    package static func forbid() {
        var limit = rlimit()
        guard unsafe getrlimit(resource, &limit) == 0 else { return }
        inherited.withLock { $0 = $0 ?? limit }
        limit.rlim_cur = 0
        unsafe setrlimit(resource, &limit)
    }

    /// Restores the parent's limit for a command that is about to start.
    static func allow() {
        guard var limit = inherited.withLock({ $0 }) else { return }
        unsafe setrlimit(resource, &limit)
    }

    private static let resource = __rlimit_resource_t(RLIMIT_CORE.rawValue)
}
