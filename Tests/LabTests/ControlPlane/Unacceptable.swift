// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import Testing

/// A value that a member of a request may not have.
struct Unacceptable: Sendable, CustomTestStringConvertible {
    /// The case in words.
    var testDescription: String
    var member: String
    /// The value; `null` takes the member away.
    var value: JSONValue
    /// What the refusal has to name.
    var word: String

    init(_ description: String, _ member: String, _ value: JSONValue, naming word: String? = nil) {
        (testDescription, self.member, self.value) = (description, member, value)
        self.word = word ?? member
    }

    private static func text(_ character: Character, _ count: Int) -> JSONValue {
        .string(String(repeating: character, count: count))
    }

    // MARK: - Every resource

    static let names = [
        Unacceptable("an empty name", "name", ""), Unacceptable("a name of 256", "name", text("n", 256)),
        Unacceptable("a name with a dot", "name", "a.b"), Unacceptable("a name with an umlaut", "name", "ü"),
        Unacceptable("a name with a line end", "name", "a\n"), Unacceptable("a number as name", "name", 5),
    ]

    static let aliases = [
        Unacceptable("an alias of 257", "aliasName", text("a", 257)),
        Unacceptable("an alias that begins with a digit", "aliasName", "1a"),
        Unacceptable("an alias with //", "aliasName", "a//b"),
        Unacceptable("an alias that ends with /", "aliasName", "a/"),
        Unacceptable("an alias with a blank", "aliasName", "a b"),
        Unacceptable("an alias with a dot", "aliasName", "a.b"),
        Unacceptable("an alias with a line end", "aliasName", "ab\n"),
        Unacceptable("an alias of AWS's own", "aliasName", "AwS/team"),
    ]

    static let tags = [
        Unacceptable("201 tags", "tags", tags(201)),
        Unacceptable("a tag without key", "tags", [["value": "v"]], naming: "key"),
        Unacceptable("a tag without value", "tags", [["key": "k"]], naming: "value"),
        Unacceptable("an empty key", "tags", [["key": "", "value": "v"]], naming: "key"),
        Unacceptable("a key of 129", "tags", [["key": text("k", 129), "value": "v"]], naming: "key"),
        Unacceptable("a key with an umlaut", "tags", [["key": "ü", "value": "v"]], naming: "key"),
        Unacceptable("a value of 257", "tags", [["key": "k", "value": text("v", 257)]], naming: "value"),
        Unacceptable("a value with a comma", "tags", [["key": "k", "value": "a,b"]], naming: "value"),
        Unacceptable(
            "a key twice", "tags", [["key": "k", "value": "1"], ["key": "k", "value": "2"]], naming: "key"),
        Unacceptable("a key of AWS", "tags", [["key": "aws:mine", "value": "v"]], naming: "aws:"),
    ]

    /// So many tags, `k0` and on.
    static func tags(_ count: Int) -> JSONValue {
        .array((0..<count).map { ["key": .string("k\($0)"), "value": "v"] })
    }

    // MARK: - Trust anchors

    static let notifications: [Unacceptable] = {
        let event: JSONValue = ["event": "CA_CERTIFICATE_EXPIRY", "enabled": true]
        func one(_ description: String, _ setting: JSONValue, naming word: String) -> Unacceptable {
            Unacceptable(description, "notificationSettings", [setting], naming: word)
        }
        return [
            Unacceptable("51 settings", "notificationSettings", .array(Array(repeating: event, count: 51))),
            one("no event", ["enabled": true], naming: "event"),
            one("an unknown event", ["event": "FULL_MOON", "enabled": true], naming: "event"),
            one("no enabled", ["event": "CA_CERTIFICATE_EXPIRY"], naming: "enabled"),
            one("a threshold of 0", event.setting("threshold", 0), naming: "threshold"),
            one("a threshold of 361", event.setting("threshold", 361), naming: "threshold"),
            one("an unknown channel", event.setting("channel", "SMS"), naming: "channel"),
            Unacceptable(
                "an event twice", "notificationSettings", [event, event], naming: "CA_CERTIFICATE_EXPIRY"),
        ]
    }()

