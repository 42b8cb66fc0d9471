// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Lab

@Suite struct PolicyDocumentTests {
    private static func trust(_ statement: String) -> String {
        "{\"Version\":\"2012-10-17\",\"Statement\":\(statement)}"
    }
    private static let head = "\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\""
    private static let service = "\"Principal\":{\"Service\":\"rolesanywhere.amazonaws.com\"}"

    private static func action(_ text: String) -> String {
        trust("{\"Effect\":\"Allow\",\(service),\"Action\":\(text)}")
    }

    private static func principal(_ text: String) -> String { trust("{\(head),\"Principal\":\(text)}") }

    private static func nested(_ depth: Int) -> String {
        String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }

    @Test func `the text is kept as it was`() throws {
        let policy = try PolicyDocument(PolicySamples.trust, kind: .trust)
        #expect(policy.text == PolicySamples.trust)
        #expect(policy.statements.map(\.label) == ["Statement \"RolesAnywhere\"", "Statement[1]"])
        #expect(try policy == PolicyDocument(PolicySamples.trust, kind: .trust))
    }

    @Test(arguments: [
        "{\"Statement\":{\(head),\(service)}}",
        trust("[{\(head),\(service),\"Sid\":\"\"},{\(head),\(service),\"Sid\":\"\"}]"),
        "{\"Version\":\"2008-10-17\",\"Id\":\"x\",\"Statement\":[{\(head),\(service)}]}", action("\"sts:*\""),
        action("[\"STS:assumerole\",\"sts:Tag*\",\"sts:SetSourceIdentity\"]"), principal("\"*\""),
        principal("{\"AWS\":\"*\"}"), principal("{\"AWS\":[\"111122223333\",\"arn:aws:iam::111122223333:root\"]}"),
        principal("{\"AWS\":\"arn:aws-cn:iam::111122223333:role/a/b\"}"),
        principal("{\"AWS\":\"arn:aws:sts::111122223333:assumed-role/a/b\",\"Service\":\"ec2.amazonaws.com\"}"),
        principal("{\"Federated\":\"arn:aws:iam::111122223333:saml-provider/x\"}"),
        trust("{\"Effect\":\"Deny\",\"Action\":\"sts:AssumeRole\",\"NotPrincipal\":{\"AWS\":\"111122223333\"}}"),
        " \n" + trust("[{\(head),\(service),\"Condition\":{}}]") + "\r\n\t",
    ])
    func `trust policies that IAM stores are read`(_ text: String) throws {
        #expect(try PolicyDocument(text, kind: .trust).text == text)
    }

