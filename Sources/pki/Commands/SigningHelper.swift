// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import Delivery
import FoundationEssentials
import RolesAnywhere
import SystemSupport

/// The command line of `aws_signing_helper`, which `pki` can replace: by a link of that name, or as
/// `pki credential-process` and so on.
struct SigningHelper: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "aws_signing_helper",
        abstract: "AWS session credentials for a client certificate: pki, called as aws_signing_helper.",
        discussion: """
            Has the options, output and exit status (1 for any failure) of aws_signing_helper 1.8. All options of pki \
            work too. docs/migrating-from-aws-signing-helper.md compares it with pki's own commands.
            """,
        version: Version.text,
        subcommands: [
            CredentialProcessCommand.self, UpdateCommand.self, ServeCommand.self, SignStringCommand.self,
            ReadCertificateDataCommand.self, VersionCommand.self,
        ]
    )

    /// The commands that have no other name in pki.
    static let commands: [any ParsableCommand.Type] = [
        CredentialProcessCommand.self, SignStringCommand.self, ReadCertificateDataCommand.self, VersionCommand.self,
    ]

    /// The status of every failure.
    static let failure: Int32 = 1

    /// Whether the program was started under the helper's name.
    static func isCalled(by arguments: [String]) -> Bool {
        arguments.first?.split(separator: "/").last.map { $0 == "aws_signing_helper" } ?? false
    }

    /// Whether the command exits with the helper's status.
    static func isMeant(by arguments: [String]) -> Bool {
        isCalled(by: arguments)
            || arguments.count > 1 && commands.contains { $0.configuration.commandName == arguments[1] }
    }

    /// The arguments after the program's name for this parser: the helper accepts values of flags, as in `--debug=true`.
    static func normalized(_ arguments: [String]) -> [String] {
        let flags: Set = [
            "--debug", "--no-verify-ssl", "--with-proxy", "--use-latest-expiring-certificate", "--reuse-pin",
            "--no-tpm-key-password", "--once",
        ]
        return arguments.compactMap { argument in
            guard let equals = argument.firstIndex(of: "="), flags.contains(String(argument[..<equals])) else {
                return argument
            }
            switch argument[argument.index(after: equals)...].lowercased() {
            case "true", "t", "1": return String(argument[..<equals])
            case "false", "f", "0": return nil
            default: return argument
            }
        }
    }
}

struct CredentialProcessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "credential-process",
        _superCommandName: "pki",
        abstract: "Print credentials for credential_process, as in aws_signing_helper.",
        discussion: """
            Prints one JSON object without a line end, always with new credentials. pki creds --cache prints the same, and \
            requests credentials once for any number of callers.

            For example:

              pki credential-process --certificate web-1-cert.pem \\
                --private-key web-1-key.pem --trust-anchor-arn $anchor \\
                --profile-arn $profile --role-arn $role

            Exit status: 0 done, 1 any failure.
            """
    )

    @OptionGroup var access: AccessOptions

    func run() throws {
        let console = Console.standard
        let credentials = try Access(access, profile: nil).credentials(console)
        try console.write(credentials.helperText)
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        _superCommandName: "pki",
        abstract: "Print the version, as in aws_signing_helper.",
        discussion: """
            The version of pki, not of aws_signing_helper.

            For example:

              pki version

            Exit status: 0 done, 1 any failure.
            """
    )

    func run() throws { try Console.standard.write(Version.text + "\n") }
}

extension Credentials {
    /// What aws_signing_helper prints: no account, no line end.
    fileprivate var helperText: String {
        let members: JSONValue = [
            "Version": 1, "AccessKeyId": .string(accessKeyID), "SecretAccessKey": .string(secretAccessKey),
            "SessionToken": .string(sessionToken), "Expiration": JSONValue(expiration),
        ]
        return members.text
    }
}

