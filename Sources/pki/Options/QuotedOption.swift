// SPDX-License-Identifier: Apache-2.0

import SystemSupport

extension Quoting {
    /// An option and its value as words of a command. A value that looks like an option is written into the option's word.
    static func words(_ option: String, _ value: String) -> [String] {
        value.utf8.first == UInt8(ascii: "-") ? ["\(option)=\(value)"] : [option, value]
    }

    /// An option and its value, for a command that is proposed: `--profile 'a b'`.
    static func option(_ option: String, _ value: String) -> String { command(words(option, value)) }
}
