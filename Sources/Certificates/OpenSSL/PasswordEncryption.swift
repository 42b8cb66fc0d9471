// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// How something is encrypted under a password, from its AlgorithmIdentifier (RFC 8018, RFC 7292 appendix C). It is read
/// before libcrypto acts on it: the cost of deriving a key is a number in the file, and in a hostile file it would keep
/// the processor busy for hours.
struct PasswordEncryption {
    /// The algorithms and their costs: `PBES2 with PBKDF2 (hmacWithSHA256, 600000 rounds) and AES-256-CBC`.
    let description: String

    /// Whether an algorithm is only in libcrypto's legacy provider.
    private let isLegacy: Bool

    /// The most rounds of PBKDF2 and its predecessors: some seconds of work.
    static let maximumRounds = 5_000_000

    /// The most of N·r·p in scrypt: 128 times what is usual.
    static let maximumScryptCost = 128 << 17

    /// Reads an algorithm and checks its cost. PBMAC1 (RFC 9579), which authenticates, has PBES2's parameters.
    init(_ algorithm: UnsafePointer<X509_ALGOR>?) throws(CertificateError) {
        guard let algorithm = unsafe algorithm,
            let encoded = try? unsafe derEncoding(by: "i2d_X509_ALGOR", { unsafe i2d_X509_ALGOR(algorithm, $0) }),
            let fields = DER.elements(inSequence: encoded), let name = fields.first.map(Self.name)
        else { throw Self.unreadable }
        let parameters = fields.dropFirst().first?.contents ?? []
        if name == "PBES2" || name == "PBMAC1" {
            guard let parts = DER.elements(in: parameters), parts.count == 2,
                let derivation = DER.elements(in: parts[0].contents),
                let derivationName = derivation.first.map(Self.name),
                let cipher = DER.elements(in: parts[1].contents)?.first.map(Self.name)
            else { throw Self.unreadable }
            let costs = try Self.costs(of: derivationName, derivation.dropFirst().first?.contents ?? [])
            description = "\(name) with \(derivationName) (\(costs)) and \(cipher)"
            isLegacy = ["DES-CBC", "RC2-CBC", "RC4", "RC5-CBC"].contains(cipher) || costs.contains("MD5")
        } else {
            guard let values = DER.elements(in: parameters), values.count >= 2 else { throw Self.unreadable }
            description = "\(name) (\(try Self.rounds(values[1])) rounds)"
            isLegacy =
                ["MD2", "MD5", "RC2", "RC4", "SHA1-DES"].contains { name.contains($0) }
                || name == "PBE-SHA1-DES"
        }
    }

    /// Loads libcrypto's legacy provider when the algorithm is in there.
    func prepare() throws(CertificateError) {
        if isLegacy { try Self.prepareLegacy(description) }
    }

    static func prepareLegacy(_ algorithm: String) throws(CertificateError) {
        guard unsafe legacyProvider == nil else { return }
        throw CertificateError(
            .unsupported,
            "it is encrypted by \(algorithm), which \(OpenSSLVersion.text) has only in its legacy provider, and that "
                + "cannot be loaded here",
            hint: "encrypt it again on a machine that has it: openssl pkcs12 -legacy or openssl pkcs8 -topk8")
    }

    /// The legacy provider. It is loaded when the first file needs it and stays; the pointer is kept so that all that it
    /// holds remains reachable.
    // SAFETY: it is only compared with nil.
    private nonisolated(unsafe) static let legacyProvider: OpaquePointer? = {
        defer { forgiveOpenSSLErrors() }
        // It uses MD5 and others of the providers that are active when it is loaded. libcrypto's own are activated by
        // their first use.
        unsafe EVP_MD_free(EVP_MD_fetch(nil, "SHA256", nil))
        return unsafe OSSL_PROVIDER_try_load(nil, "legacy", 1)
    }()

    private static func costs(of name: String, _ parameters: ArraySlice<UInt8>) throws(CertificateError) -> String {
        guard let values = DER.elements(in: parameters), values.count >= 2 else { throw unreadable }
        if name == "id-scrypt" || name == "scrypt" {
            guard values.count >= 4 else { throw unreadable }
            let factors = values[1...3].map { integer($0) }
            let (first, overflow) = factors[0].multipliedReportingOverflow(by: factors[1])
            let (cost, moreOverflow) = first.multipliedReportingOverflow(by: factors[2])
            guard !overflow, !moreOverflow, cost <= maximumScryptCost else {
                throw tooCostly("scrypt with N = \(factors[0]), r = \(factors[1]), p = \(factors[2])")
            }
            return "N = \(factors[0]), r = \(factors[1]), p = \(factors[2])"
        }
        let function = values.dropFirst(2).first { $0.tag == DER.sequence }
        let functionName = function.flatMap { DER.elements(in: $0.contents)?.first.map(Self.name) }
        return "\(functionName ?? "hmacWithSHA1"), \(try rounds(values[1])) rounds"
    }

    private static func rounds(_ element: DER.Element) throws(CertificateError) -> Int {
        let rounds = integer(element)
        guard (1...maximumRounds).contains(rounds) else { throw tooCostly("\(rounds) rounds") }
        return rounds
    }

