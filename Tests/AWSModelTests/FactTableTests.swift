// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import Testing

/// The table of facts as `Fixtures/facts.json` has it, which an interop test compares with the service model of botocore.
@Suite struct FactTableTests {
    private struct Limit: Codable, Equatable {
        var name: String
        var minimum: Int
        var maximum: Int
        var page: String
        var url: String
        var shapes: [String]
    }

    private struct Text: Codable, Equatable {
        var name: String
        var pattern: String
        var page: String
        var url: String
        var shapes: [String]
    }

    private struct Facts: Codable, Equatable {
        var limits: [Limit]
        var texts: [Text]
        var enumerations: [String: [String]]
    }

    private let facts = Facts(
        limits: AWSLimit.all.map {
            Limit(
                name: $0.name, minimum: $0.minimum, maximum: $0.maximum, page: $0.page.rawValue, url: $0.page.url,
                shapes: $0.shapes)
        },
        texts: AWSText.allCases.map {
            Text(name: $0.rawValue, pattern: $0.pattern, page: $0.page.rawValue, url: $0.page.url, shapes: $0.shapes)
        },
        enumerations: AWSWords.all
    )

    private let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/facts.json")

    @Test func `the fixture has every fact as the code has it`() throws {
        if ProcessInfo.processInfo.environment["PKI_WRITE_FIXTURES"] != nil {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try (encoder.encode(facts) + Data("\n".utf8)).write(to: file)
        }
        let kept = try JSONDecoder().decode(Facts.self, from: Data(contentsOf: file))
        #expect(kept == facts, "write it again with PKI_WRITE_FIXTURES=1 and the filter FactTableTests")
    }

    @Test func `each limit has one name`() {
        #expect(Set(AWSLimit.all.map(\.name)).count == AWSLimit.all.count)
    }

    @Test func `texts allow what their patterns allow`() {
        #expect(AWSText.resourceName.allows("a Z-0_9"))
        #expect(!AWSText.resourceName.allows("a.b") && !AWSText.resourceName.allows("ä"))
        #expect(AWSText.tag.allows(" a_.:/=+@-") && !AWSText.tag.allows("a,b"))
        #expect(AWSText.sessionName.allows("a_+=,.@-") && !AWSText.sessionName.allows("a b"))
    }
}
