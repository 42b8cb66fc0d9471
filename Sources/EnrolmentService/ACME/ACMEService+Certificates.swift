// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Enrolment
import FoundationEssentials
import HTTPServer
import SystemSupport

/// Issued certificates: download and revocation (RFC 8555 §7.4.2, §7.6), and when to renew (RFC 9773).
extension ACMEService {
    func certificate(_ request: Request) throws -> HTTPResponse {
        try request.refusePayload()
        let account = try request.signer()
        guard let order = try inventory.order(request.parameters["id"]), order.account == account.identifier,
            let certificate = try inventory.certificate(of: order)
        else { throw Self.unknown("certificate") }
        // The issuer follows even if it is the root: certbot refuses a chain of one.
        let authority = desk.authority
        let chain = [certificate] + (authority.chain.isEmpty ? [authority.certificate] : authority.chain)
        return HTTPResponse(
            status: .ok, headers: ["Content-Type": "application/pem-certificate-chain"],
            body: Array(chain.map(\.pemEncoded).joined().utf8))
    }

    func revoke(_ request: Request) throws -> HTTPResponse {
        let asked = try request.object()
        guard let encoded = asked["certificate"]?.string.flatMap({ Base64URL.decode($0) }),
            let certificate = try? Certificate(derEncoded: encoded)
        else { throw ACMEProblem(.malformed, "\"certificate\" is not a certificate in base64url") }
        let number = asked["reason"].map { $0.integer } ?? RevocationReason.unspecified.rawValue
        // The others are for CAs, or can be taken back.
        guard let reason = number.flatMap(RevocationReason.init), [0, 1, 3, 4, 5].contains(reason.rawValue) else {
            throw ACMEProblem(.badRevocationReason, "the reason is not 0, 1, 3, 4 or 5")
        }
        guard let entry = try inventory.entry(of: certificate), !entry.isCA else { throw Self.unknown("certificate") }
        if let account = request.account {
            guard try inventory.isEnrolled(entry, by: account) else { throw Self.unknown("certificate") }
        } else {
            guard case .key(let key) = request.jws.signer, key.publicKey == certificate.publicKey else {
                throw ACMEProblem(.unauthorized, "the request is not signed by the certificate's key")
            }
        }
        guard entry.revocation == nil, try !inventory.revoke(entry, reason: reason, now: now()).isEmpty else {
            throw ACMEProblem(.alreadyRevoked, "the certificate was revoked already")
        }
        return HTTPResponse(status: .ok)
    }

    /// The entry of a certificate by ARI's identifier of it (RFC 9773 §4.1): the issuer's key identifier and the content of
    /// the serial number's encoding.
    func entry(_ identifier: String) throws -> InventoryEntry? {
        let parts = identifier.split(separator: ".", omittingEmptySubsequences: false).map { Base64URL.decode($0) }
        guard parts.count == 2, let issuer = parts[0], let serial = parts[1], (1...21).contains(serial.count),
            issuer == desk.authority.certificate.subjectKeyIdentifier
        else { return nil }
        return try inventory.entry(
            issuerKey: desk.authority.certificate.publicKey.digest, SerialNumber(serial.drop { $0 == 0 }))
    }

    /// The window in which a certificate should be renewed: a fourth of the time between half and two thirds of its
    /// life, which begins at a place of its own, so that a fleet that was set up at once does not renew at once. The window
    /// of a revoked certificate has passed.
    func renewalInformation(_ identifier: String) throws -> HTTPResponse {
        guard let entry = try entry(identifier), !entry.isCA else {
            throw ACMEProblem(.malformed, "there is no such certificate", status: .notFound)
        }
        let life = entry.notAfter.timeIntervalSince(entry.notBefore)
        let width = life / 24
        let hash = Digest.sha256.hash(Array(entry.fingerprint.utf8)).prefix(4).reduce(0.0) { $0 * 256 + Double($1) }
        let start =
            entry.revocation == nil
            ? entry.notBefore + life / 2 + (life / 6 - width) * hash / 4_294_967_296 : entry.notBefore
        let end = entry.revocation == nil ? start + width : min(start + width, now())
        var response = Self.json(["suggestedWindow": ["start": JSONValue(start), "end": JSONValue(end)]])
        response.headers.append("Retry-After", "\(Int(min(21_600, max(60, life / 48))))")
        return response
    }
}
