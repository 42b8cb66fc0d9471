// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// What a stream can show, as far as the form of the output depends on it.
struct TerminalFeatures: Equatable, Sendable {
    /// How many columns a line has; nothing when the stream is no terminal, so that lines may be as long as they like.
    var width: Int?

    /// Whether text may have colours.
    var hasStyles: Bool

    /// Whether a line can be drawn again in its place.
    var canRedraw: Bool

    /// A file or a pipe.
    static let none = TerminalFeatures(width: nil, hasStyles: false, canRedraw: false)

    /// Looks at a stream.
    ///
    /// - Parameters:
    ///   - descriptor: The stream.
    ///   - environment: The process's own.
    init(of descriptor: CInt, environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard isatty(descriptor) == 1 else {
            self = .none
            return
        }
        var window = winsize()
        let isKnown = unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0
        self.init(windowWidth: isKnown ? Int(window.ws_col) : 0, environment: environment)
    }

    /// Says what a terminal can show.
    ///
    /// - Parameters:
    ///   - windowWidth: The columns of its window; 0 when it does not know.
    ///   - environment: `COLUMNS` says better how wide it is; `NO_COLOR`, with any value, and `TERM=dumb` rule colours out.
    init(windowWidth: Int, environment: [String: String]) {
        let told = environment["COLUMNS"].flatMap(Int.init) ?? 0
        let isDumb = (environment["TERM"] ?? "dumb") == "dumb"
        self.init(
            width: [told, windowWidth, 80].first { (1...10_000).contains($0) },
            hasStyles: !isDumb && (environment["NO_COLOR"] ?? "").isEmpty,
            canRedraw: !isDumb
        )
    }

    private init(width: Int?, hasStyles: Bool, canRedraw: Bool) {
        (self.width, self.hasStyles, self.canRedraw) = (width, hasStyles, canRedraw)
    }
}