struct ReadCertificateDataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read-certificate-data",
        _superCommandName: "pki",
        abstract:
            "Print a certificate's data for requests, or list a store, as in aws_signing_helper.",
        discussion: """
            Prints one JSON object for a file, and a list for a token (--certificate pkcs11:…) or a store \
            (--certificate-store with --cert-selector). pki inspect shows more.

            For example:

              pki read-certificate-data --certificate web-1-cert.pem

            Exit status: 0 done, 1 any failure.
            """
    )

    @OptionGroup var identity: IdentityOptions

    @Flag(help: .hidden)
    var debug = false

    func run() throws {
        let console = Console.standard
        try identity.check()
        let passphrase = try identity.secret(console)
        let opener = KeyOpener(identity.device, passphrase: passphrase)
        if let store = try CertificateStore(identity, opener: opener, passphrase: passphrase) {
            return try console.write(Self.list(store.matching()))
        }
        guard let text = identity.certificate else { throw UsageError.missing("--certificate") }
        let place = try KeyLocation(text)
        let certificates = try opener.certificates(at: place)
        if case .pkcs11 = place { return try console.write(Self.list(certificates, address: "\(place)")) }
        guard let certificate = certificates.first else {
            throw InputError(
                message: "there is no certificate in \(place)",
                hint: "a certificate in PEM begins with -----BEGIN CERTIFICATE-----")
        }
        try console.write(Self.data(of: certificate))
    }

    static func data(of certificate: Certificate) -> String {
        let (type, algorithms): (String, [String]) =
            switch certificate.publicKey.algorithm {
            case .rsa: ("RSA", ["RSASHA256", "RSASHA384", "RSASHA512"])
            case .ec: ("EC", ["ECSHA256", "ECSHA384", "ECSHA512"])
            case .mlDSA(let set): ("ML-DSA-\(set)", ["ML-DSA-\(set)"])
            case .other: ("", ["SHA256", "SHA384", "SHA512"])
            }
        let object: JSONValue = [
            "keyType": .string(type), "certificateData": .string(Data(certificate.derEncoded).base64EncodedString()),
            "serialNumber": .string(certificate.serialNumber.decimal), "supportedAlgorithms": JSONValue(algorithms),
        ]
        return object.text
    }

    private static func list(_ certificates: [Certificate], address: String? = nil) -> String {
        guard !certificates.isEmpty else { return "No matching identities\n" }
        var text = "Matching identities\n"
        for (index, certificate) in certificates.enumerated() {
            let serial = certificate.serialNumber.hexadecimal.drop { $0 == "0" }.uppercased()
            text += "\(index + 1)) Hex Fingerprint: \(certificate.sha1Fingerprint)\n"
            text += "Subject: \(printable(certificate.subject.description))\n"
            text += "Issuer: \(printable(certificate.issuer.description))\n"
            text += "Serial Number: \(serial)\n"
            if let address { text += "URI: \(address)\n" }
            text += "\n"
        }
        return text
    }
}

struct SignStringCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign-string",
        _superCommandName: "pki",
        abstract: "Sign a fixed string to test a key, as in aws_signing_helper.",
        discussion: """
            The string is "AWS Roles Anywhere Credential Helper Signing Test1" and, for RSA and EC keys, the 32 bytes of the \
            SHA-256 of "IAM RA" and the public key. Nothing else can be signed, so that it cannot be misused for requests.

            For example:

              pki sign-string --private-key "pkcs11:token=web;object=web-1"

            Exit status: 0 done, 1 any failure.
            """
    )

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case json, text, bin
    }

    @OptionGroup var identity: IdentityOptions

    @Option(name: .format, help: .value("format", "Output format: hexadecimal in quotes, hexadecimal, or bytes."))
    var format = Format.json

    @Option(
        help: .value("digest", "Digest: SHA256, SHA384 or SHA512."), completion: .list(["SHA256", "SHA384", "SHA512"]),
        transform: Self.digest)
    var digest = Digest.sha256

    @Flag(help: .hidden)
    var debug = false

    private static func digest(_ text: String) throws -> Digest {
        guard text == text.uppercased(), let digest = Digest(rawValue: text.lowercased()) else {
            throw ValidationError("\(text) is not included in SHA256,SHA384,SHA512")
        }
        return digest
    }

    func run() throws {
        let console = Console.standard
        let key = try identity.key(console)
        let signature = try key.signature(for: Self.fixedString(for: key.publicKey), digest: digest)
        switch format {
        case .json: try console.write("\"\(hexadecimal(signature))\"")
        case .text: try console.write(hexadecimal(signature))
        case .bin: try console.write(signature)
        }
    }

    static func fixedString(for key: PublicKey) -> [UInt8] {
        let text = Array("AWS Roles Anywhere Credential Helper Signing Test1".utf8)
        switch key.algorithm {
        case .rsa, .ec: return text + Digest.sha256.hash(Array("IAM RA".utf8) + key.subjectPublicKey)
        default: return text
        }
    }
}
