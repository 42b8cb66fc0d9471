// SPDX-License-Identifier: Apache-2.0

import Certificates
import RolesAnywhere
import SystemSupport

/// One thing that a file holds, as far as it can be looked into.
enum InspectedObject: Sendable {
    case certificate(Certificate)
    case certificateRequest(CertificateRequest)
    case revocationList(CertificateRevocationList)
    case publicKey(PublicKey)
    case privateKey(InspectedKey)
    /// Something else, by the label of its PEM object.
    case unknown(label: String)
}

/// What may be said of a private key. The key itself is not kept.
struct InspectedKey: Sendable {
    /// How it is written: `pkcs8`, `pkcs1`, `sec1`, …
    var form: String
    /// How it is encrypted; `nil` if it is not.
    var encryption: String?
    /// Whether something around it keeps it: a PKCS#12 file, whose encryption is its own, or a device.
    var isEnclosed = false
    /// Its public half; `nil` if the key could not be opened.
    var publicKey: PublicKey?
    /// Why the key could not be opened.
    var problem: String?
}

/// What one source holds.
struct InspectedFile: Sendable {
    /// What the source is called.
    var name: String
    /// How its objects are written: `pem`, `der`, `pkcs12`.
    var form: String
    /// The objects in their order.
    var objects: [InspectedObject]
}

extension InspectedFile {
    /// Reads a source.
    init(reading source: String, passphrase: SecretBytes?, opener: KeyOpener) throws {
        let place = try KeyLocation(source)
        switch place {
        case .pkcs11:
            let certificates = try opener.certificates(at: place)
            guard !certificates.isEmpty else {
                throw InputError(message: "there is no certificate at \(printable(source))")
            }
            self.init(name: source, form: "pkcs11", objects: certificates.map(InspectedObject.certificate))
        case .tpm, .agent:
            let form = if case .tpm = place { "tpm" } else { "agent" }
            let key = InspectedKey(form: form, isEnclosed: true, publicKey: try opener.key(at: place).publicKey)
            self.init(name: source, form: form, objects: [.privateKey(key)])
        default:
            guard let contents = try place.read()?.bytes else {
                throw UsageError(message: "\(printable(source)) cannot be read")
            }
            do {
                try self.init(contents, name: source, passphrase: passphrase)
            } catch {
                throw InputError(message: "\(printable(source)): \(error.message)", hint: error.hint)
            }
        }
    }

    /// Looks into the contents of a source.
    init(_ contents: SecretBytes, name: String, passphrase: SecretBytes?) throws(CertificateError) {
        let container = try Container(reading: contents, passphrase: passphrase)
        self.name = name
        form = container.form.rawValue
        objects = try container.objects.map { (object) throws(CertificateError) in
            switch object {
            case .certificate(let certificate): .certificate(certificate)
            case .certificateRequest(let request): .certificateRequest(request)
            case .revocationList(let list): .revocationList(list)
            case .publicKey(let key): .publicKey(key)
            case .privateKey(let key):
                .privateKey(try InspectedKey(key, in: container.form, passphrase: passphrase))
            case .unknown(let label): .unknown(label: label)
            }
        }
    }
}

extension InspectedKey {
    /// Looks at a private key, and lets it go.
    fileprivate init(
        _ key: EncodedPrivateKey, in container: Container.Form, passphrase: SecretBytes?
    ) throws(CertificateError) {
        form = key.form.rawValue
        encryption = key.encryption
        isEnclosed = container == .pkcs12
        do {
            publicKey = try key.key(passphrase: passphrase).publicKey
        } catch {
            if passphrase != nil, error.code == .wrongPassphrase { throw error }
            problem = error.message
        }
    }
}

/// Which of some objects belong together: who issued whom, and whose key is whose.
///
/// Objects are known by their numbers, which count through all files.
struct Relations {
    /// The issuer of each certificate and list that has one among the certificates.
    private(set) var issuers: [Int: Int] = [:]

    /// The certificates of each key and request.
    private(set) var certificates: [Int: [Int]] = [:]

    /// The certificates that signed themselves.
    private(set) var selfSigned: Set<Int> = []

    /// The numbers of the certificates, in their order.
    private let numbers: [Int]

    /// How many certificates of one name are tried as an issuer: signatures take time, and a file may hold thousands.
    private static let candidateLimit = 16

    /// Finds out what belongs together.
    init(of objects: [InspectedObject]) {
        var found: [(number: Int, certificate: Certificate)] = []
        for (number, object) in objects.enumerated() {
            if case .certificate(let certificate) = object { found.append((number, certificate)) }
        }
        numbers = found.map(\.number)
        let byKey = Dictionary(grouping: found, by: \.certificate.publicKey)
        let bySubject = Dictionary(grouping: found, by: \.certificate.subject.relativeNames)
        func candidates(
            _ issuer: DistinguishedName, _ keyIdentifier: [UInt8]?
        ) -> some Sequence<(number: Int, certificate: Certificate)> {
            let named = bySubject[issuer.relativeNames] ?? []
            let likely = named.filter { $0.certificate.subjectKeyIdentifier == keyIdentifier }
            let others = named.filter { $0.certificate.subjectKeyIdentifier != keyIdentifier }
            return (likely + others).prefix(Self.candidateLimit)
        }
        for (number, object) in objects.enumerated() {
            switch object {
            case .certificate(let certificate):
                if certificate.isSelfIssued, certificate.hasSigned(certificate) {
                    selfSigned.insert(number)
                } else {
                    issuers[number] =
                        candidates(certificate.issuer, certificate.authorityKeyIdentifier)
                        .first { $0.certificate != certificate && $0.certificate.hasIssued(certificate) }?.number
                }
            case .revocationList(let list):
                issuers[number] =
                    candidates(list.issuer, list.authorityKeyIdentifier)
                    .first { list.isSigned(by: $0.certificate) }?.number
            case .publicKey(let key): certificates[number] = byKey[key]?.map(\.number)
            case .certificateRequest(let request): certificates[number] = byKey[request.publicKey]?.map(\.number)
            case .privateKey(let key):
                if let publicKey = key.publicKey { certificates[number] = byKey[publicKey]?.map(\.number) }
            case .unknown: continue
            }
        }
    }

    /// The certificates as trees, each with its depth: issuers are above what they issued. Those that have nothing to
    /// do with another are left out.
    var tree: [(number: Int, depth: Int)] {
        var children: [Int: [Int]] = [:]
        for number in numbers {
            if let issuer = issuers[number] { children[issuer, default: []].append(number) }
        }
        var rows: [(number: Int, depth: Int)] = []
        var seen: Set<Int> = []
        // Cross-signed certificates can issue one another in a circle, which has no top: what is left begins one.
        for top in numbers.filter({ issuers[$0] == nil && children[$0] != nil })
            + numbers.filter({ issuers[$0] != nil })
        {
            var waiting = [(number: top, depth: 0)]
            while let row = waiting.popLast() {
                guard seen.insert(row.number).inserted else { continue }
                rows.append(row)
                waiting += (children[row.number] ?? []).reversed().map { ($0, row.depth + 1) }
            }
        }
        return rows
    }
}
