// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService

/// Writes answers as the service does: JSON, a request identifier, and for errors their code in a header.
enum ServiceAnswer {
    /// A result.
    ///
    /// - Parameters:
    ///   - status: 200 or 201.
    ///   - value: The body.
    ///   - requestIdentifier: The identifier of this request.
    /// - Returns: The answer; 500 when the value cannot be encoded.
    static func success(_ status: HTTPStatus, _ value: some Encodable, requestIdentifier: String) -> HTTPResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        guard let body = try? encoder.encode(value) else { return HTTPResponse(status: .internalServerError) }
        return HTTPResponse(status: status, headers: headers(requestIdentifier), body: Array(body))
    }

    /// A refusal.
    ///
    /// - Parameters:
    ///   - refusal: What the client is told.
    ///   - requestIdentifier: The identifier of this request.
    /// - Returns: The answer.
    static func failure(_ refusal: ServiceRefusal, requestIdentifier: String) -> HTTPResponse {
        var response = success(
            refusal.code.status,
            ["message": refusal.message],
            requestIdentifier: requestIdentifier
        )
        response.headers.append("X-Amzn-ErrorType", refusal.code.rawValue)
        return response
    }

    private static func headers(_ requestIdentifier: String) -> HTTPHeaders {
        ["Content-Type": "application/json", "x-amzn-RequestId": requestIdentifier]
    }
}

/// Writes a moment as the service does: `2026-01-01T00:00:00Z`.
func timestamp(_ date: Date) -> String { CivilTime(date).extended }