    @Test(arguments: [
        ("", "This policy contains invalid Json", "line 1, column 1"), ("{", "invalid Json", "line 1, column 2"),
        ("{\n 'a': 1}", "invalid Json", "line 2, column 2"), ("[1,]", "invalid Json", "no value"),
        ("{\"Version\":\"2012-10-17\",}", "invalid Json", "comma before"), ("{} x", "invalid Json", "behind the end"),
        ("{\"a\":1,\"\\u0061\":2}", "invalid Json", "\"a\" appears twice"),
        ("\"\\ud800\"", "invalid Json", "surrogate"),
        ("\"\\ud800\\u0041\"", "invalid Json", "surrogate"), ("\"\\udc00\"", "invalid Json", "surrogate"),
        ("\"\\x\"", "invalid Json", "escape"), ("\"\\u12g4\"", "invalid Json", "hexadecimal"),
        ("\"a", "Json", "no end"),
        ("\"a\nb\"", "invalid Json", "control"), ("01", "invalid Json", "behind"), ("1.", "invalid Json", "digit"),
        ("nul", "invalid Json", "no value"), (nested(33), "invalid Json", "column 33: more than 32 levels"),
        (nested(32), "Syntax", "an array, not an object"),
        (String(repeating: "[", count: 100_000), "invalid Json", "32 levels"),
        (String(repeating: " ", count: 131_073), "Syntax", "131073 octets"), ("1e999999999", "Syntax", "a number"),
        ("null", "Syntax", "null, not an object"), ("\"\\ud83d\\ude00\"", "Syntax", "a string, not an object"),
        ("{}", "Missing required field Statement", "the policy"), ("{\"Statement\":[]}", "Syntax", "empty"),
        ("{\"Statement\":[[]]}", "Syntax", "Statement[0] is an array"),
        ("{\"statement\":[]}", "Syntax", "\"statement\""),
        ("{\"Version\":\"2012-10-18\",\"Statement\":[]}", "Syntax", "2012-10-18"),
        ("{\"Version\":20121017,\"Statement\":[]}", "Syntax", "Version"),
        ("{\"Id\":[],\"Statement\":[]}", "Syntax", "Id"),
        (trust("{\(head)}"), "Missing required field Principal", "Statement[0] has no"),
        (trust("{\(head),\(service),\"Resource\":\"*\"}"), "Has prohibited field Resource", "Statement[0]"),
        (trust("{\(head),\(service),\"NotResource\":\"*\"}"), "Has prohibited field NotResource", "Statement[0]"),
        (trust("{\(head),\"NotPrincipal\":{\"AWS\":\"*\"}}"), "Has prohibited field NotPrincipal", "Statement[0]"),
        (trust("{\(service),\"Action\":\"sts:AssumeRole\"}"), "Missing required field Effect", "Statement[0]"),
        (trust("{\(service),\"Effect\":\"allow\",\"Action\":\"sts:AssumeRole\"}"), "Syntax", "Effect is \"allow\""),
        (trust("{\(service),\"Effect\":true,\"Action\":\"sts:AssumeRole\"}"), "Syntax", "Effect"),
        (trust("{\(service),\"Effect\":\"Allow\"}"), "Missing required field Action", "Statement[0]"),
        (trust("{\(head),\(service),\"NotAction\":\"sts:*\"}"), "Syntax", "both Action and NotAction"),
        (trust("{\(head),\(service),\"Conditions\":{}}"), "Syntax", "Conditions"),
        (trust("[{\(head),\(service)},{\(head),\(service),\"Condition\":[]}]"), "Syntax", "Statement[1].Condition is"),
        (trust("{\(head),\(service),\"Condition\":{\"Bool\":\"x\"}}"), "Syntax", "Condition.Bool"),
        (trust("{\(head),\(service),\"Condition\":{\"Bool\":{\"x\":\"true\"}}}"), "prefaced by a vendor", "Bool.x"),
        (trust("{\(head),\(service),\"Condition\":{\"Bool\":{\"a:x\":\"yes\"}}}"), "Syntax", "Bool.a:x is \"yes\""),
        (trust("{\(head),\(service),\"Condition\":{\"Bool\":{\"a:x\":null}}}"), "Syntax", "null"),
        (trust("{\(head),\(service),\"Condition\":{\"NumericEquals\":{\"a:x\":1e999}}}"), "Syntax", "1e999"),
        (trust("{\(head),\(service),\"Condition\":{\"IpAddress\":{\"a:x\":\"10.0.0.0/33\"}}}"), "Syntax", "/33"),
        (trust("{\(head),\(service),\"Condition\":{\"DateEquals\":{\"a:x\":\"2026-02-30\"}}}"), "Syntax", "02-30"),
        (trust("{\(head),\(service),\"Condition\":{\"BinaryEquals\":{\"a:x\":\"=\"}}}"), "Syntax", "BinaryEquals"),
        (trust("{\(head),\(service),\"Sid\":\"a b\"}"), "must be alpha-numeric", "a b"),
        (trust("[{\(head),\(service),\"Sid\":\"a\"},{\(head),\(service),\"Sid\":\"a\"}]"), "must be unique", "[1].Sid"),
        (action("\"sts:TagSessions\""), "only specify STS AssumeRole actions", "sts:TagSessions"),
        (action("\"*\""), "only specify STS AssumeRole actions", "\"*\""),
        (action("\"AssumeRole\""), "vendor", "Action"),
        (action("[]"), "Missing required field Action", ""), (action("{}"), "Syntax", "an object"),
        (principal("\"rolesanywhere.amazonaws.com\""), "Invalid principal in policy", "Statement[0].Principal"),
        (principal("{}"), "Invalid principal", "names nobody"), (principal("{\"aws\":\"*\"}"), "Invalid", "a aws"),
        (principal("{\"Service\":\"rolesanywhere\"}"), "\"SERVICE\":\"rolesanywhere\"", "no service"),
        (principal("{\"Service\":\"*\"}"), "\"SERVICE\":\"*\"", "no service"),
        (principal("{\"AWS\":\"11112222333\"}"), "\"AWS\":\"11112222333\"", "neither"),
        (principal("{\"AWS\":\"arn:aws:iam::111122223333:role/*\"}"), "Invalid principal", "role/*"),
        (principal("{\"AWS\":\"arn:aws:iam::111122223333:group/a\"}"), "Invalid principal", "no user, role"),
        (principal("{\"AWS\":\"arn:aws:sts::111122223333:assumed-role/a\"}"), "Invalid principal", "session"),
        (principal("{\"AWS\":[1]}"), "Syntax", "a number"), (principal("{\"Federated\":\"\"}"), "FEDERATED", "empty"),
        (principal("{\"CanonicalUser\":\"x\"}"), "Invalid principal", "CanonicalUser"),
    ])
    func `a trust policy that IAM does not store is refused`(_ text: String, _ message: String, _ detail: String) {
        let error = #expect(throws: PolicyError.self) { try PolicyDocument(text, kind: .trust) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        #expect(error?.detail.contains(detail) == true, "\(error?.detail ?? "")")
    }

