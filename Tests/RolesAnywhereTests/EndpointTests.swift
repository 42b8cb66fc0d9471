// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RolesAnywhere

struct EndpointTests {
    @Test(arguments: [
        ("us-east-1", "https://rolesanywhere.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "https://rolesanywhere.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://rolesanywhere.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", "https://rolesanywhere.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "https://rolesanywhere.us-isob-east-1.sc2s.sgov.gov"),
        ("eu-isoe-west-1", "https://rolesanywhere.eu-isoe-west-1.cloud.adc-e.uk"),
        ("us-isof-south-1", "https://rolesanywhere.us-isof-south-1.csp.hci.ic.gov"),
        ("eusc-de-east-1", "https://rolesanywhere.eusc-de-east-1.amazonaws.eu"),
        ("mars-north-7", "https://rolesanywhere.mars-north-7.amazonaws.com"),
        ("cn-somewhere-9", "https://rolesanywhere.cn-somewhere-9.amazonaws.com.cn"),
    ])
    func `a region's endpoint follows its partition`(region: String, address: String) throws {
        #expect(try Endpoint(region: region).description == address)
    }

    @Test(arguments: [
        ("us-east-1", "https://rolesanywhere.us-east-1.api.aws"),
        ("cn-north-1", "https://rolesanywhere.cn-north-1.api.amazonwebservices.com.cn"),
    ])
    func `dual-stack endpoints have a suffix of their own`(region: String, address: String) throws {
        #expect(try Endpoint(region: region, variant: .dualStack).description == address)
    }

    @Test func `FIPS endpoints exist in some regions`() throws {
        let endpoint = try Endpoint(region: "us-gov-east-1", variant: .fips)
        #expect(endpoint.description == "https://rolesanywhere-fips.us-gov-east-1.amazonaws.com")
        let error = try #require(throws: RolesAnywhereError.self) {
            try Endpoint(region: "eu-central-1", variant: .fips)
        }
        #expect(error.message.contains("eu-central-1"))
        #expect(throws: RolesAnywhereError.self) { try Endpoint(region: "us-iso-east-1", variant: .dualStack) }
    }

    @Test(
        arguments: [
            ("us-east-1", .standard, "https://sts.us-east-1.amazonaws.com"),
            ("us-gov-west-1", .standard, "https://sts.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", .standard, "https://sts.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", .standard, "https://sts.eusc-de-east-1.amazonaws.eu"),
            ("eu-west-1", .dualStack, "https://sts.eu-west-1.api.aws"),
            ("cn-north-1", .dualStack, "https://sts.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-west-2", .fips, "https://sts-fips.us-west-2.amazonaws.com"),
            ("us-gov-west-1", .fips, "https://sts.us-gov-west-1.amazonaws.com"),
        ] as [(String, Endpoint.Variant, String)]
    )
    func `STS has endpoints of its own`(region: String, variant: Endpoint.Variant, address: String) throws {
        let endpoint = try Endpoint(region: region, variant: variant, service: .securityTokenService)
        #expect(endpoint.description == address)
    }

    @Test func `STS has no FIPS endpoint outside the United States`() {
        #expect(throws: RolesAnywhereError.self) {
            try Endpoint(region: "eu-west-1", variant: .fips, service: .securityTokenService)
        }
    }

    @Test(arguments: ["", "US-EAST-1", "us east 1", "us-east-1.evil.example/", "-us", "us-", "us-east-1\n"])
    func `what is no region is refused`(region: String) {
        #expect(throws: RolesAnywhereError.self) { try Endpoint(region: region) }
    }

    @Test(arguments: [
        ("https://vpce-1.example", "https://vpce-1.example/sessions"),
        ("https://VPCE-1.Example/", "https://vpce-1.example/sessions"),
        ("https://vpce-1.example:443", "https://vpce-1.example/sessions"),
        ("https://vpce-1.example:8443/", "https://vpce-1.example:8443/sessions"),
        ("https://vpce-1.example/a/b-c_d.e~f", "https://vpce-1.example/a/b-c_d.e~f/sessions"),
        ("http://127.0.0.1:9000/prefix", "http://127.0.0.1:9000/prefix/sessions"),
        ("http://localhost:80", "http://localhost/sessions"),
        ("http://[::1]:9000", "http://[::1]:9000/sessions"),
        ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x/sessions"),
    ])
    func `an endpoint of one's own puts its path in front`(text: String, address: String) throws {
        #expect(try Endpoint(text).url(for: "/sessions", query: []).description == address)
    }

    @Test(arguments: [
        ("rolesanywhere.example", "https://"),
        ("ftp://host.example", "https://"),
        ("https://", "not a host"),
        ("https://host.example:0", "port"),
        ("https://host.example:65536", "port"),
        ("https://host.example:+1", "port"),
        ("https://host.example:", "port"),
        ("https://host example", "not a host"),
        ("https://host.example/a//b", "path"),
        ("https://host.example/a/../b", "path"),
        ("https://host.example/a%2Fb", "path"),
        ("https://host.example/a b", "path"),
        ("https://host.example/?x=y", "query"),
        ("https://host.example#x", "fragment"),
        ("https://[::1", "closed"),
        ("https://[hello]", "IPv6"),
        ("https://[::1]x", "after"),
        ("http://host.example", "not encrypted"),
        ("http://127.0.0.1.example", "not encrypted"),
        ("http://127.0.0.256", "not encrypted"),
        ("http://127.0.0.1.1", "not encrypted"),
        ("http://128.0.0.1", "not encrypted"),
    ])
    func `what cannot be an endpoint is refused and the part is named`(text: String, part: String) throws {
        let error = try #require(throws: RolesAnywhereError.self) { try Endpoint(text) }
        #expect(error.code == .invalidArgument)
        #expect("\(error.message) \(error.hint ?? "")".contains(part))
    }

    @Test func `a password in an address is refused and not repeated`() throws {
        let error = try #require(throws: RolesAnywhereError.self) { try Endpoint("https://me:hunter2@host.example") }
        #expect(!error.message.contains("hunter2"))
        #expect(!(error.hint ?? "").contains("hunter2"))
    }
}
