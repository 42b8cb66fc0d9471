// SPDX-License-Identifier: Apache-2.0

/// An error that says what is wrong and how to fix it.
public protocol ExplainedError: Error, CustomStringConvertible {
    /// What is wrong: the thing and the rule it breaks. Lower case, no full stop, no secret.
    var message: String { get }

    /// How to fix it, if there is one way to name; a command where possible.
    var hint: String? { get }
}

extension ExplainedError {
    /// The message without the hint.
    public var description: String { message }
}

/// The error type of each module: a code to decide by, a message to read and a hint.
public struct CodedError<Code: Hashable & Sendable>: ExplainedError, Equatable {
    /// The kind of failure.
    public let code: Code

    /// What is wrong.
    public let message: String

    /// How to fix it.
    public let hint: String?

    /// Creates an error; the message is in lower case and without a full stop.
    public init(_ code: Code, _ message: String, hint: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
    }
}

/// The number of characters that must be added, left out, replaced or swapped with their neighbour to make one word of the
/// other.
package func editDistance(_ word: String, _ other: String) -> Int {
    let (word, other) = (Array(word), Array(other))
    var rows = [Array(0...other.count)]
    for (row, letter) in word.enumerated() {
        var next = [row + 1]
        for (column, candidate) in other.enumerated() {
            let replaced = rows[row][column] + (letter == candidate ? 0 : 1)
            var least = min(rows[row][column + 1] + 1, next[column] + 1, replaced)
            if row > 0, column > 0, letter == other[column - 1], word[row - 1] == candidate {
                least = min(least, rows[row - 1][column - 1] + 1)
            }
            next.append(least)
        }
        rows.append(next)
    }
    return rows[word.count][other.count]
}

/// The word that is nearest to another, in whatever case; the first in the alphabet of several. `nil` if more than three
/// characters, or a third of them, are wrong, and for a word of more than 100 characters.
package func nearestWord(to word: String, in words: some Sequence<String>) -> String? {
    guard word.count <= 100 else { return nil }
    let limit = min(3, word.count / 3)
    return words.map { (distance: editDistance(word.lowercased(), $0.lowercased()), word: $0) }
        .filter { $0.distance <= limit }.min { $0 < $1 }?.word
}
