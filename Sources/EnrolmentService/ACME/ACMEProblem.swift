// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import HTTPServer
import SystemSupport

/// What a client of ACME is told about a failure (RFC 8555 §6.7, RFC 7807).
struct ACMEProblem: Error, Sendable {
    /// The types below `urn:ietf:params:acme:error:`.
    enum Kind: String, Sendable {
        case accountDoesNotExist, alreadyReplaced, alreadyRevoked, badCSR, badNonce, badPublicKey, badRevocationReason
        case badSignatureAlgorithm, connection, dns, externalAccountRequired, incorrectResponse, invalidContact,
            malformed, orderNotReady, rateLimited
        case rejectedIdentifier, serverInternal, unauthorized, unsupportedContact, unsupportedIdentifier

        var status: HTTPStatus {
            switch self {
            case .alreadyReplaced: .conflict
            case .externalAccountRequired, .orderNotReady, .rejectedIdentifier, .unauthorized: .forbidden
            case .rateLimited: .tooManyRequests
            case .serverInternal: .serviceUnavailable
            case .accountDoesNotExist, .alreadyRevoked, .badCSR, .badNonce, .badPublicKey, .badRevocationReason,
                .badSignatureAlgorithm, .connection, .dns, .incorrectResponse, .invalidContact, .malformed,
                .unsupportedContact, .unsupportedIdentifier:
                .badRequest
            }
        }
    }

    let kind: Kind
    /// A sentence without a full stop.
    let detail: String
    var status: HTTPStatus
    /// The names that are refused, where there are several.
    var names: [GeneralName] = []
    /// Further headers of the response.
    var headers: [(name: String, value: String)] = []
    /// Whether a secret was wrong.
    var isWrongProof = false
    /// What only the log tells.
    var fault: String?

    init(_ kind: Kind, _ detail: String, status: HTTPStatus? = nil) {
        (self.kind, self.detail, self.status) = (kind, detail, status ?? kind.status)
    }

    init(_ error: any Error) {
        switch error {
        case let problem as ACMEProblem: self = problem
        case let error as JOSEError:
            let kind: Kind =
                switch error.code {
                case .malformed: .malformed
                case .badPublicKey: .badPublicKey
                case .badSignatureAlgorithm: .badSignatureAlgorithm
                }
            self.init(kind, error.message)
        case let refusal as EnrolmentRefusal: self.init(Self.kind(of: refusal), refusal.reason)
        default:
            let error = ServiceError(error)
            self.init(error.fault == nil ? .badCSR : .serverInternal, error.reason)
            fault = error.fault
            if fault != nil { headers = [("Retry-After", "30")] }
        }
    }

    private static func kind(of refusal: EnrolmentRefusal) -> Kind {
        switch refusal {
        case .name, .taken: .rejectedIdentifier
        case .request: .badCSR
        case .tooMany: .rateLimited
        case .token, .noProof, .certificate, .replaced, .renewed, .locked, .denied, .unproven: .unauthorized
        }
    }

    /// The document.
    var value: JSONValue {
        .compact([
            "type": .string("urn:ietf:params:acme:error:\(kind.rawValue)"), "detail": .string(detail),
            "status": .integer(status.code),
            "algorithms": kind == .badSignatureAlgorithm
                ? JSONValue(JSONWebSignature.Algorithm.ofPublicKeys.map(\.rawValue)) : .null,
            "subproblems": names.isEmpty
                ? .null
                : .array(
                    names.map { name in
                        [
                            "type": .string("urn:ietf:params:acme:error:\(kind.rawValue)"),
                            "detail": .string("\(name) is not allowed"), "identifier": name.identifier,
                        ]
                    }),
        ])
    }

    var response: HTTPResponse {
        var response = HTTPResponse(
            status: status, headers: ["Content-Type": "application/problem+json"], body: value.bytes)
        for (name, value) in headers { response.headers.append(name, value) }
        return response
    }
}

extension GeneralName {
    /// The name as an identifier of ACME (RFC 8555 §9.7.7, RFC 8738 §3).
    var identifier: JSONValue {
        switch self {
        case .ip(let octets): ["type": "ip", "value": .string(IPAddress.text(octets))]
        case .dns(let text): ["type": "dns", "value": .string(text)]
        case .uri, .email, .directory, .other: .null
        }
    }
}
