// SPDX-License-Identifier: Apache-2.0

import RolesAnywhere
import Testing

@Suite struct ProxyExemptionsTests {
    /// As Go's `golang.org/x/net/http/httpproxy` has it, but for `.example.com`, which exempts the domain itself too, as in curl.
    @Test(arguments: [
        ("*.example.com", "https://a.example.com", true), ("*.example.com", "https://example.com", false),
        (".example.com", "https://a.example.com", true), (".example.com", "https://example.com", true),
        ("example.com", "https://a.b.example.com", true), ("example.com", "https://notexample.com", false),
        ("example.com:443", "https://example.com", true), ("example.com:443", "https://a.example.com", true),
        ("example.com:8443", "https://example.com", false), ("example.com:8443", "https://example.com:8443", true),
        ("*.example.com:443", "https://a.example.com", true), ("EXAMPLE.com", "https://example.COM", true),
        ("a, example.com", "https://example.com", true), ("a example.com", "https://example.com", true),
        ("*", "https://example.com", true), ("", "https://example.com", false),
        (",:443,.,", "https://example.com", false),
        ("10.0.0.0/8", "https://10.1.2.3", true), ("10.0.0.0/8", "https://11.1.2.3", false),
        ("10.1.2.3", "https://10.1.2.3", true), ("10.1.2.3:443", "https://10.1.2.3", true),
        ("10.1.2.3:444", "https://10.1.2.3", false), ("2001:db8::1", "https://[2001:DB8::1]", true),
        ("[2001:db8::1]:443", "https://[2001:db8::1]", true), ("2001:db8::/32", "https://[2001:db8:1::1]", true),
        ("10.0.0.0/x", "https://10.1.2.3", false),
    ])
    func `D4: hosts are exempt as in Go`(_ value: String, _ url: String, _ isExempt: Bool) throws {
        for name in ["NO_PROXY", "no_proxy"] {
            #expect(try ProxyExemptions(environment: [name: value]).contains(HTTPURL(url)) == isExempt)
        }
    }
}
