// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import Enrolment
import FoundationEssentials
import HTTPServer
import SystemSupport

/// Accounts (RFC 8555 §7.3).
extension ACMEService {
    func newAccount(_ request: Request) throws -> HTTPResponse {
        guard case .key(let key) = request.jws.signer else { throw ACMEProblem(.malformed, "\"jwk\" is required") }
        let asked = try request.object()
        if let known = try inventory.account(thumbprint: key.thumbprint) { return try response(for: known, request) }
        guard asked["onlyReturnExisting"]?.boolean != true else {
            throw ACMEProblem(.accountDoesNotExist, "there is no account with this key")
        }
        guard let binding = asked["externalAccountBinding"] else {
            throw ACMEProblem(
                .externalAccountRequired, "an external account binding is required: the key id and key of a join token")
        }
        let token = try token(boundBy: binding, to: key, request)
        let account = ACMEAccount(
            identifier: Self.newIdentifier(), key: key.publicKey, thumbprint: key.thumbprint, token: token,
            contacts: try Self.contacts(asked) ?? [], createdAt: now())
        if let known = try inventory.add(account, now: now()) { return try response(for: known, request) }
        return Self.json(
            Self.value(of: account, binding: binding, request), status: .created,
            location: request.url("account/\(account.identifier)"))
    }

    /// An account that has the key already.
    private func response(for account: ACMEAccount, _ request: Request) throws -> HTTPResponse {
        guard account.deactivatedAt == nil else {
            throw ACMEProblem(.unauthorized, "the account was deactivated", status: .unauthorized)
        }
        return Self.json(Self.value(of: account, request), location: request.url("account/\(account.identifier)"))
    }

    static func newIdentifier() -> String {
        var generator = SystemRandomNumberGenerator()
        return TokenSecrets.newIdentifier(using: &generator)
    }

    /// The token by whose secret a key was bound (RFC 8555 §7.3.4).
    private func token(boundBy binding: JSONValue, to key: JSONWebKey, _ request: Request) throws -> String {
        let inner = try JSONWebSignature(binding)
        guard inner.algorithm == .hs256 else {
            throw ACMEProblem(.badSignatureAlgorithm, "the external account binding's algorithm is not HS256")
        }
        guard case .identifier(let identifier) = inner.signer, inner.nonce == nil else {
            throw ACMEProblem(.malformed, "the external account binding has no \"kid\", or has a nonce")
        }
        guard inner.url == request.jws.url else {
            throw ACMEProblem(.malformed, "the external account binding's \"url\" is not that of the request")
        }
        var refusal = ACMEProblem(EnrolmentRefusal.token(nil))
        refusal.isWrongProof = true
        guard let secrets = try tokens.secrets, identifier.utf8.count <= 64 else { throw refusal }
        let secret = secrets.secret(of: identifier)
        guard inner.isAuthenticated(by: secret) else {
            if Self.misreadings(of: secret).contains(where: inner.isAuthenticated) {
                throw ACMEProblem(
                    .unauthorized,
                    "the external account binding's key was not decoded as base64url (RFC 4648 section 5, no padding)")
            }
            throw refusal
        }
        let bound: JSONWebKey
        do { bound = try JSONWebKey(try JSONWebSignature.object(inner.payload, "the external account binding")) } catch
        {
            throw ACMEProblem(
                .malformed, "the external account binding does not have the account's key: \(error.message)")
        }
        guard bound == key else {
            throw ACMEProblem(.malformed, "the external account binding has another key than the account")
        }
        guard let token = try inventory.token(identifier) else { throw refusal }
        let status = try inventory.useStatus(of: token, now: now())
        guard status == .valid else { throw EnrolmentRefusal.token(status) }
        return identifier
    }

    /// The keys that clients make of a secret's text by mistake: the text itself, and what a reader of the other alphabet
    /// makes of it that passes over letters that it does not know.
    private static func misreadings(of secret: [UInt8]) -> [[UInt8]] {
        let text = Base64URL.encode(secret)
        let known = text.filter { $0 != "-" && $0 != "_" }
        let other = Base64URL.decode(known.prefix(known.count / 4 * 4)) ?? []
        return [Array(text.utf8), Array("\(text)=".utf8), other]
    }

    func updateAccount(_ request: Request) throws -> HTTPResponse {
        var account = try request.signer()
        guard request.parameters["id"] == account.identifier else { throw Self.unknown("account") }
        if !request.jws.payload.isEmpty {
            let asked = try request.object()
            let contacts = try Self.contacts(asked)
            if let contacts { account.contacts = contacts }
            if let status = asked["status"] {
                guard status.string == "deactivated" else {
                    throw ACMEProblem(.malformed, "the only status that a client can set is \"deactivated\"")
                }
                account.deactivatedAt = now()
            }
            if contacts != nil || account.deactivatedAt != nil { try inventory.update(account, now: now()) }
        }
        return Self.json(Self.value(of: account, request))
    }

    /// What a client may not see is not there.
    static func unknown(_ what: String) -> ACMEProblem {
        ACMEProblem(.malformed, "there is no such \(what) of this account", status: .notFound)
    }

    private static func contacts(_ asked: JSONValue) throws -> [String]? {
        guard let value = asked["contact"] else { return nil }
        guard let texts = value.array?.map(\.string), texts.count <= 10, !texts.contains(nil) else {
            throw ACMEProblem(.invalidContact, "\"contact\" is not an array of at most 10 URLs")
        }
        return try texts.compactMap(\.self).map { text in
            guard text.hasPrefix("mailto:") else {
                throw ACMEProblem(.unsupportedContact, "a contact is not a mailto URL")
            }
            guard text.utf8.count <= 300, (try? GeneralName.mailbox(String(text.dropFirst(7)))) != nil else {
                throw ACMEProblem(.invalidContact, "a contact is not one email address")
            }
            return text
        }
    }

    /// The account as its client sees it, with the binding where it has just been verified.
    private static func value(of account: ACMEAccount, binding: JSONValue? = nil, _ request: Request) -> JSONValue {
        .compact([
            "status": account.deactivatedAt == nil ? "valid" : "deactivated", "contact": JSONValue(account.contacts),
            "orders": .string(request.url("account/\(account.identifier)/orders")),
            "externalAccountBinding": binding ?? .null,
        ])
    }

    /// Changes the key (RFC 8555 §7.3.5): the old key signs what the new key has signed.
    func changeKey(_ request: Request) throws -> HTTPResponse {
        let account = try request.signer()
        let inner = try JSONWebSignature(request.jws.payload)
        guard case .key(let key) = inner.signer, inner.nonce == nil, inner.url == request.jws.url else {
            throw ACMEProblem(
                .malformed, "the inner JWS must have the new key as \"jwk\", the same \"url\", and no nonce")
        }
        try inner.verify(by: key.publicKey)
        let asked = try JSONWebSignature.object(inner.payload, "the inner payload")
        guard asked["account"]?.string == request.url("account/\(account.identifier)"), let former = asked["oldKey"],
            try JSONWebKey(former).publicKey == account.key
        else { throw ACMEProblem(.malformed, "the inner payload does not name the account and its old key") }
        if let known = try inventory.changeKey(
            of: account, to: key.publicKey, thumbprint: key.thumbprint, now: now())
        {
            var problem = ACMEProblem(.malformed, "an account has this key already", status: .conflict)
            problem.headers = [("Location", request.url("account/\(known.identifier)"))]
            throw problem
        }
        return Self.json(Self.value(of: account, request))
    }
}
