// SPDX-License-Identifier: Apache-2.0

package import Certificates
package import FoundationEssentials

/// An account of ACME (RFC 8555 §7.1.2), which was made with a join token.
package struct ACMEAccount: Hashable, Sendable {
    package var identifier: String
    /// The key that signs its requests.
    package var key: PublicKey
    /// SHA-256 of the key as a JWK (RFC 7638).
    package var thumbprint: [UInt8]
    /// The token whose names it may have.
    package var token: String
    /// URLs of people.
    package var contacts: [String]
    package var createdAt: Date
    /// When it was deactivated; `nil` if it was not.
    package var deactivatedAt: Date?

    package init(
        identifier: String, key: PublicKey, thumbprint: [UInt8], token: String, contacts: [String], createdAt: Date
    ) {
        self.identifier = identifier
        self.key = key
        self.thumbprint = thumbprint
        self.token = token
        self.contacts = contacts
        self.createdAt = createdAt
    }
}

/// How an account proves that it controls a name of an order (RFC 8555 §8).
package struct ACMEChallenge: Hashable, Sendable {
    package enum Status: String, Sendable { case pending, processing, valid, invalid }

    /// Random, in base64url.
    package var token: String
    package var status = Status.pending
    /// When the proof was begun, or decided; `nil` before.
    package var changedAt: Date?
    /// Why it is invalid, as JSON.
    package var problem: String?

    package init(token: String) { self.token = token }
}

/// An order of an account (RFC 8555 §7.1.3). The names are authorised from the beginning, because the token allows them,
/// unless it asks for challenges.
package struct ACMEOrder: Hashable, Sendable {
    package var identifier: String
    /// The account's identifier.
    package var account: String
    /// Host names in lower case, and addresses.
    package var names: [GeneralName]
    /// One for each of the names; empty if they need no proof.
    package var challenges: [ACMEChallenge] = []
    /// Until when it can be finalised.
    package var expiresAt: Date
    /// The certificate that it replaces, as the client named it (RFC 9773 §4.1).
    package var replaces: String?
    /// The certificate request, while a person decides.
    package var request: [UInt8]?
    /// The number of the certificate in the inventory.
    package var certificate: Int64?
    /// Why there is none, as JSON.
    package var problem: String?

    package init(identifier: String, account: String, names: [GeneralName], expiresAt: Date, replaces: String?) {
        self.identifier = identifier
        self.account = account
        self.names = names
        self.expiresAt = expiresAt
        self.replaces = replaces
    }

    /// The states of an order.
    package enum Status: String, Sendable { case pending, ready, processing, valid, invalid }

    /// The status at a time.
    package func status(at now: Date) -> Status {
        if certificate != nil { return .valid }
        if problem != nil { return .invalid }
        if request != nil { return .processing }
        guard now < expiresAt else { return .invalid }
        return challenges.allSatisfy { $0.status == .valid } ? .ready : .pending
    }
}
