// SPDX-License-Identifier: Apache-2.0

/// One moment of a long piece of work, as a line of text.
struct ProgressLine: Sendable {
    /// What is done to each: `issued`.
    var verb: String
    /// How many are done.
    var done: Int
    /// How many of them were done before the work began.
    var doneBefore: Int
    /// How many there are.
    var total: Int
    /// How long the work has taken.
    var elapsed: Duration

    /// The most columns that the bar takes.
    private static let longestBar = 40
    private static let shortestBar = 10

    /// The line, in ASCII.
    ///
    /// - Parameter width: How many columns there are. A bar, the rate and the time left are shown when they fit.
    /// - Returns: At most so many characters.
    func text(within width: Int) -> String {
        let digits = String(done)
        let blanks = String(repeating: " ", count: max(0, String(total).count - digits.count))
        let count = "\(verb) \(blanks)\(digits) of \(total)"
        let end = ends.first { count.count + $0.count <= width } ?? ""
        let room = width - count.count - end.count - 3
        guard room >= Self.shortestBar, total > 0 else { return String((count + end).prefix(max(0, width))) }
        let length = min(room, Self.longestBar)
        let filled = min(length, max(0, length * done / total))
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: length - filled)
        return "\(count) [\(bar)]\(end)"
    }

    /// How many there are in a second; nothing is known in the first.
    private var perSecond: Double {
        let seconds = Self.seconds(elapsed)
        return seconds < 1 ? 0 : Double(done - doneBefore) / seconds
    }

    /// What stands behind the bar, the longest first.
    private var ends: [String] {
        let perSecond = perSecond
        // Below that the time left is no more than a guess.
        guard perSecond > 0.05 else { return [""] }
        let rate = perSecond >= 10 ? "\(Int(perSecond.rounded()))" : "\((perSecond * 10).rounded() / 10)"
        let timeLeft = Self.text(of: .seconds(Double(max(0, total - done)) / perSecond))
        return [", \(rate)/s, \(timeLeft) left", ", \(timeLeft) left", ""]
    }

    /// A time in the two largest units that matter: `9 s`, `3 min 20 s`, `2 h 5 min`.
    static func text(of time: Duration) -> String {
        let seconds = Int(Self.seconds(time).rounded())
        switch seconds {
        case ..<60: return "\(max(0, seconds)) s"
        case ..<3600: return seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds / 60) min \(seconds % 60) s"
        default:
            let minutes = seconds / 60 % 60
            return minutes == 0 ? "\(seconds / 3600) h" : "\(seconds / 3600) h \(minutes) min"
        }
    }

    private static func seconds(_ time: Duration) -> Double {
        Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
    }
}
