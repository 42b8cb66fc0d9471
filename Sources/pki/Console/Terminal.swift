// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport

/// The terminal that a person sits at, whatever standard input and output are.
enum Terminal {
    /// The longest secret that is read.
    private static let limit = 1024

    /// Asks for a secret without showing what is typed.
    ///
    /// - Parameter prompt: The question, without a colon.
    /// - Returns: The answer; nothing when there is no terminal, or the answer is empty.
    /// - Throws: ``InputError`` when the terminal cannot be kept from showing it.
    static func askSecret(_ prompt: String) throws -> SecretBytes? {
        let terminal = unsafe open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else { return nil }
        defer { close(terminal) }
        var shown = termios()
        guard unsafe tcgetattr(terminal, &shown) == 0 else { return nil }
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO)
        hidden.c_lflag |= tcflag_t(ECHONL | ICANON | ISIG)
        guard unsafe tcsetattr(terminal, TCSAFLUSH, &hidden) == 0 else {
            throw InputError(message: "the terminal cannot be kept from showing what is typed")
        }
        // A signal that ends the process meanwhile must not leave the terminal mute.
        let restoration = TerminalRestoration(terminal, shown)
        defer { restoration.restore() }
        let question = terminalSafe("pki: \(prompt): ")
        unsafe write(terminal, question, question.utf8.count)
        let answer = unsafe SecretBytes(capacity: limit) { buffer in
            var count = 0
            while count < limit, let base = buffer.baseAddress {
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
}

/// Gives a terminal its former settings back, also when a signal ends the process.
private struct TerminalRestoration {
    private let former: [(signal: CInt, handler: @convention(c) (CInt) -> Void)]

    init(_ terminal: CInt, _ settings: termios) {
        unsafe TerminalState.descriptor = terminal
        unsafe TerminalState.settings = settings
        former = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].compactMap { number in
            let handler = signal(number) { number in
                unsafe tcsetattr(TerminalState.descriptor, TCSAFLUSH, &TerminalState.settings)
                signal(number, SIG_DFL)
                raise(number)
            }
            return handler.map { (number, $0) }
        }
    }

    func restore() {
        unsafe tcsetattr(TerminalState.descriptor, TCSAFLUSH, &TerminalState.settings)
        for (number, handler) in former { signal(number, handler) }
    }
}

/// What a signal's handler can reach.
private enum TerminalState {
    // SAFETY: written before the handler is set, by the one thread that asks.
    nonisolated(unsafe) static var descriptor: CInt = -1
    nonisolated(unsafe) static var settings = termios()
}
