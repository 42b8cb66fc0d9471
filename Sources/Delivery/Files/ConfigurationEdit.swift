// SPDX-License-Identifier: Apache-2.0

/// One change of one section: what is to be cut out of the contents, and what comes there instead.
struct ConfigurationEdit {
    private let bytes: [UInt8]
    private let section: ConfigurationSectionName
    private let lines: [ConfigurationLine]
    private let lineEnd: [UInt8]
    /// In the order of the places, which do not overlap.
    private var replacements: [(range: Range<Int>, text: [UInt8])] = []

    /// Reads the contents.
    ///
    /// - Parameters:
    ///   - bytes: The contents of the file.
    ///   - section: The section that is to be changed.
    init(_ bytes: [UInt8], section: ConfigurationSectionName) {
        self.bytes = bytes
        self.section = section
        lines = ConfigurationLine.lines(of: bytes)
        lineEnd =
            lines.first.flatMap { line in
                line.end < line.range.upperBound ? Array(bytes[line.end..<line.range.upperBound]) : nil
            } ?? [.lineFeed]
    }

    /// The contents with a setting changed.
    ///
    /// - Parameters:
    ///   - name: The setting's name.
    ///   - value: Its value; nothing removes it.
    /// - Returns: The contents.
    consuming func setting(_ name: [UInt8], to value: [UInt8]?) -> [UInt8] {
        let found = occurrences(of: name)
        if found.isEmpty {
            guard let value else { return bytes }
            let line = name + Array(value.isEmpty ? " =".utf8 : " = ".utf8) + value
            if let place = placeOfNewSetting() {
                append(indented(line, behind: place), behind: place)
            } else {
                appendSection(line)
            }
        }
        for (line, setting, continuation) in found {
            if let value {
                replace(setting, in: lines[line], by: value, isAlone: continuation.isEmpty)
            } else {
                replacements.append((lines[line].range, []))
            }
            for index in continuation { replacements.append((lines[index].range, [])) }
        }
        return result()
    }

    /// Where the section sets something: the line, its parts, and the lines that go on with its value.
    private func occurrences(
        of name: [UInt8]
    ) -> [(line: Int, setting: ConfigurationLine.Setting, continuation: [Int])] {
        let wanted = name.map(\.lowercased)
        var result: [(line: Int, setting: ConfigurationLine.Setting, continuation: [Int])] = []
        var isInside = false
        var isFound = false
        for (index, line) in lines.enumerated() {
            switch line.kind {
            case .header(let header):
                isInside = header.bytes == section.bytes
                isFound = false
            case .setting(let setting):
                isFound = isInside && bytes[setting.name].elementsEqual(wanted) { $0.lowercased == $1 }
                if isFound { result.append((index, setting, [])) }
            case .continuation where isFound:
                result[result.count - 1].continuation.append(index)
            default: continue
            }
        }
        return result
    }

    private mutating func replace(
        _ setting: ConfigurationLine.Setting,
        in line: ConfigurationLine,
        by value: [UInt8],
        isAlone: Bool
    ) {
        if isAlone, setting.comment == nil, bytes[setting.value].elementsEqual(value) { return }
        if let comment = setting.comment {
            let own = line.end < line.range.upperBound ? Array(bytes[line.end..<line.range.upperBound]) : lineEnd
            let text = bytes[line.indentation] + bytes[comment] + own
            replacements.append((line.range.lowerBound..<line.range.lowerBound, Array(text)))
        }
        let old = setting.value.lowerBound..<(setting.comment?.upperBound ?? setting.value.upperBound)
        // Behind "name =", whose blank at the end of the line an editor took away, it comes back.
        let isTight = old.lowerBound == setting.delimiter + 1 && bytes[setting.delimiter - 1].isBlank
        replacements.append((old, isTight && old.isEmpty && !value.isEmpty ? [.space] + value : value))
    }

    /// The line that a new setting goes behind: the end of the last setting of the last section of this name that every
    /// program understands, or else its header.
    private func placeOfNewSetting() -> Int? {
        var plain: Int?
        var any: Int?
        var isInside = false
        var isPlain = false
        for (index, line) in lines.enumerated() {
            switch line.kind {
            case .header(let header):
                isInside = header.bytes == section.bytes
                isPlain = header.isPlain
            case .setting, .continuation: break
            default: continue
            }
            guard isInside else { continue }
            any = index
            if isPlain { plain = index }
        }
        return plain ?? any
    }

    /// Gives a new setting blanks in front, so that it does not go on with the value above, nor the next line with its own.
    private func indented(_ line: [UInt8], behind place: Int) -> [UInt8] {
        var above = place
        while case .continuation = lines[above].kind { above = belowWhich(above) }
        let own = bytes[lines[above].indentation]
        guard case .header = lines[above].kind,
            let next = lines[(place + 1)...].first(where: \.isSignificant),
            next.indentation.count > own.count
        else { return own + line }
        return bytes[next.indentation] + line
    }

    /// The line above that is neither blank nor a comment.
    private func belowWhich(_ index: Int) -> Int { lines[..<index].lastIndex(where: \.isSignificant) ?? 0 }

    private mutating func append(_ text: [UInt8], behind index: Int) {
        let line = lines[index]
        let isOpen = line.end == line.range.upperBound
        replacements.append((line.range.upperBound..<line.range.upperBound, (isOpen ? lineEnd : []) + text + lineEnd))
    }

    private mutating func appendSection(_ line: [UInt8]) {
        var text: [UInt8] = []
        if let last = lines.last {
            if last.end == last.range.upperBound { text += lineEnd }
            if !last.content.isEmpty { text += lineEnd }
        }
        text += section.header + lineEnd + line + lineEnd
        replacements.append((bytes.count..<bytes.count, text))
    }

    private func result() -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + replacements.reduce(0) { $0 + $1.text.count })
        var position = 0
        for (range, text) in replacements {
            result += bytes[position..<range.lowerBound] + text
            position = range.upperBound
        }
        return result + bytes[position...]
    }
}

extension ConfigurationLine {
    /// Whether the line is neither blank nor a comment.
    fileprivate var isSignificant: Bool {
        switch kind {
        case .blank, .comment: false
        default: true
        }
    }
}
