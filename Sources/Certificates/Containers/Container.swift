// SPDX-License-Identifier: Apache-2.0

public import SystemSupport

/// The contents of a file of keys and certificates in any format: PEM with any mix of objects and any text around them,
/// one object in DER, PKCS#12 (RFC 7292) or PKCS#7; PEM also on one line, with `\n` for its line ends or in quotes, and
/// all of them in base64, as environment variables and secret stores have them.
///
/// Keys are found but not decoded; see ``EncodedPrivateKey/key(passphrase:)``.
public struct Container: Sendable {
    /// The forms of a file.
    public enum Form: String, Sendable {
        /// Text (RFC 7468).
        case pem
        /// One object in DER.
        case der
        /// PKCS#12, also known as PFX.
        case pkcs12
    }

    /// One thing in a file.
    public enum Object: Sendable {
        /// An X.509 certificate.
        case certificate(Certificate)
        /// A PKCS#10 request, whose signature may be wrong: see ``CertificateRequest/isSignedByItsKey``.
        case certificateRequest(CertificateRequest)
        /// A certificate revocation list.
        case revocationList(CertificateRevocationList)
        /// A public key alone.
        case publicKey(PublicKey)
        /// A private key.
        case privateKey(EncodedPrivateKey)
        /// A PEM object of another kind; its label is `a PEM object` where the file has none in capitals and digits.
        case unknown(label: String)
    }

    /// The format of the file.
    public let form: Form

    /// The objects, in the order of the file.
    public let objects: [Object]

    /// The certificates, in their order.
    public var certificates: [Certificate] {
        objects.compactMap { object in
            if case .certificate(let certificate) = object { certificate } else { nil }
        }
    }

    /// The private keys, in their order.
    public var privateKeys: [EncodedPrivateKey] {
        objects.compactMap { object in
            if case .privateKey(let key) = object { key } else { nil }
        }
    }

    /// The CRLs, in their order.
    public var revocationLists: [CertificateRevocationList] {
        objects.compactMap { object in
            if case .revocationList(let list) = object { list } else { nil }
        }
    }

    /// Reads a file. The passphrase opens PKCS#12, which is encrypted as a whole; without one, the empty one is tried.
    public init(reading file: SecretBytes, passphrase: SecretBytes? = nil) throws(CertificateError) {
        let file = WrappedText.unwrapped(file)
        if let found = try BinaryObject.recognize(file, passphrase: passphrase) {
            (form, objects) = (found.isPKCS12 ? .pkcs12 : .der, found.objects)
            return
        }
        let blocks = try unsafe file.withUnsafeBytes { (text) throws(CertificateError) in
            try unsafe PEMBlock.blocks(in: text)
        }
        guard !blocks.isEmpty else { throw Self.nothing(in: file) }
        var objects: [Object] = []
        for block in blocks { objects += try Self.objects(in: block, passphrase: passphrase) }
        (form, self.objects) = (.pem, objects)
    }

    private static func objects(in block: PEMBlock, passphrase: SecretBytes?) throws(CertificateError) -> [Object] {
        var bytes: [UInt8] { block.contents.array }
        if let key = try EncodedPrivateKey(block) { return [.privateKey(key)] }
        switch block.label {
        case "CERTIFICATE", "X509 CERTIFICATE": return [.certificate(try Certificate(derEncoded: bytes))]
        case "TRUSTED CERTIFICATE": return [.certificate(try Certificate(trustedDEREncoded: bytes))]
        case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
            let name = CertificateRequest.nameInContainers
            return [.certificateRequest(try CertificateRequest(unproven: bytes, name: name))]
        case "X509 CRL": return [.revocationList(try CertificateRevocationList(derEncoded: bytes))]
        case "PUBLIC KEY": return [.publicKey(try PublicKey(derEncoded: bytes))]
        case "RSA PUBLIC KEY": return [.publicKey(try PublicKey(rsaPublicKey: bytes))]
        case "PKCS7", "CMS", "PKCS #7 SIGNED DATA", "PKCS12", "PFX":
            return try BinaryObject.recognize(block.contents, passphrase: passphrase)?.objects
                ?? [.unknown(label: block.label)]
        // The parameters before an EC key are in the key as well.
        case "EC PARAMETERS": return []
        default: return [.unknown(label: block.label)]
        }
    }

