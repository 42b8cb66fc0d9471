// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import RolesAnywhere
import SystemSupport

/// `aws_signing_helper sign-string`
struct SignStringCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign-string",
        abstract: "Sign a fixed string to test a key, as in aws_signing_helper.",
        discussion: """
            The string is "AWS Roles Anywhere Credential Helper Signing Test1" and, for RSA and EC keys, the 32 bytes of the \
            SHA-256 of "IAM RA" and the public key. Nothing else can be signed, so that it cannot be misused for requests.

            For example:

              pki sign-string --private-key "pkcs11:token=web;object=web-1"
            """
    )

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case json, text, bin
    }

    @OptionGroup var identity: IdentityOptions

    @Option(
        name: .long,
        help: ArgumentHelp("Output format: hexadecimal in quotes, hexadecimal, or bytes.", valueName: "format"))
    var format = Format.json

    @Option(
        name: .long, help: ArgumentHelp("Digest: SHA256, SHA384 or SHA512.", valueName: "digest"),
        transform: Self.digest)
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
