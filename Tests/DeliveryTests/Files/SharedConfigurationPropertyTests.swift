// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Delivery

/// Changes of files that chance has written, against a model that knows what each line is because it made it.
@Suite struct SharedConfigurationPropertyTests {
    @Test(arguments: 0..<300 as Range<UInt64>)
    func `a change gives what the model says`(_ seed: UInt64) throws {
        var chance = Chance(state: seed)
        var model = ConfigurationModel(by: &chance)
        var configuration = SharedConfiguration(Array(model.text.utf8))
        #expect(configuration.bytes == Array(model.text.utf8))
        for _ in 0..<6 {
            let name = chance.pick(["a", "B", "region", "s3"])
            let section = chance.pick(["default", "profile web", "profile my name", "fresh"])
            let value = chance.pick([nil, "", "1", "new value", "k=v:w#x;y", "caf\u{E9}"])
            model.set(name, to: value, in: section)
            try configuration.set([(name, value)], in: section)
            #expect(String(decoding: configuration.bytes, as: UTF8.self) == model.text)
            #expect(configuration.value(of: name, in: section) == value)
        }
    }

    /// Bits of lines that mean something in such files, in an order that may mean nothing.
    @Test(arguments: 0..<300 as Range<UInt64>)
    func `whatever the file is, the new value is read and the others stay`(_ seed: UInt64) throws {
        let bits = [
            "[web]", "[ web ]", "[profile web]", "[default]", "[", "]", " ", "  ", "\t", "=", " = ", ":", "#", ";",
            " # ", "\n",
            "\n", "\n", "\r\n", "\r", "a", "b", "A", "a = 1\n", "b=2\n", "\n  c = 3", "\n\n", "\u{0}", "x",
        ]
        var chance = Chance(state: seed &+ 1_000_000)
        let text = (0..<chance.below(60)).map { _ in chance.pick(bits) }.joined()
        for value in ["new", nil, ""] {
            let before = SharedConfiguration(Array(text.utf8))
            var after = before
            try after.set([("a", value)], in: "web")
            #expect(after.value(of: "a", in: "web") == value)
            let once = after
            try after.set([("a", value)], in: "web")
            #expect(after == once)
            let added = value != nil && !before.sectionNames.contains("web") ? ["web"] : []
            #expect(after.sectionNames == before.sectionNames + added)
            for name in before.sectionNames {
                let old = before.settings(in: name)?.filter { name != "web" || $0.name != "a" } ?? []
                let new = after.settings(in: name)?.filter { name != "web" || $0.name != "a" } ?? []
                #expect(old.map(\.name) == new.map(\.name))
                #expect(old.map(\.value) == new.map(\.value))
            }
        }
    }
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Chance {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(bound))
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}