    /// The error for a file without any object, which repeats nothing of its contents.
    private static func nothing(in file: SecretBytes) -> CertificateError {
        let beginning = unsafe file.withUnsafeBytes { unsafe Array($0.prefix(20)) }
        func refusal(_ what: String, convert command: String) -> CertificateError {
            CertificateError(.unsupported, "it is \(what)", hint: "convert it: \(command)")
        }
        if beginning.isEmpty { return CertificateError(.malformed, "it is empty") }
        if beginning.starts(with: [0xfe, 0xed, 0xfe, 0xed]) || beginning.starts(with: [0xce, 0xce, 0xce, 0xce]) {
            return refusal(
                "a Java keystore of the old form",
                convert: "keytool -importkeystore -srckeystore FILE -destkeystore NEW.p12 -deststoretype pkcs12")
        }
        if beginning.starts(with: [0xff, 0xfe]) || beginning.starts(with: [0xfe, 0xff]) {
            return refusal("text in UTF-16", convert: "iconv -f UTF-16 -t UTF-8 FILE > NEW")
        }
        if beginning.starts(with: "PuTTY-User-Key-File".utf8) {
            return refusal(
                "a key in PuTTY's form",
                convert: "puttygen FILE -O private-openssh -o NEW; ssh-keygen -p -m PKCS8 -f NEW")
        }
        if let line = WrappedText.firstLineWithObject(of: file) {
            let isJSON = beginning.first { $0 > 0x20 } == UInt8(ascii: "{")
            return CertificateError(
                .malformed,
                "its line \(line.number) of \(line.count) characters has the beginning of a PEM object, and more around it",
                hint: isJSON
                    ? "take the value out of the JSON: jq --raw-output .NAME FILE"
                    : "put the object whole on one line, or its BEGIN and END on lines of their own")
        }
        return CertificateError(
            .malformed,
            beginning.first == 0x30
                ? "it is no key, certificate or container that is known" : "it is neither PEM nor DER",
            hint: "an object in PEM begins with a line such as -----BEGIN CERTIFICATE-----")
    }
}

extension EncodedPrivateKey {
    /// The private key in a PEM object; `nil` if it holds something else.
    init?(_ block: PEMBlock) throws(CertificateError) {
        switch block.label {
        case "PRIVATE KEY": self.init(form: .pkcs8, encryption: nil, contents: .privateKeyInfo(block.contents))
        case "ENCRYPTED PRIVATE KEY": try self.init(encryptedPrivateKeyInfo: block.contents)
        case "RSA PRIVATE KEY", "EC PRIVATE KEY":
            let form: Form = block.label.hasPrefix("RSA") ? .pkcs1 : .sec1
            if block.headers.isEmpty {
                self.init(form: form, encryption: nil, contents: .traditional(block.contents))
            } else {
                self.init(
                    form: form, encryption: "PEM headers with MD5 (1 round) and \(Self.cipher(in: block.headers))",
                    contents: .encryptedTraditional(headers: block.headers, block.contents))
            }
        case "TSS2 PRIVATE KEY": self.init(form: .tss2, encryption: nil, contents: .closed)
        case "OPENSSH PRIVATE KEY":
            self.init(form: .openSSH, encryption: Self.openSSHEncryption(block.contents), contents: .closed)
        default: return nil
        }
    }

    /// The cipher that RFC 1421's header names: `AES-256-CBC`. Anything that cannot be such a name is not repeated: it
    /// may be part of the key.
    private static func cipher(in headers: [String]) -> String {
        let header = headers.first { $0.hasPrefix("DEK-Info:") }?.dropFirst("DEK-Info:".count)
        let name = header?.prefix { $0 != "," }.drop { $0 == " " } ?? ""
        return isAlgorithmName(name) ? String(name) : "an unknown algorithm"
    }

    /// Whether a text is the name of an algorithm: short words of letters and digits, joined by `-`.
    private static func isAlgorithmName(_ name: some StringProtocol) -> Bool {
        let words = name.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return (2...5).contains(words.count)
            && words.allSatisfy { word in
                (1...11).contains(word.count)
                    && word.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7a).contains($0 | 0x20) }
            }
    }

    /// How a key in OpenSSH's format is encrypted, by the names of the cipher and of the key derivation.
    private static func openSSHEncryption(_ contents: SecretBytes) -> String? {
        let names = unsafe contents.withUnsafeBytes { bytes -> [String] in
            var position = "openssh-key-v1\0".utf8.count
            var names: [String] = []
            while names.count < 2, position + 4 <= bytes.count {
                // No name is longer than the last of the four bytes can say.
                let name = unsafe bytes.dropFirst(position + 4).prefix(Int(bytes[position + 3]))
                names.append(unsafe String(decoding: name, as: UTF8.self))
                position += unsafe 4 + name.count
            }
            return names
        }
        guard names.count == 2, names[0] != "none" else { return nil }
        // What is not of ssh-keygen's own may be anything, the key itself too.
        let cipher = openSSHCiphers.contains(names[0]) ? names[0] : "an unknown cipher"
        return "OpenSSH's form with \(names[1] == "bcrypt" ? names[1] : "an unknown derivation") and \(cipher)"
    }

    /// The ciphers that `ssh-keygen -Z` takes (ssh_config(5), Ciphers).
    private static let openSSHCiphers: Set<String> = [
        "3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc", "aes128-ctr", "aes192-ctr", "aes256-ctr",
        "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com",
    ]
}