    /// Checks the rounds of a message authentication code.
    static func check(rounds: Int) throws(CertificateError) {
        guard rounds <= maximumRounds else { throw tooCostly("\(rounds) rounds") }
    }

    private static func integer(_ element: DER.Element) -> Int {
        guard element.tag == DER.integer, element.contents.first.map({ $0 < 0x80 }) ?? false else { return 0 }
        let magnitude = element.contents.drop { $0 == 0 }
        return magnitude.count > 7 ? .max : magnitude.reduce(0) { $0 << 8 | Int($1) }
    }

    private static func name(_ element: DER.Element) -> String {
        let encoded = DER.encode(element.tag, Array(element.contents))
        guard
            let object = unsafe encoded.withUnsafeBufferPointer({ buffer in
                var position = buffer.baseAddress
                return unsafe d2i_ASN1_OBJECT(nil, &position, buffer.count)
            })
        else {
            forgiveOpenSSLErrors()
            return "an unknown algorithm"
        }
        defer { unsafe ASN1_OBJECT_free(object) }
        return unsafe objectName(object)
    }

    private static var unreadable: CertificateError {
        CertificateError(.unsupported, "the parameters of its encryption cannot be read")
    }

    private static func tooCostly(_ what: String) -> CertificateError {
        CertificateError(
            .unsupported, "its encryption asks for \(what), which would take too long",
            hint: "the file may be damaged; if it is not, encrypt it again with usual parameters: openssl pkcs8 -topk8")
    }
}

private func objectName(_ object: OpaquePointer) -> String { unsafe name(of: object) }

/// An algorithm for encrypting under a password, with a salt of its own: an X509_ALGOR.
@safe struct NewPasswordEncryption: ~Copyable {
    private var algorithm: UnsafeMutablePointer<X509_ALGOR>?

    /// How many random bytes distinguish two encryptions under the same password.
    private static let saltCount: CInt = 16

    private init(_ algorithm: UnsafeMutablePointer<X509_ALGOR>?, from function: StaticString) throws(OpenSSLError) {
        guard let algorithm = unsafe algorithm else { throw OpenSSLError(in: function) }
        unsafe self.algorithm = unsafe algorithm
    }

    deinit { unsafe X509_ALGOR_free(algorithm) }

    /// PBES2 with AES-256-CBC and scrypt: 16 MiB and about 0.2 s for every guess.
    static func scrypt() throws(OpenSSLError) -> NewPasswordEncryption {
        let algorithm = unsafe PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nil, saltCount, nil, 1 << 14, 8, 5)
        return try unsafe NewPasswordEncryption(algorithm, from: "PKCS5_pbe2_set_scrypt")
    }

    /// PBES2 with AES-256-CBC and PBKDF2 with HMAC-SHA-256.
    static func pbkdf2(rounds: CInt) throws(OpenSSLError) -> NewPasswordEncryption {
        let function = NID_hmacWithSHA256
        let algorithm = unsafe PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), rounds, nil, saltCount, nil, function)
        return try unsafe NewPasswordEncryption(algorithm, from: "PKCS5_pbe2_set_iv")
    }

    /// Triple DES with the key derivation of PKCS#12 and SHA-1 (RFC 7292 appendix C).
    static func tripleDES(rounds: CInt) throws(OpenSSLError) -> NewPasswordEncryption {
        let identifier = NID_pbe_WithSHA1And3_Key_TripleDES_CBC
        let algorithm = unsafe PKCS5_pbe_set(identifier, rounds, nil, saltCount)
        return try unsafe NewPasswordEncryption(algorithm, from: "PKCS5_pbe_set")
    }

    var derEncoded: [UInt8] {
        get throws(OpenSSLError) {
            try unsafe derEncoding(by: "i2d_X509_ALGOR") { unsafe i2d_X509_ALGOR(algorithm, $0) }
        }
    }

    /// Encrypts bytes that are no secret of their own.
    func encrypt(_ bytes: [UInt8], under passphrase: SecretBytes) throws(OpenSSLError) -> [UInt8] {
        var encrypted: UnsafeMutablePointer<UInt8>?
        var count: CInt = 0
        _ = unsafe passphrase.withText { text, length in
            unsafe PKCS12_pbe_crypt(algorithm, text, length, bytes, CInt(bytes.count), &encrypted, &count, 1)
        }
        guard let encrypted = unsafe encrypted else { throw OpenSSLError(in: "PKCS12_pbe_crypt") }
        defer { unsafe pki_OPENSSL_free(encrypted) }
        return unsafe Array(UnsafeBufferPointer(start: encrypted, count: Int(count)))
    }

    consuming func encrypt(
        _ info: borrowing Owned<PrivateKeyInfoObject>, under passphrase: SecretBytes
    ) throws(OpenSSLError) -> Owned<EncryptedKeyObject> {
        let encrypted = unsafe passphrase.withText { unsafe PKCS8_set0_pbe($0, $1, info.pointer, algorithm) }
        // It belongs to the encrypted key when there is one.
        if unsafe encrypted != nil { unsafe algorithm = nil }
        return try unsafe Owned(encrypted, from: "PKCS8_set0_pbe")
    }
}
