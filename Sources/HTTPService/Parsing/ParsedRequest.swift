// SPDX-License-Identifier: Apache-2.0

/// What the bytes of a request say.
struct ParsedRequest: Sendable {
    var method: HTTPMethod
    var target: String
    /// The minor version: 0 or 1.
    var minorVersion: Int
    var headers: HTTPHeaders
    var body: [UInt8]
    /// Whether the client wants the connection to stay open.
    var keepsAlive: Bool
}
