// SPDX-License-Identifier: Apache-2.0

import SystemSupport

/// An element of the XML in which IAM and STS answer.
struct XMLElement: Sendable {
    private enum Content {
        case text(String)
        case elements([XMLElement])
    }

    private let name: String
    private let namespace: String?
    private let content: Content

    /// An element with others in it.
    init(_ name: String, namespace: String? = nil, _ elements: [XMLElement]) {
        (self.name, self.namespace, content) = (name, namespace, .elements(elements))
    }

    /// An element with text in it.
    init(_ name: String, text: String) {
        (self.name, namespace, content) = (name, nil, .text(text))
    }

    /// A list: each element becomes a `member`.
    init(_ name: String, members: [[XMLElement]]) {
        self.init(name, members.map { XMLElement("member", $0) })
    }

    /// A list of texts.
    init(_ name: String, members: [String]) {
        self.init(name, members.map { XMLElement("member", text: $0) })
    }

    /// The document of which this is the root.
    var document: String {
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        write(to: &text)
        text += "\n"
        return text
    }

    private func write(to text: inout String) {
        text += "<\(name)"
        if let namespace { text += " xmlns=\"\(namespace)\"" }
        text += ">"
        switch content {
        case .text(let characters): Self.write(characters, to: &text)
        case .elements(let elements): for element in elements { element.write(to: &text) }
        }
        text += "</\(name)>"
    }

    /// Control characters that XML 1.0 cannot hold become U+FFFD. Others, and format characters, are written as references: a
    /// reader gets them as they are, a terminal does not.
    private static func write(_ characters: String, to text: inout String) {
        for scalar in characters.unicodeScalars {
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "\t", "\n": text.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{8}", "\u{b}", "\u{c}", "\u{e}"..."\u{1f}", "\u{fffe}", "\u{ffff}": text += "\u{fffd}"
            case _ where scalar.isControl: text += "&#x\(String(scalar.value, radix: 16, uppercase: true));"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
