// SPDX-License-Identifier: Apache-2.0

import HardwareKeys
import SystemSupport
import Testing

@Suite struct HardwareKeyErrorTests {
    @Test func `an error is its message, and has its hint apart`() {
        let error = HardwareKeyError(.absent, "there is no token", hint: "plug it in")
        #expect("\(error)" == "there is no token")
        #expect(error.hint == "plug it in")
    }
}
