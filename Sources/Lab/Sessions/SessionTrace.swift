// SPDX-License-Identifier: Apache-2.0

public import struct FoundationEssentials.Date

/// How the lab came to its answer: every check in order, up to the first that failed.
public struct SessionTrace: Sendable, Encodable {
    /// One check.
    public struct Entry: Sendable, Encodable {
        /// What was looked at.
        public let check: SessionCheck

        /// Whether it was as it should be.
        public let passed: Bool

        /// What was found.
        public let detail: String

        /// What would mend it.
        public let remedy: String?
    }

    /// What the client was told as `x-amzn-RequestId`.
    public let requestIdentifier: String

    /// When the request was looked at.
    public let date: Date

    /// Where it came from.
    public let remoteAddress: String

    /// The checks.
    public internal(set) var entries: [Entry] = []

    /// The status of the answer.
    public internal(set) var status = 500

    /// The code of a refusal.
    public internal(set) var code: String?

    /// The subject of the certificate, once it was read.
    public internal(set) var subject: String?

    /// The ARN of the session, when one was created.
    public internal(set) var assumedRole: String?

    /// For a signature that is not valid: the canonical request that the lab rebuilt, to be compared with the client's.
    public internal(set) var canonicalRequest: String?

    /// The check that failed.
    public var failure: Entry? { entries.last.flatMap { $0.passed ? nil : $0 } }

    init(requestIdentifier: String, date: Date, remoteAddress: String) {
        self.requestIdentifier = requestIdentifier
        self.date = date
        self.remoteAddress = remoteAddress
    }

    /// Records a check that passed.
    mutating func pass(_ check: SessionCheck, _ detail: String) {
        entries.append(Entry(check: check, passed: true, detail: detail, remedy: nil))
    }

    /// Runs a check that throws a ``ServiceRefusal`` when it fails, and records it.
    ///
    /// - Parameters:
    ///   - check: What is looked at.
    ///   - body: Looks at it; what it returns is what was found.
    /// - Returns: What the body found, besides the words for the trace.
    /// - Throws: What the body throws.
    mutating func run<Finding>(
        _ check: SessionCheck,
        _ body: () throws -> (finding: Finding, detail: String)
    ) throws -> Finding {
        do {
            let result = try body()
            pass(check, result.detail)
            return result.finding
        } catch let refusal as ServiceRefusal {
            entries.append(Entry(check: check, passed: false, detail: refusal.detail, remedy: refusal.remedy))
            throw refusal
        }
    }

    /// Runs a check that finds nothing but whether all is well.
    ///
    /// - Parameters:
    ///   - check: What is looked at.
    ///   - body: Looks at it and returns the words for the trace.
    /// - Throws: What the body throws.
    mutating func run(_ check: SessionCheck, _ body: () throws -> String) throws {
        try run(check) { ((), try body()) }
    }
}