    static let notificationKeys = [
        Unacceptable("an unknown event", "notificationSettingKeys", [["event": "FULL_MOON"]], naming: "event"),
        Unacceptable("no event", "notificationSettingKeys", [[:]], naming: "event"),
        Unacceptable(
            "51 keys", "notificationSettingKeys",
            .array(Array(repeating: ["event": "CA_CERTIFICATE_EXPIRY"], count: 51))),
        Unacceptable(
            "an unknown channel", "notificationSettingKeys", [["event": "CA_CERTIFICATE_EXPIRY", "channel": "SMS"]],
            naming: "channel"),
    ]

    static let sources = [
        Unacceptable("no source", "source", .null),
        Unacceptable("an empty source", "source", [:], naming: "sourceType"),
        Unacceptable("no data", "source", ["sourceType": "CERTIFICATE_BUNDLE"], naming: "sourceData"),
        Unacceptable(
            "empty data", "source", ["sourceType": "CERTIFICATE_BUNDLE", "sourceData": [:]],
            naming: "x509CertificateData"),
        Unacceptable(
            "the data of another type", "source",
            ["sourceType": "CERTIFICATE_BUNDLE", "sourceData": ["acmPcaArn": "arn:aws:x"]],
            naming: "x509CertificateData"),
        Unacceptable("an empty bundle", "source", TestAuthority.source(""), naming: "x509CertificateData"),
        Unacceptable(
            "a bundle of 204,801", "source", TestAuthority.source(String(repeating: "x", count: 204_801)),
            naming: "x509CertificateData"),
        Unacceptable("an unknown type", "source", TestAuthority.source("x", type: "CLOUD"), naming: "sourceType"),
        Unacceptable(
            "a private CA of AWS", "source",
            [
                "sourceType": "AWS_ACM_PCA",
                "sourceData": [
                    "acmPcaArn": "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/a"
                ],
            ], naming: "AWS_ACM_PCA"),
        Unacceptable(
            "a repository", "source", ["sourceType": "SELF_SIGNED_REPOSITORY", "sourceData": [:]],
            naming: "SELF_SIGNED_REPOSITORY"),
    ]

    // MARK: - Profiles

    static let profiles: [Unacceptable] =
        [
            Unacceptable("251 roles", "roleArns", roles(251)),
            Unacceptable("a role that is none", "roleArns", ["arn:aws:iam::123456789012:user/u"]),
            Unacceptable("a role that is no ARN", "roleArns", ["web"]),
            Unacceptable(
                "a role of 1012", "roleArns",
                [.string("arn:aws:iam::123456789012:role/" + String(repeating: "r", count: 981))]),
            Unacceptable("51 policies", "managedPolicyArns", policies(51)),
            Unacceptable("an empty policy ARN", "managedPolicyArns", [""]),
            Unacceptable(
                "a policy of 201", "managedPolicyArns",
                [.string("arn:aws:iam::123456789012:policy/" + String(repeating: "p", count: 168))]),
            Unacceptable("a session policy of 100,001", "sessionPolicy", sessionPolicy(100_001)),
            Unacceptable("a session policy that is no JSON", "sessionPolicy", "{"),
            Unacceptable("a session policy without statement", "sessionPolicy", #"{"Version":"2012-10-17"}"#),
            Unacceptable("899 seconds", "durationSeconds", 899),
            Unacceptable("43,201 seconds", "durationSeconds", 43_201),
            Unacceptable("no seconds", "durationSeconds", 0),
            Unacceptable("seconds in words", "durationSeconds", "3600"),
            Unacceptable("a part of a second", "durationSeconds", .number("3600.5")),
            Unacceptable("yes in words", "acceptRoleSessionName", "yes"),
        ] + names + aliases

    static func roles(_ count: Int) -> JSONValue {
        .array((0..<count).map { .string("arn:aws:iam::123456789012:role/r\($0)") })
    }

    static func policies(_ count: Int) -> JSONValue {
        .array((0..<count).map { .string("arn:aws:iam::123456789012:policy/p\($0)") })
    }

    /// A session policy of so many characters.
    static func sessionPolicy(_ count: Int) -> JSONValue {
        let text = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#
        return .string(text + String(repeating: " ", count: count - text.count))
    }
}
