// SPDX-License-Identifier: Apache-2.0

import AWSModel
public import Certificates
public import struct FoundationEssentials.Date
public import SystemSupport

/// The CA certificates that a trust anchor of IAM Roles Anywhere is made from.
///
/// A value exists only when AWS would take it: the limits are those of the service's quotas, the rules those of its trust
/// model (AWS, *IAM Roles Anywhere User Guide*, "Trust model" and "Quotas").
public struct TrustAnchorBundle: Hashable, Sendable {
    /// A file that certificates are read from.
    public struct File: Sendable {
        /// What the file is called in messages.
        public var name: String
        /// Its contents.
        public var contents: [UInt8]

        /// Creates a file.
        ///
        /// - Parameters:
        ///   - name: What the file is called in messages.
        ///   - contents: Its contents.
        public init(name: String, contents: [UInt8]) {
            self.name = name
            self.contents = contents
        }
    }

    /// The certificates, each once, in their order.
    public let certificates: [Certificate]

    /// What AWS accepts and other software may not, or accounts with an older quota.
    public let warnings: [String]

    /// Reads files and checks every rule.
    ///
    /// - Parameters:
    ///   - files: PEM files, or DER files of one certificate.
    ///   - now: The time at which the certificates must be valid.
    /// - Throws: ``TrustAnchorError`` naming the file, the certificate and the rule.
    public init(reading files: [File], at now: Date) throws(TrustAnchorError) {
        var certificates: [Certificate] = []
        var warnings: [String] = []
        for file in files {
            let found = try Self.certificates(in: file)
            guard !found.isEmpty else {
                throw TrustAnchorError(
                    .empty, "\(file.name) holds no certificate",
                    hint: "a certificate in PEM begins with -----BEGIN CERTIFICATE-----")
            }
            for certificate in found where !certificates.contains(certificate) {
                warnings += try Self.check(certificate, in: file.name, at: now)
                certificates.append(certificate)
            }
        }
        guard !certificates.isEmpty else {
            throw TrustAnchorError(.empty, "there is no certificate to make a trust anchor from")
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

    /// The text to paste: the certificates in PEM and nothing else.
    public var pem: String { certificates.map(\.pemEncoded).joined() }

    /// The `source` member of CreateTrustAnchor and UpdateTrustAnchor, as JSON on one line.
    public var sourceJSON: String {
        let text = pem.replacing("\n", with: "\\n")
        return #"{"sourceType":"CERTIFICATE_BUNDLE","sourceData":{"x509CertificateData":"\#(text)"}}"#
    }

    /// The command that makes the trust anchor.
    ///
    /// - Parameters:
    ///   - name: The trust anchor's name, 1 to 255 letters, digits, blanks, `-` and `_`; made from the first CA's common
    ///     name when nothing is given.
    ///   - region: The AWS region; the AWS CLI's own default when nothing is given.
    /// - Returns: One command for a POSIX shell, on lines joined by backslashes.
    /// - Throws: ``TrustAnchorError`` when AWS would not take the name.
    public func awsCLICommand(name: String? = nil, region: String? = nil) throws(TrustAnchorError) -> String {
        let name = name ?? suggestedName
        try Self.check(name: name)
        if let region { try Self.check(region: region) }
        // None of these texts can hold a single quotation mark; a name may begin with a hyphen.
        var lines = ["aws rolesanywhere create-trust-anchor"]
        if let region { lines.append("--region \(region)") }
        lines += ["--name='\(name)'", "--enabled", "--source '\(sourceJSON)'"]
        return lines.joined(separator: " \\\n  ")
    }

    /// Checks the name of a trust anchor or of a profile.
    static func check(name: String) throws(TrustAnchorError) {
        guard AWSLimit.resourceNameLength.contains(name.utf8.count), AWSText.resourceName.allows(name) else {
            throw TrustAnchorError(
                .name, "AWS takes no trust anchor of the name \"\(name)\"",
                hint: "use 1 to \(AWSLimit.resourceNameLength.maximum) \(AWSText.resourceName.words)")
        }
    }

    /// Checks the name of a region.
    static func check(region: String) throws(TrustAnchorError) {
        guard Partition.isRegionName(region) else {
            throw TrustAnchorError(.name, "\"\(region)\" is not the name of an AWS region")
        }
    }

    /// A name for what is made of the bundle, from the first CA's common name.
    var suggestedName: String {
        let commonName = certificates.first?.subject.commonName ?? ""
        let scalars = commonName.unicodeScalars.map {
            $0.isASCII && AWSText.resourceName.allows(UInt8($0.value)) ? Character($0) : "-"
        }
        // A name that began with a hyphen would be an option to a shell's command.
        let name = String(scalars.prefix(AWSLimit.resourceNameLength.maximum).drop { $0 == "-" || $0 == " " })
        return name.isEmpty ? "pki" : name
    }
}

// MARK: - Rules

extension TrustAnchorBundle {
    /// Reads a file that may contain certificates only.
    private static func certificates(in file: File) throws(TrustAnchorError) -> [Certificate] {
        do {
            if file.contents.first != 0x30 {
                for document in try PEMDocument.documents(in: file.contents)
                where !document.label.hasSuffix("CERTIFICATE") {
                    if document.label.hasSuffix("PRIVATE KEY") {
                        throw TrustAnchorError(
                            .privateKey, "\(file.name) holds a private key, which must never go into a trust anchor",
                            hint: "give the file that holds the CA's certificate alone")
                    }
                    throw TrustAnchorError(
                        .foreignObject,
                        "\(file.name) holds a \"\(document.label)\", and a trust anchor takes certificates only")
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

/// The command that gives AWS a certificate revocation list.
public struct RevocationListImport: Hashable, Sendable {
    /// Where the list goes.
    public enum Place: Hashable, Sendable {
        /// A new list for a trust anchor, under a name.
        case trustAnchor(arn: String, name: String)
        /// In place of the list that AWS knows by an identifier.
        case list(identifier: String)
    }

    /// The list's file.
    public let path: String
    /// Where it goes.
    public let place: Place
    /// The AWS region; the AWS CLI's own default when there is none.
    public let region: String?

    /// Describes an import.
    ///
    /// - Parameters:
    ///   - path: The list's file, in PEM.
    ///   - place: Where it goes.
    ///   - region: The AWS region.
    /// - Throws: ``TrustAnchorError`` when AWS would not take a name, or a shell would make more of it than a word.
    public init(path: String, place: Place, region: String? = nil) throws(TrustAnchorError) {
        switch place {
        case .trustAnchor(let arn, let name):
            try TrustAnchorBundle.check(name: name)
            guard AmazonResourceName(arn)?.isA(.trustAnchor) == true, Self.isPlain(arn) else {
                throw TrustAnchorError(
                    .name, "\"\(arn)\" is not the ARN of a trust anchor",
                    hint: "see it with: aws rolesanywhere list-trust-anchors")
            }
        case .list(let identifier):
            guard !identifier.isEmpty, Self.isPlain(identifier) else {
                throw TrustAnchorError(
                    .name, "\"\(identifier)\" is not the identifier of a list in AWS",
                    hint: "see it with: aws rolesanywhere list-crls")
            }
        }
        if let region { try TrustAnchorBundle.check(region: region) }
        self.path = path
        self.place = place
        self.region = region
    }

    /// One command for a POSIX shell, on lines joined by backslashes.
    public var awsCLICommand: String {
        var lines: [String]
        switch place {
        case .trustAnchor(let arn, let name):
            lines = [
                "aws rolesanywhere import-crl", Quoting.shell("--name=\(name)"), "--enabled",
                "--trust-anchor-arn \(Quoting.shell(arn))",
            ]
        case .list(let identifier): lines = ["aws rolesanywhere update-crl", "--crl-id \(Quoting.shell(identifier))"]
        }
        if let region { lines.insert("--region \(Quoting.shell(region))", at: 1) }
        lines.append("--crl-data \(Quoting.shell("fileb://\(path)"))")
        return lines.joined(separator: " \\\n  ")
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

/// Why IAM Roles Anywhere would not take a trust anchor's bundle, or what goes with it.
public typealias TrustAnchorError = CodedError<TrustAnchorErrorCode>

/// The kinds of ``TrustAnchorError``.
public enum TrustAnchorErrorCode: Sendable {
    /// There is no certificate.
    case empty
    /// There are more certificates than a trust anchor takes.
    case tooMany
    /// The text has more characters than a trust anchor takes.
    case tooLong
    /// There is a private key among the certificates.
    case privateKey
    /// There is an object of another kind among the certificates.
    case foreignObject
    /// The text or a certificate in it cannot be read.
    case malformed
    /// A certificate is not a CA's.
    case notCA
    /// A CA may not sign certificates.
    case keyUsage
    /// A certificate is not of version 3.
    case version
    /// A certificate is signed with a hash weaker than SHA-256.
    case weakSignature
    /// A certificate has expired or is not valid yet.
    case validity
    /// A resource name has characters that AWS does not allow.
    case name
    /// Anybody could assume the role, or nobody.
    case condition
    /// A session would last too short or too long.
    case duration
    /// A template cannot be filled.
    case template
}
