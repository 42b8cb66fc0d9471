// SPDX-License-Identifier: Apache-2.0

import AWSModel
public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// The CA certificates of a trust anchor of IAM Roles Anywhere.
///
/// Every value satisfies the quotas and the trust model of the service (AWS, *IAM Roles Anywhere User Guide*, "Trust
/// model" and "Quotas").
public struct TrustAnchorBundle: Hashable, Sendable {
    /// A file that certificates are read from.
    public struct File: Sendable {
        /// The name of the file in messages.
        public var name: String
        /// PEM, or DER of one certificate.
        public var contents: [UInt8]

        /// Creates a file.
        public init(name: String, contents: [UInt8]) {
            self.name = name
            self.contents = contents
        }
    }

    /// The certificates in order, without duplicates.
    public let certificates: [Certificate]
    /// Properties that other software, or accounts with older quotas, may refuse.
    public let warnings: [String]

    /// Reads files and checks every rule. The certificates must be valid at the time.
    public init(reading files: [File], at now: Date) throws(TrustAnchorError) {
        var certificates: [Certificate] = []
        var warnings: [String] = []
        for file in files {
            let found = try Self.certificates(in: file)
            guard !found.isEmpty else {
                throw TrustAnchorError(
                    .empty, "\(file.name) contains no certificate",
                    hint: "a certificate in PEM begins with -----BEGIN CERTIFICATE-----")
            }
            for certificate in found where !certificates.contains(certificate) {
                warnings += try Self.check(certificate, in: file.name, at: now)
                certificates.append(certificate)
            }
        }
        guard !certificates.isEmpty else {
            throw TrustAnchorError(.empty, "a trust anchor needs at least one certificate")
        }
        if let finding = AWSRules.bundle.findings(in: certificates).errors.first {
            throw TrustAnchorError(
                finding.rule.name == "aws-anchor-count" ? .tooMany : .tooLong, "the bundle \(finding.finding)",
                hint: finding.hint)
        }
        self.certificates = certificates
        self.warnings =
            warnings + AWSRules.bundle.findings(in: certificates).map { "the bundle \($0.finding)" }
    }

    /// The certificates in PEM.
    public var pem: String { certificates.map(\.pemEncoded).joined() }

    /// The `source` member of CreateTrustAnchor and UpdateTrustAnchor, as JSON on one line.
    public var sourceJSON: String {
        let text = pem.replacing("\n", with: "\\n")
        return #"{"sourceType":"CERTIFICATE_BUNDLE","sourceData":{"x509CertificateData":"\#(text)"}}"#
    }

    /// The command of the AWS CLI that creates the trust anchor, on lines joined by backslashes. The default name is
    /// derived from the first CA's common name, the default region is that of the AWS CLI.
    public func awsCLICommand(name: String? = nil, region: String? = nil) throws(TrustAnchorError) -> String {
        let name = name ?? suggestedName
        try Self.check(name: name)
        if let region { try Self.check(region: region) }
        // None of these texts can contain a single quotation mark; a name may begin with a hyphen.
        var lines = ["aws rolesanywhere create-trust-anchor"]
        if let region { lines.append("--region \(region)") }
        lines += [
            "--name='\(name)'", "--enabled", "--source '\(sourceJSON)'",
            "--query trustAnchor.trustAnchorArn --output text",
        ]
        return lines.joined(separator: " \\\n  ")
    }

    /// Checks the name of a trust anchor or a profile.
    static func check(name: String) throws(TrustAnchorError) {
        guard AWSLimit.resourceNameLength.contains(name.utf8.count), AWSText.resourceName.allows(name) else {
            throw TrustAnchorError(
                .name, "AWS does not allow the name \"\(name)\"",
                hint: "use 1 to \(AWSLimit.resourceNameLength.maximum) \(AWSText.resourceName.words)")
        }
    }

    static func check(region: String) throws(TrustAnchorError) {
        guard Partition.isRegionName(region) else {
            throw TrustAnchorError(.name, "\"\(region)\" is not the name of an AWS region")
        }
    }

    /// A name for resources, from the first CA's common name.
    var suggestedName: String {
        let commonName = certificates.first?.subject.commonName ?? ""
        let scalars = commonName.unicodeScalars.map {
            $0.isASCII && AWSText.resourceName.allows(UInt8($0.value)) ? Character($0) : "-"
        }
        // A leading hyphen would make it an option of a command.
        let name = String(scalars.prefix(AWSLimit.resourceNameLength.maximum).drop { $0 == "-" || $0 == " " })
        return name.isEmpty ? "pki" : name
    }
}

// MARK: - Rules

extension TrustAnchorBundle {
    /// Reads a file, which must contain only certificates.
    private static func certificates(in file: File) throws(TrustAnchorError) -> [Certificate] {
        do {
            if file.contents.first != 0x30 {
                for document in try PEMDocument.documents(in: file.contents)
                where !document.label.hasSuffix("CERTIFICATE") {
                    if document.label.hasSuffix("PRIVATE KEY") {
                        throw TrustAnchorError(
                            .privateKey, "\(file.name) contains a private key, which must not be in a trust anchor",
                            hint: "give a file with only the CA certificate")
                    }
                    throw TrustAnchorError(
                        .foreignObject,
                        "\(file.name) contains a \"\(document.label)\"; a trust anchor has only certificates")
                }
            }
            return try Certificate.certificates(in: file.contents)
        } catch let error as TrustAnchorError {
            throw error
        } catch let error as CertificateError {
            throw TrustAnchorError(.malformed, "\(file.name): \(error.message)", hint: error.hint)
        } catch {
            throw TrustAnchorError(.malformed, "\(file.name): \(error)")
        }
    }

