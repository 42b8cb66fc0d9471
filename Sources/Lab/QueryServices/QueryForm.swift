// SPDX-License-Identifier: Apache-2.0

import HTTPService
import SystemSupport

/// The parameters of a request in AWS's query protocol: a form in the body.
struct QueryForm: Sendable {
    private let parameters: [String: String]

    /// Reads a body. What is not well encoded, and names that stand twice, leave an empty form.
    ///
    /// - Parameter body: `Action=GetRole&Version=2010-05-08&RoleName=web`.
    init(_ body: [UInt8]) {
        var parameters: [String: String] = [:]
        let text = String(validating: body, as: UTF8.self) ?? ""
        for part in text.split(separator: "&") {
            let equals = part.firstIndex(of: "=") ?? part.endIndex
            // A form writes blanks as "+".
            guard let name = PercentEncoding.decode(part[..<equals]),
                let value = PercentEncoding.decode(part[equals...].dropFirst().replacing("+", with: "%20")),
                parameters.updateValue(value, forKey: name) == nil
            else {
                parameters = [:]
                break
            }
        }
        self.parameters = parameters
    }

    /// A parameter; nothing when it is absent.
    subscript(name: String) -> String? { parameters[name] }

    /// A list of texts: `NAME.member.1`, `NAME.member.2`, … up to the first that is absent. `NAME` alone is the empty list.
    func list(_ name: String) -> [String] {
        var values: [String] = []
        while let value = parameters["\(name).member.\(values.count + 1)"] { values.append(value) }
        return values
    }

    /// A list of tags: `Tags.member.1.Key`, `Tags.member.1.Value`, …
    func tags() -> [Tag] {
        var tags: [Tag] = []
        while let key = parameters["Tags.member.\(tags.count + 1).Key"] {
            tags.append(Tag(key: key, value: parameters["Tags.member.\(tags.count + 1).Value"] ?? ""))
        }
        return tags
    }
}
