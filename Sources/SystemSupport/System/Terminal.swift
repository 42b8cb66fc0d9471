// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// The descriptors that every program has.
package enum StandardStream {
    package static let input = STDIN_FILENO
    package static let output = STDOUT_FILENO
    package static let error = STDERR_FILENO
}

/// Terminals by their descriptors, and the user's terminal, wherever standard input and output are redirected.
package enum Terminal {
    private static let longestSecret = 1024

    package static func isTerminal(_ descriptor: CInt) -> Bool { isatty(descriptor) == 1 }

    /// The number of columns of a terminal's window, 0 if unknown; `nil` if the descriptor is not a terminal.
    package static func windowWidth(of descriptor: CInt) -> Int? {
        guard isTerminal(descriptor) else { return nil }
        var window = winsize()
        return unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0 ? Int(window.ws_col) : 0
    }

    /// Asks for a secret without showing what is typed. Returns `nil` if there is no terminal, or the answer is empty.
    package static func askSecret(_ prompt: String) throws(FileError) -> SecretBytes? {
        let terminal = unsafe open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else { return nil }
        defer { close(terminal) }
        var shown = termios()
        guard unsafe tcgetattr(terminal, &shown) == 0 else { return nil }
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO)
        hidden.c_lflag |= tcflag_t(ECHONL | ICANON | ISIG)
        guard unsafe tcsetattr(terminal, TCSAFLUSH, &hidden) == 0 else {
            throw FileError(.system, "cannot turn off the terminal's echo", number: errno)
        }
        // A signal that ends the process must not leave the echo off.
        let restoration = Restoration(terminal, shown)
        defer { restoration.restore() }
        _ = writeAll(Array(terminalSafe("pki: \(prompt): ").utf8), to: terminal)
        let answer = unsafe SecretBytes(capacity: longestSecret) { buffer in
            var count = 0
            while count < longestSecret, let base = buffer.baseAddress {
                let received = unsafe read(terminal, base + count, 1)
                if received < 0, errno == EINTR { continue }
                if received <= 0 { break }
                if unsafe buffer[count] == 0x0a { break }
                count += 1
            }
            return count
        }
        return answer.count == 0 ? nil : answer
    }

    /// Whether the terminal sends its signals to this process and its children.
    static var isInForeground: Bool {
        let terminal = unsafe open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else { return false }
        defer { close(terminal) }
        return tcgetpgrp(terminal) == getpgrp()
    }

    /// Restores a terminal's settings, also when a signal ends the process.
    private struct Restoration {
        // SAFETY: written before the signal handlers are set, by the one thread that asks.
        nonisolated(unsafe) private static var descriptor: CInt = -1
        nonisolated(unsafe) private static var settings = termios()

        private let former: [(signal: CInt, handler: @convention(c) (CInt) -> Void)]

        init(_ terminal: CInt, _ settings: termios) {
            unsafe Self.descriptor = terminal
            unsafe Self.settings = settings
            former = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].compactMap { number in
                let handler = signal(number) { number in
                    unsafe tcsetattr(Restoration.descriptor, TCSAFLUSH, &Restoration.settings)
                    signal(number, SIG_DFL)
                    raise(number)
                }
                return handler.map { (number, $0) }
            }
        }

        func restore() {
            unsafe tcsetattr(Self.descriptor, TCSAFLUSH, &Self.settings)
            for (number, handler) in former { signal(number, handler) }
        }
    }
}
