// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// Certificates to choose from, and their keys: a directory of files, or a token.
struct CertificateStore: Sendable {
    private let place: KeyLocation
    private let selector: CertificateSelector
    private let takesLatest: Bool
    private let allowsInsecurePermissions: Bool
    private let opener: KeyOpener
    private let passphrase: Passphrase

    /// `nil` when the options name no store.
    init?(_ options: IdentityOptions, opener: KeyOpener, passphrase: Passphrase) throws {
        guard let text = options.certificateStore else { return nil }
        place = try KeyLocation(text)
        switch place {
        case .file, .pkcs11: break
        default:
            throw UsageError(message: "--certificate-store takes a directory or a pkcs11: URI, not \(place)")
        }
        selector = try options.certSelector.map(Self.selector) ?? CertificateSelector()
        takesLatest = options.useLatestExpiringCertificate
        allowsInsecurePermissions = options.insecurePermissions
        self.opener = opener
        self.passphrase = passphrase
    }

    private static func selector(_ text: String) throws -> CertificateSelector {
        guard text.hasPrefix("file://") else { return try CertificateSelector(text) }
        struct Pair: Decodable {
            var Key: String
            var Value: String
        }
        let path = String(text.dropFirst("file://".count))
        do {
            let pairs = try JSONDecoder().decode([Pair].self, from: Data(InputFile.read(path)))
            return try CertificateSelector(pairs.map { ($0.Key, $0.Value) })
        } catch is DecodingError {
            throw InputError(
                message: "\(path) is not a selector in JSON",
                hint: "write for example [{\"Key\": \"x509Subject\", \"Value\": \"CN=web-1\"}]")
        }
    }

    /// For an identity: the chosen certificate, and the CAs of the store.
    var certificates: IdentitySource.Certificates {
        var watched: [String] = []
        if case .file(let path) = place { watched = [path] }
        return .found(name: "\(place)", watching: watched) {
            let all = try allCertificates()
            let ends = all.filter { !$0.isCA }
            let chosen = try selector.choose(from: ends, in: "\(place)", takesLatest: takesLatest)
            return [chosen] + all.filter(\.isCA)
        }
    }

    var key: IdentitySource.Key {
        .found(name: "\(place)") { certificates in
            guard let certificate = certificates.first else {
                throw InputError(message: "there is no certificate in \(place)")
            }
            if case .pkcs11 = place { return try opener.key(at: place, for: [certificate]) }
            return try key(of: certificate)
        }
    }

    func matching() throws -> [Certificate] { try allCertificates().filter { selector.matches($0) } }

    private func allCertificates() throws -> [Certificate] {
        if case .pkcs11 = place { return try opener.certificates(at: place, wholeToken: true) }
        return try files().flatMap { $0.container.certificates }
    }

    private struct File {
        var path: String
        var container: Container
    }

    /// The files of the directory that can be read; others are skipped.
    private func files() throws -> [File] {
        guard case .file(let directory) = place else { return [] }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { !$0.hasPrefix(".") }
                .sorted()
        } catch {
            throw InputError(
                message: "the certificate store \(directory) cannot be read as a directory",
                hint: "--certificate-store takes a directory of PEM files; one file is for --certificate")
        }
        return names.compactMap { name in
            let path = "\(directory)/\(name)"
            // A pipe in the directory is skipped without waiting.
            guard let contents = try? FileContents(regular: path, followsLinks: true),
                let container = try? Container(reading: contents.bytes)
            else { return nil }
            return File(path: path, container: container)
        }
    }

    private func key(of certificate: Certificate) throws -> any SigningKey {
        var encrypted: [(path: String, key: EncodedPrivateKey)] = []
        for file in try files() {
            for encoded in file.container.privateKeys {
                if encoded.encryption != nil {
                    encrypted.append((file.path, encoded))
                } else if let key = try? encoded.key(), key.publicKey == certificate.publicKey {
                    try checkPermissions(file.path)
                    return key
                }
            }
        }
        if !encrypted.isEmpty, let secret = try passphrase.read("passphrase of the keys in \(place)") {
            for (path, encoded) in encrypted {
                guard let key = try? encoded.key(passphrase: secret), key.publicKey == certificate.publicKey else {
                    continue
                }
                try checkPermissions(path)
                return key
            }
        }
        throw InputError(
            message: "there is no key in \(place) for the certificate of "
                + "\"\(printable(certificate.subject.description, limit: 100))\""
                + (encrypted.isEmpty
                    ? "" : "; \(encrypted.count) are encrypted, and none opens with the passphrase given"),
            hint: "put the key's file into the same directory")
    }

    private func checkPermissions(_ path: String) throws {
        guard !allowsInsecurePermissions else { return }
        do {
            _ = try FileContents(of: path, .ownerOnly)
        } catch {
            throw RolesAnywhereError(error)
        }
    }
}
