// SPDX-License-Identifier: Apache-2.0

/// Rows of cells under headings, to be read by a person.
///
/// Columns are as wide as their widest cell. On a terminal that is too narrow, those columns are shortened that may be, the
/// widest first; elsewhere nothing is. What could steer the terminal is escaped.
///
/// All cells are in one buffer, so that a hundred thousand rows are printed without anybody waiting.
struct Table: Sendable {
    /// A column.
    struct Column: Sendable {
        /// What stands above it.
        var heading: String
        /// Whether its cells stand at the right, as numbers do.
        var isRightAligned = false
        /// Whether its cells may be cut off, with "…" at the end.
        var canBeShortened = false

        /// Makes a column.
        ///
        /// - Parameters:
        ///   - heading: What stands above it.
        ///   - isRightAligned: Whether its cells stand at the right.
        ///   - canBeShortened: Whether its cells may be cut off.
        init(_ heading: String, isRightAligned: Bool = false, canBeShortened: Bool = false) {
            self.heading = heading
            self.isRightAligned = isRightAligned
            self.canBeShortened = canBeShortened
        }
    }

    /// A cell, which begins in the buffer where the one before ends: eight bytes, for there may be a million of them.
    private struct Cell {
        var length: UInt32
        var width: UInt16
        var style: TextStyle?
    }

    /// So much is put together before it is written.
    private static let chunkSize = 1 << 16

    /// The blanks between columns.
    private static let gap = 2
    private static let ellipsis = Array("…".utf8)

    /// What a column that may be shortened keeps.
    private static let shortest = 8

    private let columns: [Column]
    private var text: [UInt8] = []
    private var cells: [Cell] = []
    private var widths: [Int]
    private var next = 0

    /// Makes a table without rows.
    ///
    /// - Parameter columns: The columns, at least one.
    init(_ columns: [Column]) {
        self.columns = columns
        widths = columns.map { _ in 0 }
        for column in columns { add(column.heading, .bold) }
    }

    /// Adds the next cell, in a new row when the row before has all of its cells.
    ///
    /// - Parameters:
    ///   - cell: The text of the cell.
    ///   - style: How it stands out.
    mutating func add(_ cell: String, _ style: TextStyle? = nil) {
        let start = text.count
        let width = text.append(showing: cell)
        cells.append(
            Cell(length: UInt32(clamping: text.count - start), width: UInt16(clamping: width), style: style)
        )
        if width > widths[next] { widths[next] = width }
        next = next + 1 == columns.count ? 0 : next + 1
    }

    /// Adds the next cell.
    ///
    /// - Parameters:
    ///   - number: The number to show.
    ///   - style: How it stands out.
    mutating func add(_ number: Int, _ style: TextStyle? = nil) { add(String(number), style) }

    /// The table as lines of text.
    ///
    /// - Parameter features: What shows them.
    /// - Returns: The lines in UTF-8, each with its end.
    func encoded(for features: TerminalFeatures) -> [UInt8] {
        var lines: [UInt8] = []
        write(for: features) { lines += $0 }
        return lines
    }

    /// Writes the table as lines of text.
    ///
    /// - Parameters:
    ///   - features: What shows them.
    ///   - output: Called with some of the lines in UTF-8, each with its end, until all are written.
    /// - Throws: What the output throws, after which it is not called again.
    func write<Failure: Error>(
        for features: TerminalFeatures,
        to output: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        let widths = widths(within: features.width)
        var lines: [UInt8] = []
        lines.reserveCapacity(Self.chunkSize * 5 / 4)
        var end = 0
        var column = 0
        // Blanks are written when something follows them.
        var blanks = 0
        for cell in cells {
            let start = end
            end += Int(cell.length)
            let width = widths[column]
            let missing = width - min(Int(cell.width), width)
            if columns[column].isRightAligned { blanks += missing }
            if start < end {
                lines.append(contentsOf: repeatElement(0x20, count: blanks))
                blanks = 0
                let style = features.hasStyles ? cell.style : nil
                if let style { lines += style.start }
                if Int(cell.width) <= width {
                    lines += text[start..<end]
                } else {
                    let (beginning, shownWidth) = shortened(start..<end, Int(cell.width), to: width)
                    lines += beginning
                    // Half of a wide character cannot be shown.
                    blanks = width - shownWidth
                }
                if style != nil { lines += TextStyle.end }
            }
            if !columns[column].isRightAligned { blanks += missing }
            blanks += Self.gap
            column += 1
            if column == columns.count {
                lines.append(0x0a)
                (column, blanks) = (0, 0)
                if lines.count >= Self.chunkSize {
                    try output(lines)
                    lines.removeAll(keepingCapacity: true)
                }
            }
        }
        if column > 0 { lines.append(0x0a) }
        if !lines.isEmpty { try output(lines) }
    }

    /// The widths of the columns in a line of some width, as far as columns may be shortened.
    private func widths(within limit: Int?) -> [Int] {
        guard let limit else { return widths }
        let total = widths.reduce(0, +) + Self.gap * (columns.count - 1)
        var excess = total - limit
        var result = widths
        while excess > 0 {
            // The widest gives up what it has more than the second, or its share of what is left.
            let candidates = columns.indices.filter { columns[$0].canBeShortened && result[$0] > Self.shortest }
            guard let widest = candidates.map({ result[$0] }).max() else { break }
            let group = candidates.filter { result[$0] == widest }
            let second = candidates.map { result[$0] }.filter { $0 < widest }.max() ?? Self.shortest
            let share = max(1, min(widest - second, excess / group.count))
            for index in group where excess > 0 {
                result[index] -= share
                excess -= share
            }
        }
        return result
    }

    /// The beginning of a cell and a mark that there was more, and how many columns both take.
    private func shortened(_ range: Range<Int>, _ width: Int, to limit: Int) -> ([UInt8], width: Int) {
        if range.count == width { return (text[range].prefix(limit - 1) + Self.ellipsis, limit) }
        var result: [UInt8] = []
        var count = 1
        for scalar in String(decoding: text[range], as: UTF8.self).unicodeScalars {
            guard count + scalar.displayWidth <= limit else { break }
            count += scalar.displayWidth
            result += UTF8.encode(scalar) ?? .init()
        }
        return (result + Self.ellipsis, count)
    }
}
