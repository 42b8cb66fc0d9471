// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import HTTPService
import SystemSupport

/// How a service writes its answers: the form of a result, of a refusal, and where the request's identifier stands.
enum ServiceAnswer: Sendable {
    /// IAM Roles Anywhere: JSON, the identifier and an error's code in headers.
    case json
    /// IAM: XML of the query protocol.
    case accessManagement
    /// STS: XML of the query protocol.
    case securityTokens

    /// A refusal.
    ///
    /// - Parameters:
    ///   - refusal: What the client is told.
    ///   - requestIdentifier: The identifier of this request.
    /// - Returns: The answer.
    func refusal(_ refusal: ServiceRefusal, requestIdentifier: String) -> HTTPResponse {
        switch self {
        case .json:
            var response = Self.json(
                refusal.code.status,
                ["message": .string(refusal.message)],
                requestIdentifier: requestIdentifier
            )
            response.headers.append("X-Amzn-ErrorType", refusal.code.name)
            return response
        case .accessManagement, .securityTokens:
            let error = XMLElement(
                "ErrorResponse",
                namespace: namespace,
                [
                    XMLElement(
                        "Error",
                        [
                            XMLElement("Type", text: refusal.code.status.code < 500 ? "Sender" : "Receiver"),
                            XMLElement("Code", text: refusal.code.name),
                            XMLElement("Message", text: refusal.message),
                        ]
                    ), XMLElement("RequestId", text: requestIdentifier),
                ]
            )
            return xml(refusal.code.status, error, requestIdentifier: requestIdentifier)
        }
    }

    /// A result in JSON.
    ///
    /// - Parameters:
    ///   - status: 200 or 201.
    ///   - value: The body.
    ///   - requestIdentifier: The identifier of this request.
    /// - Returns: The answer.
    static func json(_ status: HTTPStatus, _ value: JSONValue, requestIdentifier: String) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: ["Content-Type": "application/json", "x-amzn-RequestId": requestIdentifier],
            body: value.bytes
        )
    }

    /// A result of the query protocol.
    ///
    /// - Parameters:
    ///   - action: The operation.
    ///   - result: What stands in its result; nothing for an operation that has none.
    ///   - requestIdentifier: The identifier of this request.
    /// - Returns: The answer.
    func result(of action: String, _ result: [XMLElement]?, requestIdentifier: String) -> HTTPResponse {
        let metadata = XMLElement("ResponseMetadata", [XMLElement("RequestId", text: requestIdentifier)])
        let body = (result.map { [XMLElement("\(action)Result", $0)] } ?? []) + [metadata]
        let element = XMLElement("\(action)Response", namespace: namespace, body)
        return xml(.ok, element, requestIdentifier: requestIdentifier)
    }

    private var namespace: String {
        self == .accessManagement
            ? "https://iam.amazonaws.com/doc/2010-05-08/" : "https://sts.amazonaws.com/doc/2011-06-15/"
    }

    private func xml(_ status: HTTPStatus, _ element: XMLElement, requestIdentifier: String) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: ["Content-Type": "text/xml", "x-amzn-RequestId": requestIdentifier],
            body: Array(element.document.utf8)
        )
    }
}

/// Writes a moment as the service does: `2026-01-01T00:00:00Z`.
func timestamp(_ date: Date) -> String { CivilTime(date).extended }
