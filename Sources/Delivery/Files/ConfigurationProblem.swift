// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// Something in an AWS config or credentials file that other readers do not take as this package does. botocore is the judge,
/// with which the AWS CLI reads.
package struct ConfigurationProblem: Hashable, Sendable {
    package enum Kind: String, Sendable {
        // botocore reads nothing of the whole file.
        case byteOrderMark, notUTF8, beforeFirstSection, malformedLine, repeatedSection, repeatedSetting,
            malformedNesting
        /// botocore does not find the section.
        case unfoundSection
        /// A later header spells the same name in another way, and botocore reads that section alone.
        case shadowedSection
        /// SDKs disagree on how such a name is quoted.
        case unportableName
        /// The line continues the value above it, which is not empty.
        case continuedValue
        /// botocore reads the setting, and other SDKs take it as a part of the one above.
        case indentedSetting
        /// A comment after a value, which botocore takes as a part of it.
        case commentInValue
        /// A carriage return that is not at the end of a line ends one for botocore.
        case carriageReturn
    }

    package let kind: Kind

    /// Counted from 1.
    package let line: Int

    /// The section that the line is in or begins, in its normal form; `nil` before the first one.
    package let section: String?

    /// The setting, if it is about one.
    package let setting: String?

    /// The header that every program would find; `nil` if it is not about a header, or there is none.
    package let header: String?

    /// Whether botocore, and so the AWS CLI, reads nothing of the whole file.
    package var hidesFile: Bool {
        switch kind {
        case .byteOrderMark, .notUTF8, .beforeFirstSection, .malformedLine, .repeatedSection, .repeatedSetting,
            .malformedNesting:
            true
        default: false
        }
    }

    /// What is wrong and what follows from it.
    package var message: String {
        let section = "[\(printable(section ?? "", limit: 60))]"
        let setting = printable(setting ?? "", limit: 60)
        let nothing = "the AWS CLI reads nothing of this file"
        return switch kind {
        case .byteOrderMark: "a byte order mark: \(nothing)"
        case .notUTF8: "a byte that is not UTF-8: \(nothing)"
        case .beforeFirstSection: "text before the first section: \(nothing)"
        case .malformedLine: "neither a section nor a setting: \(nothing)"
        case .repeatedSection: "\(section) a second time: \(nothing)"
        case .repeatedSetting: "\(setting) a second time in \(section): \(nothing)"
        case .malformedNesting: "no \"=\" in a line below \(setting): \(nothing)"
        case .unfoundSection:
            "the AWS CLI does not find this header" + (header.map { "; write \(printable($0))" } ?? "")
        case .shadowedSection: "the AWS CLI ignores this section, because \(section) is there again"
        case .unportableName: "not every SDK finds a name with other characters than A-Za-z0-9_.@/+=-"
        case .continuedValue: "the line is indented, so it is a part of \(setting)"
        case .indentedSetting: "\(setting) is indented: some SDKs take it as a part of the line above"
        case .commentInValue: "the AWS CLI takes the comment as a part of the value of \(setting)"
        case .carriageReturn: "a carriage return ends the line for the AWS CLI"
        }
    }
}

extension SharedConfiguration {
    /// The two files, of which only one has kinds of sections.
    package enum File: Sendable {
        case config, credentials
    }

    /// What other readers do not read in the file as it is meant, by lines.
    package func problems(in file: File) -> [ConfigurationProblem] {
        var judge = ConfigurationJudge(bytes: bytes, file: file)
        return judge.run()
    }

    /// The problems that concern sections: their own, and those that hide the whole file.
    package func problems(in file: File, of sections: [String]) -> [ConfigurationProblem] {
        let names = sections.map { String(decoding: ConfigurationSectionName($0).bytes, as: UTF8.self) }
        return problems(in: file).filter { $0.hidesFile || names.contains($0.section ?? "") }
    }
}

