// SPDX-License-Identifier: Apache-2.0

import Certificates
import FoundationEssentials
import SystemSupport

/// What `pki inspect` answers for one source.
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

    /// What is said of something that is not read.
    struct UnknownReport: Encodable, Sendable {
        let kind = "unknown"
        var label: String
    }

    /// A certificate above those that it issued.
    private struct Link {
        var name: String
        var depth: Int
    }

    /// The source as it was named.
    var file: String
    /// `pem`, `der`, `pkcs12`; `pkcs11`, `tpm` or `agent` for a device.
    var form: String
    /// The objects in their order.
    var objects: [Object]

    private enum CodingKeys: CodingKey { case file, form, objects }

    /// With more objects than this, a certificate gets five lines and not the whole.
    private static let fullLimit = 4

    /// What each object is called; of several with its number.
    private var names: [String]
    /// For each object, the names of those that belong to it.
    private var related: [[String]]
    private var isShort: Bool
    private var hasCertificates: Bool
    /// Stands in the last report alone.
    private var chain: [Link] = []

    /// Describes what was read.
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
            case .certificateRequest(let request): .request(RequestReport(request, certificates: certificates))
            case .revocationList(let list): .revocationList(RevocationListReport(list, issuer: issuer, at: now))
            case .publicKey(let key): .key(KeyReport(key, certificates: certificates))
            case .privateKey(let key): .key(KeyReport(key, certificates: certificates))
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
        case .unknown: fields.add("", "is not read")
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
    /// The kind, and of a certificate whose it is.
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
