// SPDX-License-Identifier: Apache-2.0

package import struct FoundationEssentials.Date

/// How the lab came to an answer: every check in order, up to the first that failed.
package struct Trace: Sendable {
    /// One check.
    package struct Entry: Sendable {
        /// What was looked at.
        package let check: Check

        /// Whether it was as it should be.
        package let passed: Bool

        /// What was found.
        package let detail: String

        /// What would mend it.
        package let hint: String?
    }

    /// Rises by one with every trace of a lab.
    package internal(set) var number = 0

    /// What the client was told as `x-amzn-RequestId`.
    package let requestIdentifier: String

    /// When the request was looked at.
    package let date: Date

    /// Where it came from.
    package let remoteAddress: String

    /// The service: `rolesanywhere`, `iam`, `sts`.
    package let service: String

    /// The operation: `CreateSession`, `GetCallerIdentity`, …
    package let operation: String

    /// The checks.
    package internal(set) var entries: [Entry] = []

    /// The status of the answer.
    package internal(set) var status = 500

    /// The code of a refusal.
    package internal(set) var code: String?

    /// What the client was told of a refusal.
    package internal(set) var message: String?

    /// The subject of the certificate, once it was read.
    package internal(set) var subject: String?

    /// The ARN of whose access key signed the request.
    package internal(set) var caller: String?

    /// The ARN of the session, when one was created.
    package internal(set) var assumedRole: String?

    /// For a signature that is not valid: what the lab made of the request, and what the client did.
    package internal(set) var canonicalRequest: CanonicalComparison?

    /// The check that failed.
    package var failure: Entry? { entries.last.flatMap { $0.passed ? nil : $0 } }

    init(requestIdentifier: String, date: Date, remoteAddress: String, service: String, operation: String) {
        self.requestIdentifier = requestIdentifier
        self.date = date
        self.remoteAddress = remoteAddress
        self.service = service
        self.operation = operation
    }

    /// Records a check that passed.
    mutating func pass(_ check: Check, _ detail: String) {
        entries.append(Entry(check: check, passed: true, detail: detail, hint: nil))
    }

    /// Records the check that failed, unless the last one did.
    mutating func fail(_ check: Check, _ refusal: ServiceRefusal) {
        guard failure == nil else { return }
        entries.append(Entry(check: check, passed: false, detail: refusal.detail, hint: refusal.hint))
    }

    /// Runs a check that throws a ``ServiceRefusal`` when it fails, and records it.
    ///
    /// - Parameters:
    ///   - check: What is looked at.
    ///   - body: Looks at it; what it returns is what was found.
    /// - Returns: What the body found, besides the words for the trace.
    /// - Throws: What the body throws.
    mutating func run<Finding>(
        _ check: Check,
        _ body: () throws -> (finding: Finding, detail: String)
    ) throws -> Finding {
        do {
            let result = try body()
            pass(check, result.detail)
            return result.finding
        } catch let refusal as ServiceRefusal {
            fail(check, refusal)
            throw refusal
        }
    }

    /// Runs a check that finds nothing but whether all is well.
    ///
    /// - Parameters:
    ///   - check: What is looked at.
    ///   - body: Looks at it and returns the words for the trace.
    /// - Throws: What the body throws.
    mutating func run(_ check: Check, _ body: () throws -> String) throws {
        try run(check) { ((), try body()) }
    }
}

extension Trace {
    /// The trace as the page and `pki lab log --format json` have it.
    var json: JSONValue {
        [
            "number": .integer(number), "requestId": .string(requestIdentifier), "date": JSONValue(date),
            "remoteAddress": .string(remoteAddress), "service": .string(service), "operation": .string(operation),
            "status": .integer(status), "code": JSONValue(code), "message": JSONValue(message),
            "subject": JSONValue(subject), "caller": JSONValue(caller), "assumedRole": JSONValue(assumedRole),
            "checks": .array(
                entries.map { entry in
                    [
                        "check": .string("\(entry.check)"), "title": .string(entry.check.rawValue),
                        "passed": .boolean(entry.passed), "detail": .string(entry.detail),
                        "hint": JSONValue(entry.hint),
                    ]
                }
            ),
            "canonicalRequest": canonicalRequest.map { comparison in
                [
                    "lab": .string(comparison.lab), "client": JSONValue(comparison.client),
                    "difference": JSONValue(comparison.difference),
                ]
            } ?? .null,
        ]
    }
}