/// Reads a file as botocore does: with Python's `configparser`, and its own rules for nested settings and names.
private struct ConfigurationJudge {
    let bytes: [UInt8]
    let file: SharedConfiguration.File

    private var problems: [ConfigurationProblem] = []
    /// The current section.
    private var section: ConfigurationSectionName?
    private var spellings: Set<[UInt8]> = []
    private var settings: Set<[UInt8]> = []
    /// The sections that botocore finds so far, by what it calls them, with the place of their header.
    private var found: [[UInt8]: (line: Int, name: ConfigurationSectionName)] = [:]
    /// The current setting, and whether lines below it are nested settings.
    private var setting: (name: [UInt8], isNesting: Bool, isContinued: Bool)?

    init(bytes: [UInt8], file: SharedConfiguration.File) {
        self.bytes = bytes
        self.file = file
    }

    mutating func run() -> [ConfigurationProblem] {
        if bytes.starts(with: ConfigurationLine.byteOrderMark) { add(.byteOrderMark, 1) }
        for (index, line) in ConfigurationLine.lines(of: bytes).enumerated() { judge(line, index + 1) }
        return problems.sorted { $0.line < $1.line }
    }

    private mutating func judge(_ line: ConfigurationLine, _ number: Int) {
        if String(validating: bytes[line.range], as: UTF8.self) == nil { add(.notUTF8, number) }
        switch line.kind {
        case .blank, .comment: break
        case .header(let name): judge(name, number)
        case .setting(let part): judge(part, isIndented: !line.indentation.isEmpty, number)
        case .continuation: judgeContinuation(bytes[line.content], number)
        case .other: add(section == nil ? .beforeFirstSection : .malformedLine, number)
        }
        if bytes[line.content].contains(.carriageReturn) { add(.carriageReturn, number) }
    }

    private mutating func judge(_ name: ConfigurationSectionName, _ number: Int) {
        section = name
        setting = nil
        if name.spelling.isEmpty { return add(.malformedLine, number) }
        let isNew = spellings.insert(name.spelling).inserted
        // Every section has the settings of this one, which can be there several times.
        if name.spelling.elementsEqual("DEFAULT".utf8) { return }
        if !isNew { return add(.repeatedSection, number) }
        let profile = file == .config ? name.profile : nil
        guard name.isPlain || file == .credentials && name.isTrimmed else { return add(.unfoundSection, number) }
        // Two headers are one profile to botocore: [default] and [profile default], [profile a] and [profile "a"].
        if let profile {
            if let other = found.updateValue((number, name), forKey: profile) {
                add(.shadowedSection, other.line, in: other.name)
            }
            if !profile.allSatisfy(Self.isPortable) { add(.unportableName, number) }
        }
    }

    private mutating func judge(_ part: ConfigurationLine.Setting, isIndented: Bool, _ number: Int) {
        let name = bytes[part.name].map(\.lowercased)
        setting = (name, part.value.isEmpty && part.comment == nil, false)
        if !settings.insert((section?.spelling ?? []) + [.lineFeed] + name).inserted { add(.repeatedSetting, number) }
        if isIndented { add(.indentedSetting, number) }
        if part.comment != nil { add(.commentInValue, number) }
    }

    private mutating func judgeContinuation(_ line: ArraySlice<UInt8>, _ number: Int) {
        guard let current = setting else { return }
        if current.isNesting {
            if !line.contains(.equals) { add(.malformedNesting, number) }
        } else if !current.isContinued {
            setting?.isContinued = true
            add(.continuedValue, number)
        }
    }

    private static func isPortable(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "_.@/+=-".utf8.contains(byte)
        }
    }

    private mutating func add(_ kind: ConfigurationProblem.Kind, _ line: Int, in other: ConfigurationSectionName? = nil)
    {
        let name = other ?? section
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        problems.append(
            ConfigurationProblem(
                kind: kind, line: line, section: name.map { text($0.bytes) }, setting: setting.map { text($0.name) },
                header: kind == .unfoundSection ? name.map { text($0.header) } : nil))
    }
}
