// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Lab

/// An operator, a value that it is written with, and what a request must have to equal it or not.
struct OperatorCase: Sendable, CustomTestStringConvertible {
    var name: String
    var wanted: String
    var met: [String]
    var unmet: [String]
    var isNegated = false

    init(_ name: String, _ wanted: String, met: [String], unmet: [String], isNegated: Bool = false) {
        (self.name, self.wanted, self.met, self.unmet, self.isNegated) = (name, wanted, met, unmet, isNegated)
    }

    var testDescription: String { "\(name) \(wanted)" }

    private static let arn = "\"arn:aws:sqs:*:111122223333:queue-?\""
    private static let arns = (
        like: ["arn:aws:sqs:eu-west-1:111122223333:queue-1", "arn:aws:sqs::111122223333:queue-é"],
        unlike: [
            "arn:aws:sqs:eu-west-1:111122223333:queue-12", "arn:aws:sqs:a:b:111122223333:queue-1", "queue-1", "",
            "arn:aws:sqs:eu-west-1:111122223333:Queue-1",
        ]
    )

    static let all: [OperatorCase] = [
        OperatorCase("StringEquals", "\"a*\"", met: ["a*"], unmet: ["A*", "ab", "a", "", "a* "]),
        OperatorCase("StringEquals", "[\"x\", \"y\"]", met: ["x", "y"], unmet: ["z", "xy"]),
        OperatorCase("StringEquals", "[]", met: [], unmet: ["z", ""]),
        OperatorCase("StringEquals", "8080", met: ["8080"], unmet: ["8080.0"]),
        OperatorCase("StringEquals", "true", met: ["true"], unmet: ["True"]),
        OperatorCase("StringEquals", "\"caf\\u00e9\"", met: ["café"], unmet: ["cafe", "cafe\u{301}"]),
        OperatorCase("StringNotEquals", "\"a\"", met: ["A", "", "aa"], unmet: ["a"], isNegated: true),
        OperatorCase("StringNotEquals", "[\"x\", \"y\"]", met: ["z"], unmet: ["x", "y"], isNegated: true),
        OperatorCase("StringEqualsIgnoreCase", "\"Straße\"", met: ["STRAßE", "straße"], unmet: ["strasse", ""]),
        OperatorCase("StringNotEqualsIgnoreCase", "\"aB\"", met: ["abc"], unmet: ["AB", "ab"], isNegated: true),
        OperatorCase("StringLike", "\"a*c?\"", met: ["acd", "abccé", "acacd"], unmet: ["ac", "xacd", "Acd", "abcde"]),
        OperatorCase("StringLike", "[\"*-1\", \"web*\"]", met: ["db-1", "web-7"], unmet: ["db-2"]),
        OperatorCase("StringNotLike", "\"a*\"", met: ["ba", "A", ""], unmet: ["a", "ab"], isNegated: true),
        OperatorCase("NumericEquals", "10", met: ["10", "10.0", "1e1"], unmet: ["11", "", "ten", "0x0a", "inf"]),
        OperatorCase("NumericNotEquals", "\"10\"", met: ["11", "ten"], unmet: ["10"], isNegated: true),
        OperatorCase("NumericLessThan", "10", met: ["9.99", "-1"], unmet: ["10", "11", "x"]),
        OperatorCase("NumericLessThanEquals", "10", met: ["10", "9"], unmet: ["10.01"]),
        OperatorCase("NumericGreaterThan", "10", met: ["10.01"], unmet: ["10", "9", "nan"]),
        OperatorCase("NumericGreaterThanEquals", "10", met: ["10", "11"], unmet: ["9"]),
        OperatorCase(
            "DateEquals", "\"2026-01-02T03:04:05Z\"",
            met: ["1767323045", "2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05.000Z"],
            unmet: ["1767323046", "yesterday", ""]),
        OperatorCase(
            "DateEquals", "\"2026-01-02\"", met: ["2026-01-02T00:00:00Z", "2026-01-02T00:00Z"], unmet: ["2026"]),
        OperatorCase("DateNotEquals", "1767323045", met: ["1767323046"], unmet: ["1767323045"], isNegated: true),
        OperatorCase("DateLessThan", "\"2026-01\"", met: ["2025-12-31T23:59:59Z"], unmet: ["2026-01-01T00:00:00Z"]),
        OperatorCase("DateLessThanEquals", "\"2026\"", met: ["2026-01-01T00:00:00Z"], unmet: ["2026-01-01T00:00:01Z"]),
        OperatorCase("DateGreaterThan", "\"2026-01-01T00:00:00Z\"", met: ["1767225601"], unmet: ["1767225600"]),
        OperatorCase("DateGreaterThanEquals", "\"1767225600\"", met: ["1767225600"], unmet: ["1767225599"]),
        OperatorCase("Bool", "\"true\"", met: ["true", "True"], unmet: ["false", "1", ""]),
        OperatorCase("Bool", "false", met: ["false"], unmet: ["true"]),
        OperatorCase("BinaryEquals", "\"QmluYXJ5\"", met: ["QmluYXJ5"], unmet: ["QmluYXJ6", "%", ""]),
        OperatorCase(
            "IpAddress", "[\"203.0.113.0/24\", \"2001:db8::/33\", \"192.0.2.7\", \"10.0.0.0/0\"]",
            met: ["203.0.113.255", "2001:db8:7fff::1", "192.0.2.7", "9.9.9.9"],
            unmet: ["2001:db8:8000::1", "::1", "x", ""]),
        OperatorCase("IpAddress", "\"203.0.113.9/30\"", met: ["203.0.113.11"], unmet: ["203.0.113.12", "203.0.113.7"]),
        OperatorCase("NotIpAddress", "\"10.0.0.0/8\"", met: ["11.0.0.1", "::1"], unmet: ["10.9.9.9"], isNegated: true),
        OperatorCase("ArnLike", arn, met: arns.like, unmet: arns.unlike),
        OperatorCase("ArnEquals", arn, met: arns.like, unmet: arns.unlike),
        OperatorCase("ArnNotLike", arn, met: arns.unlike, unmet: arns.like, isNegated: true),
        OperatorCase("ArnNotEquals", arn, met: arns.unlike, unmet: arns.like, isNegated: true),
        OperatorCase("ArnLike", "\"*\"", met: [], unmet: ["arn:aws:s3:::x", "x"]),
        OperatorCase("ArnLike", "\"arn:aws:logs:*:*:*\"", met: ["arn:aws:logs:a:b:c:d:e"], unmet: ["arn:aws:logs:a:b"]),
    ]
}

