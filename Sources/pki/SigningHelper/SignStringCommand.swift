// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import RolesAnywhere
import SystemSupport

/// `aws_signing_helper sign-string`
struct SignStringCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign-string",
        abstract: "As aws_signing_helper: sign a fixed string, to see whether a key can be used.",
        discussion: """
            The string is "AWS Roles Anywhere Credential Helper Signing Test1" and, for RSA and EC keys, the 32 bytes of the \
            SHA-256 of "IAM RA" and the public key. Nothing else can be signed, so that nobody can be made to sign a request.

            For example:

              pki sign-string --private-key "pkcs11:token=web;object=web-1"
            """
    )

    /// How the signature is printed.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case json, text, bin
    }

    @OptionGroup var identity: IdentityOptions

    @Option(
        name: .long,
        help: ArgumentHelp("json: hexadecimal in quotes; text: hexadecimal; bin: bytes.", valueName: "form")
    )
    var format = Format.json

    @Option(name: .long, help: ArgumentHelp("SHA256, SHA384 or SHA512.", valueName: "digest"), transform: Self.digest)
    var digest = Digest.sha256

    @Flag(name: .long, help: .hidden)
    var debug = false

    private static func digest(_ text: String) throws -> Digest {
        guard text == text.uppercased(), let digest = Digest(rawValue: text.lowercased()) else {
            throw ValidationError("\(text) is not included in SHA256,SHA384,SHA512")
        }
        return digest
    }

    func run() throws {
        let console = Console.standard
        let key = try identity.settings.key(console)
        let signature = try key.signature(for: Self.fixedString(for: key.publicKey), digest: digest)
        switch format {
        case .json: try console.write("\"\(hexadecimal(signature))\"")
        case .text: try console.write(hexadecimal(signature))
        case .bin: try console.write(signature)
        }
    }

    /// What is signed.
    static func fixedString(for key: PublicKey) -> [UInt8] {
        let text = Array("AWS Roles Anywhere Credential Helper Signing Test1".utf8)
        switch key.algorithm {
        case .rsa, .ec: return text + Digest.sha256.hash(Array("IAM RA".utf8) + key.subjectPublicKey)
        default: return text
        }
    }
}

extension IdentitySettings {
    /// The key alone, for which no certificate is needed where a key is named.
    ///
    /// - Parameter console: Where warnings go.
    /// - Returns: The key.
    /// - Throws: An `ExplainedError` naming what is missing or wrong.
    func key(_ console: Console) throws -> any SigningKey {
        guard privateKey != nil || namesCertificate else { throw UsageError.missing("--private-key") }
        let passphrase = try passphrase(console)
        guard let privateKey, certificateStore == nil else {
            return try source(passphrase).0.read { try passphrase.read("passphrase of the private key") }.key
        }
        let opener = KeyOpener(device, passphrase: passphrase)
        var certificates: [Certificate] = []
        if let certificate { certificates = try opener.allCertificates(at: KeyLocation(certificate)) }
        let place = try KeyLocation(privateKey)
        do {
            return try opener.key(at: place, for: certificates, allowsInsecurePermissions: insecurePermissions)
        } catch let error as FileError {
            throw RolesAnywhereError(error)
        }
    }
}
