// SPDX-License-Identifier: Apache-2.0

/// A table of text.
///
/// Columns are as wide as their widest cell; those without any text are left out. On a terminal that is too narrow, columns
/// that may be shortened are, the widest first, and if that is not enough, columns are omitted in the order that they have.
/// Control characters are escaped. All cells are in one buffer, so that 100,000 rows are printed quickly.
struct Table: Sendable {
    struct Column: Sendable {
        var heading: String
        var isRightAligned: Bool
        /// Whether cells may be cut off, with "…" at the end.
        var canBeShortened: Bool
        /// When the column is omitted on a narrow terminal: that with the lowest number first; `nil` for never.
        var omission: Int?

        init(_ heading: String, isRightAligned: Bool = false, canBeShortened: Bool = false, omission: Int? = nil) {
            self.heading = heading
            self.isRightAligned = isRightAligned
            self.canBeShortened = canBeShortened
            self.omission = omission
        }
    }

    /// A cell, which begins in the buffer where the one before ends. It has eight bytes, as there may be a million.
    private struct Cell {
        var length: UInt32
        var width: UInt16
        var style: TextStyle?
    }

    private static let chunkSize = 1 << 16
    private static let gap = 2
    private static let shortestColumn = 8

    private let columns: [Column]
    private var text: [UInt8] = []
    private var cells: [Cell] = []
    private var widths: [Int]
    /// Whether each column has a cell with text below its heading.
    private var isFilled: [Bool]
    private var next = 0

    /// Creates a table without rows and with at least one column.
    init(_ columns: [Column]) {
        self.columns = columns
        widths = columns.map { _ in 0 }
        isFilled = columns.map { _ in false }
        for column in columns { add(column.heading, .bold) }
        isFilled = columns.map { $0.omission == nil }
    }

    /// Adds the next cell, in a new row if the last row is full.
    mutating func add(_ cell: String, _ style: TextStyle? = nil) {
        let start = text.count
        let width = text.append(showing: cell)
        cells.append(Cell(length: UInt32(clamping: text.count - start), width: UInt16(clamping: width), style: style))
        if width > widths[next] { widths[next] = width }
        if width > 0 { isFilled[next] = true }
        next = next + 1 == columns.count ? 0 : next + 1
    }

    mutating func add(_ number: Int, _ style: TextStyle? = nil) { add(String(number), style) }

    /// The lines in UTF-8, each with its end.
    func encoded(for features: TerminalFeatures) -> [UInt8] {
        var lines: [UInt8] = []
        write(for: features) { lines += $0 }
        return lines
    }

