// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
package import struct FoundationEssentials.Date
package import SystemSupport

/// What the lab takes from outside: its region and account in AWS, the time, and random bytes.
package struct LabEnvironment: Sendable {
    package var region: String

    /// Twelve digits.
    package var account: String

    package var now: @Sendable () -> Date

    /// Returns so many random bytes, cryptographically secure outside of tests.
    package var randomBytes: @Sendable (Int) -> [UInt8]

    package init(
        region: String, account: String, now: @escaping @Sendable () -> Date,
        randomBytes: @escaping @Sendable (Int) -> [UInt8]
    ) {
        self.region = region
        self.account = account
        self.now = now
        self.randomBytes = randomBytes
    }

    /// Returns a random UUID (RFC 9562, version 4).
    func newIdentifier() -> String { UniversalIdentifier.text(randomBytes(16), version: 4) }

    /// The ARN of a resource of IAM Roles Anywhere.
    func arn(_ kind: String, _ identifier: some StringProtocol) -> AmazonResourceName {
        AmazonResourceName(rolesAnywhere: "\(kind)/\(identifier)", region: region, account: account)
    }

    /// The ARN of a resource of IAM, or with `sts` of STS: services without regions in their names.
    func globalARN(_ service: String, _ resource: String) -> AmazonResourceName {
        AmazonResourceName(global: service, resource, region: region, account: account)
    }
}

/// What the lab does otherwise than the service, so that clients can be tested against failures.
package struct LabFaults: Sendable {
    /// How long the lab waits before it looks at a request.
    package var delay: Duration = .zero

    /// How many requests, whatever they are, are answered with ``failureStatus``.
    package var failureCount = 0

    /// The status of those answers, 400 to 599.
    package var failureStatus = 503

    /// The length of sessions in seconds, whatever was asked for.
    package var expiresIn: Int?

    /// CreateSession is throttled beyond so many requests a second.
    package var sessionsPerSecond: Int?

    package init() {}
}

/// Why the lab cannot be set up or go on. A bad request is answered and never becomes a `LabError`.
package typealias LabError = CodedError<LabErrorCode>

package enum LabErrorCode: Sendable {
    /// A resource breaks a rule of IAM Roles Anywhere.
    case invalidResource
    /// The server's own certificate could not be made.
    case invalidIdentity
    /// The state file cannot be read or written.
    case stateUnavailable
}

/// UUIDs as text (RFC 9562).
enum UniversalIdentifier {
    /// A UUID of version 8, made from a SHA-256 of the parts: the same parts give the same one, so that scripts can keep
    /// the lab's ARNs.
    static func derived(from parts: [[UInt8]]) -> String {
        var message: [UInt8] = []
        for part in parts {
            message += "\(part.count):".utf8
            message += part
        }
        return text(Array(Digest.sha256.hash(message).prefix(16)), version: 8)
    }

    /// Writes sixteen bytes as a UUID. Missing bytes are zero; the bits of version and variant are overwritten.
    static func text(_ bytes: [UInt8], version: UInt8) -> String {
        var bytes = Array((bytes + [UInt8](repeating: 0, count: 16)).prefix(16))
        bytes[6] = bytes[6] & 0x0f | version << 4
        bytes[8] = bytes[8] & 0x3f | 0x80
        var text = Array(hexadecimal(bytes).utf8)
        for place in [20, 16, 12, 8] { text.insert(0x2d, at: place) }
        return String(decoding: text, as: UTF8.self)
    }
}

/// The alphabet of AWS's unique identifiers: capitals and the digits 2 to 7 (RFC 4648 §6).
enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    /// Writes one character for each byte, by its lower five bits.
    static func characters(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: bytes.map { alphabet[Int($0 & 31)] }, as: UTF8.self)
    }

    /// Derives at most 32 characters from a text; the same text gives the same ones.
    static func characters(derivedFrom text: String, count: Int) -> String {
        characters(Digest.sha256.hash(Array(text.utf8)).prefix(count))
    }
}
