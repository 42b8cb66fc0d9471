// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport
import Testing

/// The files of `Tests/Fixtures/make-key-corpus`, made by other people's tools, and what stands in each.
struct Corpus: Decodable {
    /// The versions of the tools.
    let madeBy: [String]

    /// The files, in the order in which they were made.
    let files: [File]

    /// Whether this run's libcrypto is 3.5 or newer.
    static let isNewer = (try? PrivateKey(generating: .mlDSA44)) != nil

    /// Where they are.
    static let directory = #filePath.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/Corpus/"

    /// Reads the list of files.
    static func load() throws -> Corpus {
        try JSONDecoder().decode(Corpus.self, from: Data(contentsOf: URL(filePath: directory + "manifest.json")))
    }

    /// A file, and how it must be read.
    struct File: Decodable, Sendable, CustomTestStringConvertible {
        let file: String
        let tool: String
        let what: String
        /// Opens it, or the keys in it.
        let passphrase: String?
        /// Whether the key derivation is as costly as in practice.
        let costly: Bool?
        /// Whether the order of the objects is none of the maker's choice.
        let unordered: Bool?
        /// Why it cannot be read; the form and the objects are there when it can.
        let refused: Refusal?
        /// The OpenSSL that can read it nevertheless.
        let needs: String?
        let form: Container.Form?
        let objects: [Object]?

        var testDescription: String { file }
        var isRefused: Bool { refused != nil && !(needs != nil && Corpus.isNewer) }
        var secret: SecretBytes? { passphrase.map { SecretBytes($0.utf8) } }

        func contents() throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: Corpus.directory + file))) }
    }

    /// An object in a file.
    struct Object: Decodable, Sendable {
        enum Kind: String, Decodable {
            case certificate, certificateRequest, revocationList, publicKey, privateKey, unknown
        }
        let kind: Kind
        /// The form of a private key.
        let form: EncodedPrivateKey.Form?
        /// Whether a private key is encrypted.
        let encrypted: Bool?
        /// The algorithm of the key that is in it or belongs to it.
        let algorithm: String?
        /// The SHA-256 of the SubjectPublicKeyInfo of that key.
        let publicKey: String?
        /// The SHA-256 of a certificate.
        let fingerprint: String?
        /// The number of entries of a revocation list.
        let revoked: Int?
        /// The label of an object of another kind.
        let label: String?
        /// Why a private key cannot be used.
        let refused: Refusal?
        /// The OpenSSL that has the algorithm.
        let needs: String?
    }

    /// A refusal: its kind, and words that must be in the message or in the hint.
    struct Refusal: Decodable, Sendable {
        let code: String
        let says: String

        func describes(_ error: CertificateError) -> Bool {
            let codes: [String: CertificateErrorCode] = ["malformed": .malformed, "unsupported": .unsupported]
            return error.code == codes[code] && "\(error.message) \(error.hint ?? "")".contains(says)
        }
    }
}

extension Container.Form: Decodable {}
extension EncodedPrivateKey.Form: Decodable {}
