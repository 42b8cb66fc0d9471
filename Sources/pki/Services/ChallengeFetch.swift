// SPDX-License-Identifier: Apache-2.0

import EnrolmentService
import RolesAnywhere

/// Asks a host for its proof of a name, with libcurl: one request to an address that was checked, no redirect, no proxy.
enum ChallengeFetch {
    private static let transport: CurlTransport = {
        var transport = CurlTransport(
            connectTimeout: .seconds(5), timeout: .seconds(10), bodyLimit: 1_024, proxy: .none,
            userAgent: "pki serve-ca")
        transport.allowsCleartext = true
        return transport
    }()

    static func get(_ request: HTTPChallengeRequest) throws -> (status: Int, body: [UInt8]) {
        let host = request.address.contains(":") ? "[\(request.address)]" : request.address
        let url = try HTTPURL("http://\(host):\(request.port)\(request.path)")
        let port = request.port == 80 ? "" : ":\(request.port)"
        let response = try transport.send(
            HTTPRequest(method: "GET", url: url, headers: ["Host": "\(request.host)\(port)"]))
        return (response.status, response.body)
    }
}
