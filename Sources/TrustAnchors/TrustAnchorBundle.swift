// SPDX-License-Identifier: Apache-2.0

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

        /// Makes a file.
        ///
        /// - Parameters:
        ///   - name: What the file is called in messages.
        ///   - contents: Its contents.
        public init(name: String, contents: [UInt8]) {
            self.name = name
            self.contents = contents
        }
    }

    /// How many certificates a trust anchor takes: one, or two while a CA is replaced.
    public static let maximumCertificateCount = 2

    /// How many characters of PEM a trust anchor takes.
    public static let maximumLength = 204_800

    /// How many characters of PEM accounts take that have the older quota.
    public static let olderMaximumLength = 8_000

    /// The certificates, each once, in their order.
    public let certificates: [Certificate]

    /// Reads files and checks every rule.
    ///
    /// - Parameters:
    ///   - files: PEM files, or DER files of one certificate.
    ///   - now: The moment at which the certificates must be valid.
    /// - Throws: ``TrustAnchorError`` naming the file, the certificate and the rule.
    public init(reading files: [File], at now: Date) throws(TrustAnchorError) {
        var certificates: [Certificate] = []
        for file in files {
            let found = try Self.certificates(in: file)
            guard !found.isEmpty else {
                throw TrustAnchorError(
                    .empty,
                    "\(file.name) holds no certificate",
                    hint: "a certificate in PEM begins with -----BEGIN CERTIFICATE-----"
                )
            }
            for certificate in found where !certificates.contains(certificate) {
                try Self.check(certificate, in: file.name, at: now)
                certificates.append(certificate)
            }
        }
        guard !certificates.isEmpty else {
            throw TrustAnchorError(.empty, "there is no certificate to make a trust anchor from")
        }
        guard certificates.count <= Self.maximumCertificateCount else {
            throw TrustAnchorError(
                .tooMany,
                "there are \(certificates.count) certificates, and a trust anchor takes at most \(Self.maximumCertificateCount)",
                hint: "put in root CAs only: clients send their intermediates; more roots need more trust anchors"
            )
        }
        self.certificates = certificates
        guard pem.count <= Self.maximumLength else {
            throw TrustAnchorError(
                .tooLong,
                "the bundle has \(pem.count) characters, and a trust anchor takes at most \(Self.maximumLength)"
            )
        }
    }

    /// The text to paste: the certificates in PEM and nothing else.
    public var pem: String { certificates.map(\.pemEncoded).joined() }

    /// The `source` member of CreateTrustAnchor and UpdateTrustAnchor, as JSON on one line.
    public var sourceJSON: String {
        let text = pem.replacing("\n", with: "\\n")
        return #"{"sourceType":"CERTIFICATE_BUNDLE","sourceData":{"x509CertificateData":"\#(text)"}}"#
    }

    /// What is allowed and may yet surprise.
    public var warnings: [String] {
        guard pem.count > Self.olderMaximumLength else { return [] }
        return ["the bundle has \(pem.count) characters; accounts with the older quota take \(Self.olderMaximumLength)"]
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
        guard (1...255).contains(name.count), name.unicodeScalars.allSatisfy(isAllowedInName) else {
            throw TrustAnchorError(
                .name,
                "AWS takes no trust anchor of the name \"\(name)\"",
                hint: "use 1 to 255 letters, digits, blanks, \"-\" and \"_\""
            )
        }
    }

    /// Checks the name of a region.
    static func check(region: String) throws(TrustAnchorError) {
        guard !region.isEmpty, region.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || isLetterOrDigit($0) }) else {
            throw TrustAnchorError(.name, "\"\(region)\" is not the name of an AWS region")
        }
    }

    /// A name for what is made of the bundle, from the first CA's common name.
    var suggestedName: String {
        let commonName = certificates.first?.subject.commonName ?? ""
        let scalars = commonName.unicodeScalars.map { Self.isAllowedInName($0) ? Character($0) : "-" }
        // A name that began with a hyphen would be an option to a shell's command.
        let name = String(scalars.prefix(255).drop { $0 == "-" || $0 == " " })
        return name.isEmpty ? "pki" : name
    }

    private static func isAllowedInName(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.isASCII else { return false }
        return scalar == " " || scalar == "-" || scalar == "_" || isLetterOrDigit(UInt8(scalar.value))
    }
}

private func isLetterOrDigit(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: false
    }
}

// MARK: - Rules

extension TrustAnchorBundle {
    /// Reads a file in which nothing but certificates may stand.
    private static func certificates(in file: File) throws(TrustAnchorError) -> [Certificate] {
        do {
            if file.contents.first != 0x30 {
                for document in try PEMDocument.documents(in: file.contents)
                where !document.label.hasSuffix("CERTIFICATE") {
                    if document.label.hasSuffix("PRIVATE KEY") {
                        throw TrustAnchorError(
                            .privateKey,
                            "\(file.name) holds a private key, which must never go into a trust anchor",
                            hint: "give the file that holds the CA's certificate alone"
                        )
                    }
                    throw TrustAnchorError(
                        .foreignObject,
                        "\(file.name) holds a \"\(document.label)\", and a trust anchor takes certificates only"
                    )
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

    private static func check(_ certificate: Certificate, in file: String, at now: Date) throws(TrustAnchorError) {
        guard let (code, rule) = findings(certificate, at: now).first else { return }
        throw TrustAnchorError(code, "\(file): \(certificate.subject) \(rule.finding)", hint: rule.hint)
    }

    /// Finds every rule that a CA's certificate breaks.
    ///
    /// - Parameters:
    ///   - certificate: The certificate that a trust anchor is to be made from.
    ///   - now: The moment at which it must be valid.
    /// - Returns: The rules in the order in which they are checked; none when AWS would take the certificate.
    package static func rulesBroken(by certificate: Certificate, at now: Date) -> [BrokenRule] {
        findings(certificate, at: now).map(\.rule)
    }

    private static func findings(
        _ certificate: Certificate,
        at now: Date
    ) -> [(code: TrustAnchorErrorCode, rule: BrokenRule)] {
        var findings: [(code: TrustAnchorErrorCode, rule: BrokenRule)] = []
        func broken(_ code: TrustAnchorErrorCode, _ name: String, _ finding: String, hint: String? = nil) {
            findings.append((code, BrokenRule(name, finding, hint: hint)))
        }
        if certificate.version != 3 {
            broken(
                .version,
                "version",
                "is a certificate of version \(certificate.version), and AWS takes version 3 only"
            )
        }
        if !certificate.isCA {
            broken(
                .notCA,
                "basicConstraints",
                "is not a CA: it lacks basicConstraints CA:TRUE",
                hint: "a trust anchor is made from the CA's certificate, not from the client's"
            )
        }
        if certificate.keyUsage?.contains(.keyCertSign) != true {
            broken(.keyUsage, "keyUsage", "lacks keyUsage keyCertSign, which AWS wants of a CA")
        }
        if certificate.signatureAlgorithm.isWeak {
            broken(
                .weakSignature,
                "signatureAlgorithm",
                "is signed with \(certificate.signatureAlgorithm.name), and AWS wants SHA-256 or stronger"
            )
        }
        if now > certificate.notAfter {
            broken(.validity, "validity", "expired at \(CivilTime(certificate.notAfter).extended)")
        }
        if now < certificate.notBefore {
            broken(.validity, "validity", "is not valid before \(CivilTime(certificate.notBefore).extended)")
        }
        return findings
    }
}