    /// Writes the lines in chunks of whole lines.
    ///
    /// - Parameters:
    ///   - features: What the output can show.
    ///   - order: The positions of the rows in the order of the lines; by default, that in which they were added.
    ///   - output: Takes the chunks.
    func write<Failure: Error>(
        for features: TerminalFeatures, in order: [Int]? = nil, to output: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        let widths = widths(within: features.width)
        var lines: [UInt8] = []
        lines.reserveCapacity(Self.chunkSize * 5 / 4)
        var end = 0
        var column = 0
        // Blanks are written only if text follows them.
        var blanks = 0
        let ellipsis = features.hasUnicode ? "…" : "~"
        let starts = order.map { _ in startsOfRows() }
        for line in 0..<(cells.count + columns.count - 1) / columns.count {
            // The headings are the first row.
            let row = line == 0 ? 0 : 1 + (order?[line - 1] ?? line - 1)
            if let starts { end = Int(starts[row]) }
            for cell in cells[row * columns.count..<min((row + 1) * columns.count, cells.count)] {
                let start = end
                end += Int(cell.length)
                if let width = widths[column] {
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
                            lines += ellipsis.utf8
                            // Half of a wide character cannot be shown.
                            blanks = width - shownWidth
                        }
                        if style != nil { lines += TextStyle.end }
                    }
                    if !columns[column].isRightAligned { blanks += missing }
                    blanks += Self.gap
                }
                column += 1
            }
            lines.append(0x0a)
            (column, blanks) = (0, 0)
            if lines.count >= Self.chunkSize {
                try output(lines)
                lines.removeAll(keepingCapacity: true)
            }
        }
        if !lines.isEmpty { try output(lines) }
    }

    /// Where the text of each row begins.
    private func startsOfRows() -> [UInt32] {
        var starts: [UInt32] = []
        starts.reserveCapacity(cells.count / columns.count + 1)
        var end: UInt32 = 0
        for (index, cell) in cells.enumerated() {
            if index % columns.count == 0 { starts.append(end) }
            end += cell.length
        }
        return starts
    }

    /// The widths of the columns in a line of at most `limit` columns, as far as columns may be shortened or omitted. `nil`
    /// for a column that is left out.
    private func widths(within limit: Int?) -> [Int?] {
        var shown = columns.indices.filter { isFilled[$0] }
        var result: [Int?] = widths.indices.map { isFilled[$0] ? widths[$0] : nil }
        guard let limit else { return result }
        func shortest(_ index: Int) -> Int {
            columns[index].canBeShortened ? min(widths[index], Self.shortestColumn) : widths[index]
        }
        while shown.map(shortest).reduce(0, +) + Self.gap * (shown.count - 1) > limit,
            let least = shown.filter({ columns[$0].omission != nil }).min(by: {
                columns[$0].omission ?? 0 < columns[$1].omission ?? 0
            })
        {
            shown.removeAll { $0 == least }
            result[least] = nil
        }
        var excess = shown.map { widths[$0] }.reduce(0, +) + Self.gap * (shown.count - 1) - limit
        while excess > 0 {
            // The widest is shortened to the width of the second, or by its share of the excess.
            let candidates = shown.filter { columns[$0].canBeShortened && result[$0] ?? 0 > Self.shortestColumn }
            guard let widest = candidates.compactMap({ result[$0] }).max() else { break }
            let group = candidates.filter { result[$0] == widest }
            let second = candidates.compactMap { result[$0] }.filter { $0 < widest }.max() ?? Self.shortestColumn
            let share = max(1, min(widest - second, excess / group.count))
            for index in group where excess > 0 {
                result[index] = widest - share
                excess -= share
            }
        }
        return result
    }

    /// The beginning of a cell that leaves room for an ellipsis, and the number of columns of both.
    private func shortened(_ range: Range<Int>, _ width: Int, to limit: Int) -> ([UInt8], width: Int) {
        if range.count == width { return (Array(text[range].prefix(limit - 1)), limit) }
        var result: [UInt8] = []
        var count = 1
        for scalar in String(decoding: text[range], as: UTF8.self).unicodeScalars {
            guard count + scalar.displayWidth <= limit else { break }
            count += scalar.displayWidth
            result += UTF8.encode(scalar) ?? .init()
        }
        return (result, count)
    }
}

/// Comma-separated values (RFC 4180) with a line of headings; lines end in LF, and each row is one line.
///
/// A field that a spreadsheet would read as a formula, because it begins with `=`, `+`, `-` or `@`, gets an apostrophe in front,
/// which spreadsheets do not show; numbers do not need it. Control characters are escaped as in JSON.
struct CSVWriter: Sendable {
    private var bytes: [UInt8] = []
    private let columnCount: Int
    private var next = 0
    private var isFirst = true

    init(_ columns: [String]) {
        columnCount = columns.count
        for column in columns { add(column) }
    }

    /// Adds the next field, in a new row if the last row is full.
    mutating func add(_ text: String) {
        separate()
        let start = bytes.count
        if let first = text.utf8.first, "=+-@".utf8.contains(first) { bytes.append(UInt8(ascii: "'")) }
        bytes.append(showing: text)
        let field = bytes[start...]
        let needsQuotes = field.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: ",") }
        // A row of one empty field must not be an empty line.
        guard needsQuotes || field.first == 0x20 || field.last == 0x20 || field.isEmpty && columnCount == 1 else {
            return
        }
        let quoted = field.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] }
        bytes.replaceSubrange(start..., with: [UInt8(ascii: "\"")] + quoted + [UInt8(ascii: "\"")])
    }

    mutating func add(_ number: Int) {
        separate()
        bytes += String(number).utf8
    }

    /// Removes and returns the complete rows so far, without the end of the last one. Call it between rows.
    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    /// The rows in UTF-8, each with its end.
    consuming func encoded() -> [UInt8] {
        bytes.append(0x0a)
        return bytes
    }

    private mutating func separate() {
        if !isFirst { bytes.append(next == 0 ? 0x0a : UInt8(ascii: ",")) }
        isFirst = false
        next = next + 1 == columnCount ? 0 : next + 1
    }
}
