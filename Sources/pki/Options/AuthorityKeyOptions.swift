// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates
import FoundationEssentials
import SystemSupport

/// Where a CA's key is and what opens it.
struct AuthorityKeyOptions: ParsableArguments {
    @Option(
        help: .value(
            "location",
            """
            The CA key: a file, a pkcs11: URI, handle:0x81… for a TPM, ssh-agent:SHA256:…, -, env:NAME or fd:N. \
            (default: ISSUER-key.pem in the directory, else the key that ISSUER-key.uri names)
            """), completion: .file())
    var caKey: String?

    @OptionGroup var device: DeviceOptions

    @OptionGroup var passphraseOptions: PassphraseOptions<CAKeyRole>

    /// Opens the CA of a name; without a name, the root or the only CA whose key is there.
    func open(
        _ directory: String, inventory: String? = nil, issuer: String? = nil, passphrase: Passphrase? = nil,
        now: Date = .now
    ) throws -> CertificateAuthority {
        if inventory == nil { try InventoryOptions.refuseElsewhere(directory) }
        let passphrase = try passphrase ?? passphraseOptions.passphrase()
        let opener = KeyOpener(device, passphrase: passphrase)
        let authority = try CertificateAuthority(
            openingIn: directory,
            issuer: issuer,
            by: Operator.name,
            now: now,
            keyAddress: caKey,
            inventory: inventory,
            passphrase: passphrase.tries("passphrase of the CA key"),
            openKey: { address, certificate in
                try opener.key(at: KeyLocation(address), for: [certificate])
            }
        )
        authority.inventory.announced()
        if issuer == nil, authority.name != CertificateAuthority.rootName {
            Console.standard.note("the root's key is not in \(directory): the CA \(authority.name) issues")
        }
        return authority
    }
}

/// A new key: made in the directory, or one in a token, a TPM or an agent.
struct NewAuthorityKeyOptions: ParsableArguments {
    @Option(help: .value("type", "Key type. ML-DSA needs OpenSSL 3.5. (default: ec-p256)"))
    var keyType: KeyType?

    @Option(
        help: .value(
            "location", "Use this key in a device: a pkcs11: URI, handle:0x81… for a TPM, or ssh-agent:SHA256:…."))
    var key: String?

    @Flag(help: "Create the key of --key in the token first, with the type of --key-type.")
    var generateKey = false

    func validate() throws {
        guard !generateKey || key != nil else { throw ValidationError("--generate-key requires --key pkcs11:…") }
    }

    /// The key in a device, not opened yet; `nil` if a key is made in the directory.
    ///
    /// - Throws: ``UsageError`` when the location is a file.
    func externalKey(_ device: DeviceOptions, passphrase: Passphrase) throws -> ExternalKey? {
        guard let key else { return nil }
        let place = try KeyLocation(key)
        let opener = KeyOpener(device, passphrase: passphrase)
        switch place {
        case .pkcs11:
            guard generateKey else { break }
            let type = keyType ?? .ecP256
            return ExternalKey(address: "\(place)") { try opener.generateKey(at: key, type: type) }
        case .tpm, .agent:
            guard !generateKey else { throw UsageError(message: "--generate-key creates keys in PKCS#11 tokens only") }
        case .file, .standardInput, .environment, .descriptor:
            throw UsageError(
                message: "--key must be a key in a device: pkcs11:…, handle:0x81… or ssh-agent:SHA256:…",
                hint: "omit --key to create a key in the directory")
        }
        return ExternalKey(address: "\(place)") { try opener.key(at: place) }
    }
}

/// Who runs the program, for the CA's audit.
enum Operator {
    /// The user's name and the machine's, `alex@rack-7`; under sudo also who called it.
    ///
    /// Read from the password file: a call of the name services costs more than issuing.
    static var name: String {
        var user = userName(of: ThisProcess.user)
        if ThisProcess.user == 0, let caller = ThisProcess.variables("SUDO_USER")["SUDO_USER"], !caller.isEmpty,
            caller != user
        {
            user = "\(caller) as \(user)"
        }
        return ThisProcess.hostName.map { "\(user)@\($0)" } ?? user
    }

    private static func userName(of identifier: UInt32) -> String {
        let file = (try? String(contentsOfFile: "/etc/passwd", encoding: .utf8)) ?? ""
        for line in file.utf8.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
            if fields.count == 4, fields[2].elementsEqual("\(identifier)".utf8) { return String(Substring(fields[0])) }
        }
        return "uid \(identifier)"
    }
}

/// How tokens and TPMs are used.
struct DeviceOptions: ParsableArguments, Sendable {
    @Option(
        name: .customLong("pkcs11-lib"),
        help: .value(
            "file", "PKCS#11 module for pkcs11: URIs without module-path. (default: those configured in p11-kit)"),
        completion: .file())
    var pkcs11Library: String?

    @Flag(help: "Use the login PIN for keys that require a PIN for each signature.")
    var reusePin = false

    @Flag(help: "Do not ask for a password of the TPM key; it has none.")
    var noTpmKeyPassword = false

    @Option(
        help: ArgumentHelp("The TPM key's password, which every user of this machine can see.", visibility: .hidden))
    var tpmKeyPassword: String?

    /// Options of which none was given, made without the parser.
    static var none: DeviceOptions {
        var options = DeviceOptions()
        (options.pkcs11Library, options.reusePin) = (nil, false)
        (options.noTpmKeyPassword, options.tpmKeyPassword) = (false, nil)
        return options
    }

    func validate() throws {
        if noTpmKeyPassword, tpmKeyPassword != nil {
            throw ValidationError("only one of --tpm-key-password and --no-tpm-key-password can be given")
        }
    }
}
