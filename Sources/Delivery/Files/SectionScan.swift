// SPDX-License-Identifier: Apache-2.0

/// All sections of one name in a file, as one.
struct SectionScan {
    /// A setting, with the lines that go on with its value.
    struct Setting {
        /// The name in lower case.
        var name: String
        var line: ConfigurationLine
        var value: Range<Int>
        var continuations: [ConfigurationLine] = []
    }

    /// Whether there is such a section.
    private(set) var isThere = false

    /// The settings in their order.
    private(set) var settings: [Setting] = []

    /// Where a new setting goes: behind the last setting of the last such section, else behind its header.
    private(set) var end = 0

    init(_ bytes: [UInt8], _ section: String) {
        let wanted = ConfigurationLine.canonicalName(section)
        var isInside = false
        for line in ConfigurationLine.lines(of: bytes) {
            switch line.kind {
            case .header(let name):
                isInside = name == wanted
                if isInside {
                    isThere = true
                    end = line.whole.upperBound
                }
            case .setting(let name, let value) where isInside:
                let text = String(decoding: bytes[name], as: UTF8.self).lowercased()
                settings.append(Setting(name: text, line: line, value: value))
                end = line.whole.upperBound
            case .continuation where isInside:
                settings[settings.count - 1].continuations.append(line)
                end = line.whole.upperBound
            case .other where isInside: end = line.whole.upperBound
            default: break
            }
        }
    }
}
