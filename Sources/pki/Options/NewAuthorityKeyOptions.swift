// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates

/// The key of a CA in the making: a new one in the directory, or one that stays in a token, a TPM or an agent.
struct NewAuthorityKeyOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("The kind of key. ML-DSA needs OpenSSL 3.5. (default: ec-p256)", valueName: "kind")
    )
    var keyType: KeyType?

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Use the key that is there instead of making a file: a pkcs11: URI, handle:0x81… for a TPM, ssh-agent:SHA256:….
            """,
            valueName: "place"
        )
    )
    var key: String?

    @Flag(
        name: .long,
        help: "Make the key in the token first, of the kind that --key-type says; it can never leave it."
    )
    var generateKey = false

    func validate() throws {
        guard !generateKey || key != nil else { throw ValidationError("--generate-key needs --key pkcs11:…") }
    }

    /// The key that is used where it is.
    ///
    /// - Parameters:
    ///   - device: How tokens and TPMs are spoken to.
    ///   - passphrase: The PIN or password there.
    /// - Returns: The key, not opened yet; nothing when one is to be made in the directory.
    /// - Throws: ``UsageError`` when the place is a file, or is no place.
    func externalKey(_ device: DeviceSettings, passphrase: Passphrase) throws -> ExternalKey? {
        guard let key else { return nil }
        let place = try KeyLocation(key)
        let opener = KeyOpener(device, passphrase: passphrase)
        switch place {
        case .pkcs11:
            guard generateKey else { break }
            let type = keyType ?? .ecP256
            return ExternalKey(address: "\(place)") { try opener.generateKey(at: key, type: type) }
        case .tpm, .agent:
            guard !generateKey else { throw UsageError(message: "--generate-key makes keys in PKCS#11 tokens only") }
        case .file, .standardInput, .environment, .descriptor:
            throw UsageError(
                message: "--key is for a key that stays where it is: pkcs11:…, handle:0x81… or ssh-agent:SHA256:…",
                hint: "leave it out, and a key is made in the CA's directory"
            )
        }
        return ExternalKey(address: "\(place)") { try opener.key(at: place) }
    }
}