    @Test(arguments: [
        (action("\"sts:TagSessions\""), "write \"sts:TagSession\""),
        (action("\"sts:AsumeRole\""), "write \"sts:AssumeRole\""),
        (action("\"rolesanywhere:CreateSession\""), "the actions for IAM Roles Anywhere are"),
        (principal("{\"Service\":\"rolesanywhere.amazon.com\"}"), "rolesanywhere.amazonaws.com"),
        (principal("{\"Service\":\"rolesanywhere.eu-west-1.amazonaws.com\"}"), "rolesanywhere.amazonaws.com"),
        (principal("{\"Service\":\"roleanywhere.amazonaws.com\"}"), "rolesanywhere.amazonaws.com"),
        (trust("{\(head),\(service),\"Condition\":{\"stringEquals\":{\"a:b\":\"c\"}}}"), "write StringEquals"),
        (trust("{\(head),\(service),\"condition\":{}}"), "write Condition"),
        (trust("{\(head),\(service),\"Effect\":\"deny\"}"), "join both values"),
        (trust("{\"Effect\":\"ALLOW\",\(service),\"Action\":\"sts:AssumeRole\"}"), "with a capital"),
    ])
    func `a usual mistake is answered with a hint`(_ text: String, _ hint: String) {
        let error = #expect(throws: PolicyError.self) { try PolicyDocument(text, kind: .trust) }
        #expect(error?.hint?.contains(hint) == true, "\(error?.hint ?? "")")
    }

    @Test(arguments: [
        ("\"Action\":\"s3:*\"", "must contain resources"), ("\"Resource\":\"*\"", "must contain actions"),
        ("\"Action\":\"s3:*\",\"Resource\":\"*\",\"Principal\":\"*\"", "should not specify a principal"),
        ("\"Action\":\"s3:*\",\"Resource\":\"bucket\"", "must be in ARN format"),
        ("\"Action\":\"s3\",\"Resource\":\"*\"", "prefaced by a vendor"),
        ("\"Action\":\"s3:*\",\"Resource\":\"*\",\"NotResource\":\"*\"", "Syntax"),
        ("\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::${\"", "Syntax"),
    ])
    func `an identity's policy that IAM does not store is refused`(_ elements: String, _ message: String) {
        let text = Self.trust("[{\"Effect\":\"Allow\",\(elements)}]")
        let error = #expect(throws: PolicyError.self) { try PolicyDocument(text, kind: .identity) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func `whatever becomes of a policy's text, reading it ends`() {
        var state: UInt64 = 42
        func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let original = Array(PolicySamples.trust.utf8)
        let pieces = [
            "{", "}", "[", "]", "\"", "\\", "\\u", "\\ud800", ",", ":", "*", "${", "1e9", "null", "\u{0}", "é",
        ]
        var refused = 0
        for length in 0...original.count {
            let text = String(decoding: original.prefix(length), as: UTF8.self)
            if (try? PolicyDocument(text, kind: .trust)) == nil { refused += 1 }
        }
        #expect(refused == original.count)
        for _ in 0..<3_000 {
            var bytes = original
            for _ in 0...next(4) {
                let place = next(bytes.count)
                switch next(4) {
                case 0: bytes[place] = UInt8(next(256))
                case 1: bytes.insert(contentsOf: Array(pieces[next(pieces.count)].utf8), at: place)
                case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + next(20)))
                default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 1 + next(40))], at: place)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            for kind in [PolicyDocument.Kind.trust, .identity] {
                do {
                    let policy = try PolicyDocument(text, kind: kind)
                    #expect(policy.text == text)
                    #expect(policy.decision(for: PolicySamples.request()).explanation.count == policy.statements.count)
                } catch {
                    #expect(!error.detail.isEmpty)
                }
            }
        }
    }
}
