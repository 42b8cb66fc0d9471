// SPDX-License-Identifier: Apache-2.0

import AWSModel
import HTTPServer
import SystemSupport

/// The parameters of a request in AWS's query protocol, a form in the body, read with the limits of the service's model.
/// A refusal names the constraint as IAM does.
struct QueryForm: Sendable {
    private let parameters: [String: String]

    /// Reads `Action=GetRole&Version=2010-05-08&RoleName=web`. A form that is not well encoded, or that names a parameter
    /// twice, is empty.
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

    subscript(name: String) -> String? { parameters[name] }

    /// `NAME.member.1`, `NAME.member.2`, … up to the first that is absent. `NAME` alone is the empty list.
    func list(_ name: String) -> [String] {
        var values: [String] = []
        while let value = parameters["\(name).member.\(values.count + 1)"] { values.append(value) }
        return values
    }

    /// `Tags.member.1.Key`, `Tags.member.1.Value`, …
    func tags() -> [Tag] {
        var tags: [Tag] = []
        while let key = parameters["Tags.member.\(tags.count + 1).Key"] {
            tags.append(Tag(key: key, value: parameters["Tags.member.\(tags.count + 1).Value"] ?? ""))
        }
        return tags
    }

    func text(_ name: String, _ length: ClosedRange<Int>, _ form: TextForm = .any) throws(ServiceRefusal) -> String? {
        guard let text = self[name] else { return nil }
        try Self.check(text, Self.member(name), length, form)
        return text
    }

    /// A text that must be there.
    func required(_ name: String, _ length: ClosedRange<Int>, _ form: TextForm = .any) throws(ServiceRefusal) -> String
    {
        guard let text = try text(name, length, form) else {
            throw .constraint(nil, Self.member(name), "not be null")
        }
        return text
    }

    func integer(_ name: String, _ range: ClosedRange<Int>) throws(ServiceRefusal) -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text) else {
            throw ServiceRefusal(
                code: .init("MalformedInput", .badRequest), message: "Invalid Argument",
                detail: "\(name) is \"\(text.prefix(80))\", not a whole number")
        }
        guard range.contains(number) else {
            let isSmall = number < range.lowerBound
            throw .constraint(
                text, Self.member(name),
                "have value \(isSmall ? "greater" : "less") than or equal to "
                    + "\(isSmall ? range.lowerBound : range.upperBound)")
        }
        return number
    }

    /// Keys of tags, as ``list(_:)`` finds them.
    func tagKeys(_ name: String, _ form: TextForm) throws(ServiceRefusal) -> [String] {
        let keys = list(name)
        try Self.check(count: keys.count, within: .roleTagCount, name)
        for (index, key) in keys.enumerated() {
            try Self.check(key, "\(Self.member(name)).\(index + 1).member", AWSLimit.tagKeyLength.range, form)
        }
        return keys
    }

    /// Tags: no key twice in whatever case, and none of AWS's own.
    func checkedTags() throws(ServiceRefusal) -> [Tag] {
        let tags = tags()
        try Self.check(count: tags.count, within: .roleTagCount, "Tags")
        var keys: Set<String> = []
        for (index, tag) in tags.enumerated() {
            try Self.check(tag.key, "tags.\(index + 1).member.key", AWSLimit.tagKeyLength.range, .roleTag)
            try Self.check(tag.value, "tags.\(index + 1).member.value", AWSLimit.tagValueLength.range, .roleTag)
            guard !tag.key.lowercased().hasPrefix("aws:") else {
                throw .unacceptable("Tag keys starting with \"aws:\" are reserved for AWS: \(tag.key)")
            }
            guard keys.insert(tag.key.lowercased()).inserted else {
                throw .unacceptable("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
            }
        }
        return tags
    }

    static func check(count: Int, within limit: AWSLimit, _ name: String) throws(ServiceRefusal) {
        guard limit.contains(count) else {
            throw .constraint("[\(count) members]", member(name), "have length less than or equal to \(limit.maximum)")
        }
    }

    private static func check(
        _ text: String, _ member: String, _ length: ClosedRange<Int>, _ form: TextForm
    ) throws(ServiceRefusal) {
        let count = text.unicodeScalars.count
        guard count >= length.lowerBound else {
            throw .constraint(text, member, "have length greater than or equal to \(length.lowerBound)")
        }
        guard count <= length.upperBound else {
            throw .constraint(text, member, "have length less than or equal to \(length.upperBound)")
        }
        guard form.admits(text) else {
            throw .constraint(text, member, "satisfy regular expression pattern: \(form.expected)")
        }
    }

    private static func member(_ name: String) -> String { name.prefix(1).lowercased() + name.dropFirst() }
}
