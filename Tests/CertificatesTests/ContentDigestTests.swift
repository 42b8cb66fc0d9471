// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@Suite struct ContentDigestTests {
    @Test func `it is libcrypto's SHA-256, whatever the length`() {
        for count in Array(0...260) + [4095, 4096, 100_003] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ count) }
            #expect(contentDigest(bytes) == Digest.sha256.hash(bytes), "\(count)")
        }
    }
}
