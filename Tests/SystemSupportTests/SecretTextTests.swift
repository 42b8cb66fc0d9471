// SPDX-License-Identifier: Apache-2.0

import SystemSupport
import FoundationEssentials
import Testing

@Suite struct SecretTextTests {
    @Test(arguments: 0...66)
    func `a secret of any length is in it as Foundation encodes it`(count: Int) {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20 {
            let secret = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            var text = SecretText()
            text.append("ä: ")
            text.append(base64: SecretBytes(secret))
            text.append("\n")
            let whole = unsafe text.bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
            #expect(whole == "ä: \(Data(secret).base64EncodedString())\n")
        }
    }

    @Test func `nothing that is shown of it is secret`() {
        var text = SecretText()
        text.append(base64: SecretBytes("secret".utf8))
        var dumped = ""
        dump(text, to: &dumped)
        #expect(!dumped.contains("secret") && !dumped.contains("c2VjcmV0"))
    }
}
