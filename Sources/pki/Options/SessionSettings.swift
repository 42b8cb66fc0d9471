// SPDX-License-Identifier: Apache-2.0

import RolesAnywhere

/// What is asked for.
struct SessionSettings: Sendable {
    var trustAnchorArn: String?
    var profileArn: String?
    var roleArn: String?
    var region: String?
    var sessionDuration: Int?
    var roleSessionName: String?

    /// The request.
    ///
    /// - Returns: A request that keeps the service's limits.
    /// - Throws: ``UsageError`` when an ARN is missing, `RolesAnywhereError` naming the option's rule.
    func request() throws -> SessionRequest {
        let request = try SessionRequest(
            trustAnchor: AmazonResourceName(needed(trustAnchorArn, "--trust-anchor-arn")),
            profile: AmazonResourceName(needed(profileArn, "--profile-arn")),
            role: AmazonResourceName(needed(roleArn, "--role-arn")),
            durationSeconds: sessionDuration ?? SessionRequest.defaultDuration,
            roleSessionName: roleSessionName
        )
        if let region, region != request.region {
            throw UsageError(
                message: "--region is \(region), but the trust anchor is in \(request.region)",
                hint: "leave --region out"
            )
        }
        return request
    }

    private func needed(_ value: String?, _ option: String) throws -> String {
        guard let value else { throw UsageError.missing(option) }
        return value
    }
}
