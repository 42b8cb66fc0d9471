// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// The report of `pki inspect` on one source.
struct InspectReport: Report {
    /// One object of the source.
    enum Object: Encodable, Sendable {
        case certificate(CertificateReport)
        case request(RequestReport)
        case revocationList(RevocationListReport)
        case key(KeyReport)
        case unknown(UnknownReport)

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .certificate(let report): try report.encode(to: encoder)
            case .request(let report): try report.encode(to: encoder)
            case .revocationList(let report): try report.encode(to: encoder)
            case .key(let report): try report.encode(to: encoder)
            case .unknown(let report): try report.encode(to: encoder)
            }
        }
    }

    /// An object of a kind that is not read.
    struct UnknownReport: Encodable, Sendable {
        let kind = "unknown"
        var label: String
    }

    /// A certificate above those that it issued.
    private struct Link {
        var name: String
        var depth: Int
    }

    var file: String
    /// `pem`, `der`, `pkcs12`; `pkcs11`, `tpm` or `agent` for a device.
    var form: String
    var objects: [Object]

    private enum CodingKeys: CodingKey { case file, form, objects }

    /// With more objects than this, the text shows five fields of each certificate.
    private static let fullLimit = 4

    /// The title of each object, with its number if there are several.
    private var names: [String]
    /// For each object, the names of those that belong to it.
    private var related: [[String]]
    private var isShort: Bool
    private var hasCertificates: Bool
    /// In the last report only.
    private var chain: [Link] = []

    static func reports(on files: [InspectedFile], at now: Date) -> [InspectReport] {
        let all = files.flatMap(\.objects)
        let relations = Relations(of: all)
        let names = all.enumerated().map { number, object in
            all.count > 1 ? "#\(number + 1) \(object.title)" : object.title
        }
        var reports: [InspectReport] = []
        var start = 0
        for file in files {
            let numbers = start..<(start + file.objects.count)
            start = numbers.upperBound
            reports.append(InspectReport(file, numbers, of: all, names, relations, at: now))
        }
        if let last = reports.indices.last {
            reports[last].chain = relations.tree.map { Link(name: names[$0.number], depth: $0.depth) }
        }
        return reports
    }

    private init(
        _ file: InspectedFile, _ numbers: Range<Int>, of all: [InspectedObject], _ names: [String],
        _ relations: Relations, at now: Date
    ) {
        func certificate(_ number: Int) -> Certificate? {
            if case .certificate(let certificate) = all[number] { certificate } else { nil }
        }
        self.file = file.name
        form = file.form
        self.names = Array(names[numbers])
        isShort = all.count > Self.fullLimit
        hasCertificates = all.indices.contains { certificate($0) != nil }
        related = numbers.map { number in
            (relations.issuers[number].map { [$0] } ?? relations.certificates[number] ?? []).map { names[$0] }
        }
        objects = numbers.map { number in
            let issuer = relations.issuers[number].flatMap(certificate)
            let certificates = (relations.certificates[number] ?? []).compactMap(certificate)
            return switch all[number] {
            case .certificate(let certificate):
                .certificate(
                    CertificateReport(
                        certificate, selfSigned: relations.selfSigned.contains(number), issuer: issuer, at: now))
            case .certificateRequest(let request): .request(RequestReport(request: request, certificates: certificates))
            case .revocationList(let list): .revocationList(RevocationListReport(list: list, issuer: issuer, now: now))
            case .publicKey(let key): .key(KeyReport(key, certificates: certificates))
            case .privateKey(let key): .key(KeyReport(key.publicKey, privateKey: key, certificates: certificates))
            case .unknown(let label): .unknown(UnknownReport(label: label))
            }
        }
    }

    var text: String {
        var fields = FieldList()
        let count = objects.count == 1 ? "1 object" : "\(objects.count) objects"
        fields.heading("\(file): \(Self.name(of: form)), \(count)")
        for (index, object) in objects.enumerated() {
            fields.heading("")
            fields.heading(names[index])
            add(object, related[index], to: &fields)
        }
        if !chain.isEmpty {
            fields.heading("")
            fields.heading("who issued whom")
            for link in chain {
                // Depth has a bound for the eye; a hundred links are no chain that anybody verifies.
                let indent = String(repeating: "  ", count: min(link.depth, 12))
                fields.heading("  \(indent)\(link.name)")
            }
        }
        return fields.lines.joined(separator: "\n")
    }

    private func add(_ object: Object, _ related: [String], to fields: inout FieldList) {
        switch object {
        case .certificate(let report): isShort ? report.addShort(to: &fields) : report.add(to: &fields)
        case .request(let report): report.add(to: &fields, whose: related)
        case .revocationList(let report): report.add(to: &fields, signer: related.first)
        case .key(let report): report.add(to: &fields, whose: related, hasCertificates: hasCertificates)
        case .unknown: fields.add("", "not supported")
        }
    }

    private static func name(of form: String) -> String {
        switch form {
        case "pkcs12": "PKCS#12"
        case "pkcs11": "PKCS#11 token"
        case "agent": "SSH agent"
        default: form.uppercased()
        }
    }
}

extension InspectedObject {
    /// The kind, with the subject of a certificate.
    fileprivate var title: String {
        switch self {
        case .certificate(let certificate):
            let subject = certificate.subject.description
            let kind = certificate.isCA ? "CA certificate" : "certificate"
            let name = subject.isEmpty ? "serial number \(certificate.serialNumber)" : subject
            return "\(kind) \(printable(name, limit: 64))"
        case .certificateRequest: return "certificate request"
        case .revocationList: return "certificate revocation list"
        case .publicKey: return "public key"
        case .privateKey(let key): return key.encryption == nil ? "private key" : "encrypted private key"
        case .unknown(let label): return "\"\(label)\""
        }
    }
}

/// An object in a file.
enum InspectedObject: Sendable {
    case certificate(Certificate)
    case certificateRequest(CertificateRequest)
    case revocationList(CertificateRevocationList)
    case publicKey(PublicKey)
    case privateKey(InspectedKey)
    /// Something else, by the label of its PEM object.
    case unknown(label: String)
}

/// What a report says of a private key. It does not hold the key.
struct InspectedKey: Sendable {
    /// How it is written: `pkcs8`, `pkcs1`, `sec1`, …
    var form: String
    /// How it is encrypted; `nil` if it is not.
    var encryption: String?
    /// Whether a PKCS#12 file, which has its own encryption, or a device protects it.
    var isEnclosed = false
    /// Its public half; `nil` if the key could not be opened.
    var publicKey: PublicKey?
    /// Why the key could not be opened.
    var problem: String?
}

/// What one source holds.
struct InspectedFile: Sendable {
    var name: String
    /// How its objects are written: `pem`, `der`, `pkcs12`.
    var form: String
    var objects: [InspectedObject]
}

extension InspectedFile {
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
    /// Describes a private key without keeping it.
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

/// The issuers of certificates and CRLs, and the certificates of keys and requests.
///
/// Objects are numbered through all files.
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

    /// The certificates as trees, each with its depth: issuers are above what they issued. Those without
    /// a relation to another are left out.
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
