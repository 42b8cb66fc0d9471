// SPDX-License-Identifier: Apache-2.0
//
// Written by Tests/Fixtures/make-sts-vectors. Do not edit.
// swift-format-ignore-file

/// A request for GetCallerIdentity for 2026-01-02T03:04:05Z as botocore sends it. Its canonical form shows no token.
struct CallerIdentityVector: Sendable {
    var region: String
    var endpoint: String?
    var url: String
    var accessKeyID: String
    var secretAccessKey: String
    var sessionToken: String
    var contentType: String
    var body: String
    var canonicalRequest: String
    var stringToSign: String
    var authorization: String

    static let all = [virginia, china, govCloud, loopback, behindPath]

    static let virginia = CallerIdentityVector(
        region: "us-east-1",
        endpoint: nil,
        url: "https://sts.us-east-1.amazonaws.com/",
        accessKeyID: "ASIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        sessionToken: "IQoJb3JpZ2luX2VjEHOaCXVzLWVhc3QtMSJHMEUCIQDx+/4xyz==",
        contentType: "application/x-www-form-urlencoded; charset=utf-8",
        body: "Action=GetCallerIdentity&Version=2011-06-15",
        canonicalRequest: #"""
            POST
            /

            content-type:application/x-www-form-urlencoded; charset=utf-8
            host:sts.us-east-1.amazonaws.com
            x-amz-date:20260102T030405Z
            x-amz-security-token:<redacted>

            content-type;host;x-amz-date;x-amz-security-token
            ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843
            """#,
        stringToSign: #"""
            AWS4-HMAC-SHA256
            20260102T030405Z
            20260102/us-east-1/sts/aws4_request
            8ca6fa211bae4adb2e8bc3b8ecea63585d3eb8ec183ccf518ea093b8ec465e2d
            """#,
        authorization: "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20260102/us-east-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=d15a9c06015d44db8cbb69d8530f01446cd2f1a4dbe7d3c62440bc5a61f5effa"
    )

    static let china = CallerIdentityVector(
        region: "cn-north-1",
        endpoint: nil,
        url: "https://sts.cn-north-1.amazonaws.com.cn/",
        accessKeyID: "ASIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        sessionToken: "IQoJb3JpZ2luX2VjEHOaCXVzLWVhc3QtMSJHMEUCIQDx+/4xyz==",
        contentType: "application/x-www-form-urlencoded; charset=utf-8",
        body: "Action=GetCallerIdentity&Version=2011-06-15",
        canonicalRequest: #"""
            POST
            /

            content-type:application/x-www-form-urlencoded; charset=utf-8
            host:sts.cn-north-1.amazonaws.com.cn
            x-amz-date:20260102T030405Z
            x-amz-security-token:<redacted>

            content-type;host;x-amz-date;x-amz-security-token
            ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843
            """#,
        stringToSign: #"""
            AWS4-HMAC-SHA256
            20260102T030405Z
            20260102/cn-north-1/sts/aws4_request
            134d3d32d2301ddf73f53d1d3bf38ed2ef7fd141399c6e7263d41f4ed2f8d26d
            """#,
        authorization: "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20260102/cn-north-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=f82c4bde969521cd5ef36509e2220e6c8f63624668ba8588d0fd7d97367294c8"
    )

    static let govCloud = CallerIdentityVector(
        region: "us-gov-west-1",
        endpoint: nil,
        url: "https://sts.us-gov-west-1.amazonaws.com/",
        accessKeyID: "ASIA1",
        secretAccessKey: "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
        sessionToken: "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt",
        contentType: "application/x-www-form-urlencoded; charset=utf-8",
        body: "Action=GetCallerIdentity&Version=2011-06-15",
        canonicalRequest: #"""
            POST
            /

            content-type:application/x-www-form-urlencoded; charset=utf-8
            host:sts.us-gov-west-1.amazonaws.com
            x-amz-date:20260102T030405Z
            x-amz-security-token:<redacted>

            content-type;host;x-amz-date;x-amz-security-token
            ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843
            """#,
        stringToSign: #"""
            AWS4-HMAC-SHA256
            20260102T030405Z
            20260102/us-gov-west-1/sts/aws4_request
            256146948b365cc614a7f08bc35a5fb3836ae20c1fc561ea0ab568583cb74650
            """#,
        authorization: "AWS4-HMAC-SHA256 Credential=ASIA1/20260102/us-gov-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=898f62ed2a529f57fbfd4b209e7cd9e2a2c9e3e3d76aa6717572381f761cfc45"
    )

    static let loopback = CallerIdentityVector(
        region: "eu-central-1",
        endpoint: "http://127.0.0.1:9912",
        url: "http://127.0.0.1:9912/",
        accessKeyID: "ASIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        sessionToken: "IQoJb3JpZ2luX2VjEHOaCXVzLWVhc3QtMSJHMEUCIQDx+/4xyz==",
        contentType: "application/x-www-form-urlencoded; charset=utf-8",
        body: "Action=GetCallerIdentity&Version=2011-06-15",
        canonicalRequest: #"""
            POST
            /

            content-type:application/x-www-form-urlencoded; charset=utf-8
            host:127.0.0.1:9912
            x-amz-date:20260102T030405Z
            x-amz-security-token:<redacted>

            content-type;host;x-amz-date;x-amz-security-token
            ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843
            """#,
        stringToSign: #"""
            AWS4-HMAC-SHA256
            20260102T030405Z
            20260102/eu-central-1/sts/aws4_request
            486ec475a44aa0d1497cfd87aa80eaad461e2218d9139c8b4f7efed7a795e4b6
            """#,
        authorization: "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20260102/eu-central-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=4a7193f8b78a22e196443b439b9d49cc215b69241b4da66d09d2e50c0da79b26"
    )

    static let behindPath = CallerIdentityVector(
        region: "eu-central-1",
        endpoint: "https://gateway.example/sts",
        url: "https://gateway.example/sts",
        accessKeyID: "ASIAIOSFODNN7EXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        sessionToken: "IQoJb3JpZ2luX2VjEHOaCXVzLWVhc3QtMSJHMEUCIQDx+/4xyz==",
        contentType: "application/x-www-form-urlencoded; charset=utf-8",
        body: "Action=GetCallerIdentity&Version=2011-06-15",
        canonicalRequest: #"""
            POST
            /sts

            content-type:application/x-www-form-urlencoded; charset=utf-8
            host:gateway.example
            x-amz-date:20260102T030405Z
            x-amz-security-token:<redacted>

            content-type;host;x-amz-date;x-amz-security-token
            ab821ae955788b0e33ebd34c208442ccfc2d406e2edc5e7a39bd6458fbb4f843
            """#,
        stringToSign: #"""
            AWS4-HMAC-SHA256
            20260102T030405Z
            20260102/eu-central-1/sts/aws4_request
            7e7ee4299f496e1047e7ce8cc9db9ec21b2ba34a2f724d27ede657189e0b1d27
            """#,
        authorization: "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20260102/eu-central-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=2f90ddcfb78c95b163027db503a16f00327d7326338c1b6cbfaf28b31fd21d46"
    )
}