@Suite struct ConditionOperatorTests {
    @Test(arguments: OperatorCase.all)
    func `an operator is met by a value of its kind and by no other`(_ sample: OperatorCase) throws {
        for suffix in ["", "IfExists"] {
            let condition = "{\"\(sample.name)\(suffix)\": {\"lab:Key\": \(sample.wanted)}}"
            for value in sample.met { #expect(try PolicySamples.isMet(condition, ["LAB:key": [value]]), "\(value)") }
            for value in sample.unmet { #expect(try !PolicySamples.isMet(condition, ["LAB:key": [value]]), "\(value)") }
        }
    }

    @Test(arguments: OperatorCase.all)
    func `an absent key fails an operator, but not a negated one nor IfExists`(_ sample: OperatorCase) throws {
        let plain = "{\"\(sample.name)\": {\"lab:Key\": \(sample.wanted)}}"
        #expect(try PolicySamples.isMet(plain, ["lab:Other": ["1"]]) == sample.isNegated)
        #expect(try PolicySamples.isMet(plain, ["lab:Key": []]) == sample.isNegated)
        let optional = "{\"\(sample.name)IfExists\": {\"lab:Key\": \(sample.wanted)}}"
        #expect(try PolicySamples.isMet(optional, ["lab:Other": ["1"]]))
    }

    @Test(arguments: OperatorCase.all)
    func `set operators ask for one value or for all`(_ sample: OperatorCase) throws {
        for suffix in ["", "IfExists"] {
            let any = "{\"ForAnyValue:\(sample.name)\(suffix)\": {\"lab:Key\": \(sample.wanted)}}"
            let all = "{\"ForAllValues:\(sample.name)\(suffix)\": {\"lab:Key\": \(sample.wanted)}}"
            #expect(try !PolicySamples.isMet(any, [:]))
            #expect(try PolicySamples.isMet(all, [:]))
            #expect(try PolicySamples.isMet(any, ["lab:Key": sample.met + sample.unmet]) == !sample.met.isEmpty)
            #expect(try PolicySamples.isMet(all, ["lab:Key": sample.met + sample.unmet]) == false)
            #expect(try PolicySamples.isMet(all, ["lab:Key": sample.met]))
            #expect(try !PolicySamples.isMet(any, ["lab:Key": sample.unmet]))
        }
    }

    @Test(arguments: [
        ("\"true\"", true, false), ("\"false\"", false, true), ("true", true, false), ("[true, false]", true, true),
    ])
    func `Null asks whether there is a key`(_ wanted: String, _ whenAbsent: Bool, _ whenPresent: Bool) throws {
        let condition = "{\"Null\": {\"lab:Key\": \(wanted)}}"
        #expect(try PolicySamples.isMet(condition, [:]) == whenAbsent)
        #expect(try PolicySamples.isMet(condition, ["lab:Key": ["x"]]) == whenPresent)
    }

    @Test(arguments: [
        ("a", "b", "1", true), ("a", "b", "2", false), ("a", "c", "1", false), ("x", "b", "1", false),
    ])
    func `keys and operators must all be met`(_ one: String, _ two: String, _ three: String, _ isMet: Bool) throws {
        let condition = """
            {"StringEquals": {"lab:One": ["a", "z"], "lab:Two": "b"}, "NumericLessThan": {"lab:Three": 2}}
            """
        let context: PolicyContext = ["lab:One": [one], "lab:Two": [two], "lab:Three": [three]]
        #expect(try PolicySamples.isMet(condition, context) == isMet)
    }

    @Test func `an operator without keys and a condition without operators are always met`() throws {
        #expect(try PolicySamples.isMet("{}", [:]))
        #expect(try PolicySamples.isMet("{\"StringEquals\": {}}", [:]))
    }

    @Test(arguments: [
        ("stringEquals", "StringEquals"), ("StringEqual", "StringEquals"), ("stringequals", "StringEquals"),
        ("IPAddress", "IpAddress"), ("ARNLike", "ArnLike"), ("ForAnyValues:StringLike", "ForAnyValue:StringLike"),
        ("forallvalues:StringLike", "ForAllValues:StringLike"), ("StringLikeIfExist", nil),
        ("StringEqualsifexists", "StringEqualsIfExists"), ("NullIfExists", nil), ("ForAnyValue:Null", nil),
        ("aws:PrincipalTag/x509Subject/CN", nil), ("", nil), ("IfExists", nil), ("ForAnyValue:", nil),
        ("BinaryNotEquals", "BinaryEquals"),
    ])
    func `an unknown operator is refused with the one that was meant`(_ name: String, _ meant: String?) throws {
        let error = #expect(throws: PolicyError.self) {
            try PolicySamples.conditional("{\"\(name)\": {\"lab:Key\": \"x\"}}")
        }
        #expect(error?.message == "Syntax errors in policy.")
        #expect(error?.detail == "unknown condition operator \"\(name)\" in Statement[0].Condition")
        if let meant { #expect(error?.hint == "write \(meant)") }
    }
}
