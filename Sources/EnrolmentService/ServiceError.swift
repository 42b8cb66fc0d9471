// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import HTTPServer
import SystemSupport

/// What a client is told about a failure. Faults of the server are logged with their reason and not told.
struct ServiceError: Sendable {
    let status: HTTPStatus
    /// A sentence without a full stop.
    let reason: String
    /// Whether a secret was wrong, so that the address must not try for ever.
    var isWrongProof = false
    /// What only the log tells.
    var fault: String?

    init(_ error: any Error) {
        switch error {
        case let refusal as EnrolmentRefusal:
            (status, reason) = (Self.status(of: refusal), refusal.reason)
            isWrongProof = refusal == .token(nil)
        // Rules of names and keys, which a request broke.
        case let error as AuthorityError where [.policy, .invalidRequest, .invalidValue, .exists].contains(error.code):
            (status, reason) = (.forbidden, error.message)
        case let error as CertificateError:
            (status, reason) = (.badRequest, error.message)
        default:
            (status, reason) = (.serviceUnavailable, "the CA cannot issue at the moment")
            fault = (error as? any ExplainedError)?.message ?? "\(error)"
        }
    }

    private static func status(of refusal: EnrolmentRefusal) -> HTTPStatus {
        switch refusal {
        case .token, .noProof: .unauthorized
        case .certificate, .replaced, .renewed, .locked, .taken, .name, .denied, .unproven: .forbidden
        case .request: .badRequest
        case .tooMany: .tooManyRequests
        }
    }
}
