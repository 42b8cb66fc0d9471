// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
@testable import RolesAnywhere

private let sessionRequest = try? SessionRequest(
    trustAnchorARN: "arn:aws:rolesanywhere:eu-west-1:111122223333:trust-anchor/00000000-0000-4000-8000-000000000000",
    profileARN: "arn:aws:rolesanywhere:eu-west-1:111122223333:profile/00000000-0000-4000-8000-000000000000",
    roleARN: "arn:aws:iam::111122223333:role/r")

extension FuzzTarget {
    static let serviceAnswer = FuzzTarget("service-answer") { bytes in
        if let sessionRequest {
            _ = try? SessionCredentials(
                answer: bytes, to: sessionRequest, at: Date(timeIntervalSince1970: 1_800_000_000))
        }
        let header = String(decoding: bytes.prefix { $0 != 0x0a }, as: UTF8.self)
        let refusal = HTTPResponse(status: 403, headers: ["X-Amzn-ErrorType": header, "Date": header], body: bytes)
        let error = ServiceError(refusal)
        _ = (error.isTransient, error.code, error.text, error.requestID)
    }

    static let identityAnswer = FuzzTarget("identity-answer") { bytes in
        _ = try? CallerIdentity(answer: bytes)
    }

    static let address = FuzzTarget("address") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? HTTPURL(text)
        _ = AmazonResourceName(text)
        _ = try? Endpoint(text)
        _ = try? CertificateSelector(text)
    }
}
