// SPDX-License-Identifier: Apache-2.0

/// A file as a list of things whose lines are known, because this wrote them.
struct ConfigurationModel {
    private struct Line {
        var text: String
        var end: String
    }

    private struct Setting {
        var name: String
        /// All that stands in front of the value.
        var prefix: String
        var value: String
        var comment = ""
        var blanks = ""
        var end: String
        var nested: [Line] = []
    }

    private enum Item {
        case filler(Line)
        case header(String, Line)
        case setting(Setting)

        var text: String {
            switch self {
            case .filler(let line), .header(_, let line): line.text + line.end
            case .setting(let it):
                it.prefix + it.value + it.comment + it.blanks + it.end + it.nested.map { $0.text + $0.end }.joined()
            }
        }
    }

    private var items: [Item] = []
    private let indentation: String

    /// Writes a file.
    init(by chance: inout Chance) {
        indentation = chance.pick(["", "", "  ", "\t"])
        let ends = chance.pick([["\n"], ["\n"], ["\r\n"], ["\n", "\r\n"]])
        for _ in 0..<chance.below(3) { items.append(.filler(Self.filler(by: &chance, ends))) }
        for _ in 0..<chance.below(5) {
            let (name, spelling) = chance.pick([
                ("default", "[default]"), ("profile web", "[profile web]"), ("profile web", "[profile \t\"web\" ] # x"),
                ("profile my name", "[profile 'my name'];x"), ("other", "[other]"), ("Default", "[Default]"),
            ])
            items.append(.header(name, Line(text: spelling, end: chance.pick(ends))))
            for _ in 0..<chance.below(6) {
                let isFiller = chance.below(3) == 0
                items.append(isFiller ? .filler(Self.filler(by: &chance, ends)) : .setting(setting(by: &chance, ends)))
            }
        }
        if chance.below(2) == 0, case .setting(var last) = items.last, last.nested.isEmpty {
            last.end = ""
            items[items.count - 1] = .setting(last)
        }
    }

    private static func filler(by chance: inout Chance, _ ends: [String]) -> Line {
        Line(text: chance.pick(["", " ", "# a = 1", "\t; [default]", "#", "# caf\u{E9}"]), end: chance.pick(ends))
    }

    private func setting(by chance: inout Chance, _ ends: [String]) -> Setting {
        let name = chance.pick(["a", "A", "b", "region", "REGION", "s3", "other"])
        let value = chance.pick(["", "x", "1", "a b=c:d", "x#y", "caf\u{E9}"])
        var result = Setting(
            name: name, prefix: indentation + name + chance.pick([" = ", "=", " =  ", ": ", "\t=\t"]), value: value,
            comment: value.isEmpty ? "" : chance.pick(["", "", "", " # why", "\t;  why # so"]),
            blanks: value.isEmpty ? "" : chance.pick(["", "", " ", "\t "]), end: chance.pick(ends))
        if chance.below(5) == 0 {
            for text in ["a = 1", "[default]", "region=x"] {
                result.nested.append(Line(text: "\(indentation)    \(text)", end: chance.pick(ends)))
            }
        }
        return result
    }

    /// The contents of the file.
    var text: String { items.map(\.text).joined() }

    /// How new lines end.
    private var end: String {
        switch items.first {
        case .filler(let line), .header(_, let line): line.end
        default: "\n"
        }
    }

    /// Does what the real thing is to do.
    mutating func set(_ name: String, to value: String?, in section: String) {
        var isInside = false
        var isFound = false
        var place: Int?
        var new: [Item] = []
        for item in items {
            if case .header(let header, _) = item { isInside = header == section }
            guard isInside else {
                new.append(item)
                continue
            }
            if case .setting(var setting) = item, setting.name.lowercased() == name.lowercased() {
                isFound = true
                guard let value else { continue }
                if !setting.comment.isEmpty {
                    let text = indentation + setting.comment.drop { $0 == " " || $0 == "\t" }
                    new.append(.filler(Line(text: text, end: setting.end.isEmpty ? end : setting.end)))
                }
                if setting.prefix.hasSuffix(" ="), !value.isEmpty { setting.prefix += " " }
                setting.value = value
                setting.comment = ""
                setting.nested = []
                new.append(.setting(setting))
            } else {
                new.append(item)
            }
            if case .filler = item { continue }
            place = new.count
        }
        items = new
        guard !isFound, let value else { return }
        add(
            Setting(name: name, prefix: name + (value.isEmpty ? " =" : " = "), value: value, end: end), at: place,
            in: section)
    }

    private mutating func add(_ setting: Setting, at place: Int?, in section: String) {
        let end = setting.end
        if place ?? items.count == items.count, case .setting(var last) = items.last, last.end.isEmpty {
            last.end = end
            items[items.count - 1] = .setting(last)
        }
        guard let place else {
            let isApart = items.last.map { $0.text.allSatisfy(\.isWhitespace) } ?? true
            if !isApart { items.append(.filler(Line(text: "", end: end))) }
            let header = section == "profile my name" ? "[profile 'my name']" : "[\(section)]"
            items += [.header(section, Line(text: header, end: end)), .setting(setting)]
            return
        }
        var setting = setting
        if case .setting(let above) = items[place - 1] {
            setting.prefix = above.prefix.prefix { $0 == " " || $0 == "\t" } + setting.prefix
        }
        items.insert(.setting(setting), at: place)
    }
}
