// SPDX-License-Identifier: Apache-2.0

/// Finds the word that a writer meant.
enum Spelling {
    /// The word that is nearest to another.
    ///
    /// - Parameters:
    ///   - word: The word as written.
    ///   - words: What it may have been.
    /// - Returns: The nearest but for case, and the first of them in the alphabet; nothing when more than three letters,
    ///   or a third of them, are wrong.
    static func nearest(to word: String, in words: some Sequence<String>) -> String? {
        let limit = min(3, word.count / 3)
        guard word.count <= 100 else { return nil }
        return words.map { (distance: distance(word.lowercased(), $0.lowercased()), word: $0) }
            .filter { $0.distance <= limit }.min { $0 < $1 }?.word
    }

    /// How many letters must be put in, left out or replaced (Levenshtein).
    private static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (index, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let replaced = diagonal + (letter == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