    /// Checks a certificate and returns the warnings.
    private static func check(
        _ certificate: Certificate, in file: String, at now: Date
    ) throws(TrustAnchorError) -> [String] {
        let findings = CertificateJudge.findings(in: certificate, as: .anchor, at: now)
        let name = "\(file): \(printable(certificate.subject.description, limit: 200))"
        if let finding = findings.errors.first {
            throw TrustAnchorError(
                codes[finding.rule.name] ?? .malformed, "\(name) \(finding.finding)", hint: finding.hint)
        }
        return findings.map { "\(name) \($0.finding)" }
    }

    private static let codes: [String: TrustAnchorErrorCode] = [
        "aws-anchor-version": .version, "aws-anchor-ca": .notCA, "aws-anchor-key-usage": .keyUsage,
        "aws-anchor-signature": .weakSignature, "aws-anchor-validity": .validity,
    ]
}

/// The command that imports a CRL into AWS.
public struct RevocationListImport: Hashable, Sendable {
    /// The target of an import.
    public enum Place: Hashable, Sendable {
        /// A new CRL for a trust anchor.
        case trustAnchor(arn: String, name: String)
        /// The CRL of a name that a trust anchor has, or else a new one.
        case any(arn: String, name: String)
        /// An existing CRL in AWS, which is replaced.
        case list(identifier: String)
    }

    /// The CRL's file, in PEM.
    public let path: String
    /// The target.
    public let place: Place
    /// The AWS region; `nil` for the default of the AWS CLI.
    public let region: String?

    /// Creates an import. Throws ``TrustAnchorError`` if a name or an ARN is not valid.
    public init(path: String, place: Place, region: String? = nil) throws(TrustAnchorError) {
        switch place {
        case .trustAnchor(let arn, let name), .any(let arn, let name):
            try TrustAnchorBundle.check(name: name)
            guard AmazonResourceName(arn)?.isA(.trustAnchor) == true, Self.isPlain(arn) else {
                throw TrustAnchorError(
                    .name, "\"\(arn)\" is not the ARN of a trust anchor",
                    hint: "find it: aws rolesanywhere list-trust-anchors")
            }
        case .list(let identifier):
            guard !identifier.isEmpty, Self.isPlain(identifier) else {
                throw TrustAnchorError(
                    .name, "\"\(identifier)\" is not the identifier of a CRL in AWS",
                    hint: "find it: aws rolesanywhere list-crls")
            }
        }
        if let region { try TrustAnchorBundle.check(region: region) }
        self.path = path
        self.place = place
        self.region = region
    }

    /// One command for a POSIX shell, on lines joined by backslashes; more for ``Place/any(arn:name:)``.
    public var awsCLICommand: String {
        var lines: [String]
        switch place {
        case .any(let arn, let name): return search(arn, name)
        case .trustAnchor(let arn, let name):
            lines = [
                "aws rolesanywhere import-crl", Quoting.shell("--name=\(name)"), "--enabled",
                "--trust-anchor-arn \(Quoting.shell(arn))",
            ]
        case .list(let identifier): lines = ["aws rolesanywhere update-crl", "--crl-id \(Quoting.shell(identifier))"]
        }
        if let region { lines.insert("--region \(Quoting.shell(region))", at: 1) }
        lines += ["--crl-data \(Quoting.shell("fileb://\(path)"))", "--query crl.crlId --output text"]
        return lines.joined(separator: " \\\n  ")
    }

    /// Commands that look for a CRL by its name.
    private func search(_ arn: String, _ name: String) -> String {
        let option = region.map { " --region \(Quoting.shell($0))" } ?? ""
        let query = Quoting.shell("crls[?name=='\(name)' && trustAnchorArn=='\(arn)'].crlId")
        let data = "--crl-data \(Quoting.shell("fileb://\(path)"))"
        return """
            crl_id=$(aws rolesanywhere list-crls\(option) --query \(query) --output text)
            case $crl_id in
            '' | None) aws rolesanywhere import-crl\(option) \(Quoting.shell("--name=\(name)")) --enabled \\
              --trust-anchor-arn \(Quoting.shell(arn)) \\
              \(data) ;;
            *) aws rolesanywhere update-crl\(option) --crl-id "$crl_id" \\
              \(data) ;;
            esac
            """
    }

    private static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "/._-+:@".utf8.contains(byte)
            }
        }
    }
}

/// The error of a bundle, a policy or a set-up that AWS would not accept.
public typealias TrustAnchorError = CodedError<TrustAnchorErrorCode>

/// The kinds of ``TrustAnchorError``.
public enum TrustAnchorErrorCode: Sendable {
    /// There is no certificate.
    case empty
    /// There are more certificates than a trust anchor can have.
    case tooMany
    /// The text has more characters than a trust anchor can have.
    case tooLong
    /// A file contains a private key.
    case privateKey
    /// A file contains something else than certificates.
    case foreignObject
    /// A file or a certificate cannot be parsed.
    case malformed
    /// A certificate is not a CA certificate.
    case notCA
    /// The key usage of a CA does not allow signing certificates.
    case keyUsage
    /// A certificate does not have version 3.
    case version
    /// A certificate is signed with a hash weaker than SHA-256.
    case weakSignature
    /// A certificate has expired or is not valid yet.
    case validity
    /// A resource name has characters that AWS does not allow.
    case name
    /// The conditions allow every certificate, or none.
    case condition
    /// The session duration is too short or too long.
    case duration
    /// A template is not valid.
    case template
}
