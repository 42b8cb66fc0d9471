// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import SystemSupport

/// How something is encrypted under a password: what stands in the AlgorithmIdentifier (RFC 8018, RFC 7292 appendix C).
///
/// It is read before libcrypto acts on it. The work of deriving a key is a number in the file, and one in a damaged or
/// hostile file would keep the processor busy for hours.
struct PasswordEncryption {
    /// The algorithms and their costs in words: `PBES2 with PBKDF2 (hmacWithSHA256, 600000 rounds) and AES-256-CBC`.
    let description: String

    /// Whether an algorithm is only in libcrypto's legacy provider.
    private let isLegacy: Bool

    /// The most rounds of PBKDF2 and its predecessors: some seconds of work.
    static let maximumRounds = 5_000_000

    /// The most of N·r·p in scrypt: 128 times what is usual.
    static let maximumScryptCost = 128 << 17

    /// Reads an algorithm and checks what it costs. PBMAC1 (RFC 9579), which authenticates, has PBES2's parameters.
    ///
    /// - Parameter algorithm: An X509_ALGOR.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/unsupported`` when it is not understood or costs too much.
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
    ///
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/unsupported`` when it cannot be loaded.
    func prepare() throws(CertificateError) {
        if isLegacy { try Self.prepareLegacy(description) }
    }

    /// Loads libcrypto's legacy provider.
    ///
    /// - Parameter algorithm: What needs it, for the error.
    /// - Throws: ``CertificateError`` with ``CertificateErrorCode/unsupported`` when it cannot be loaded.
    static func prepareLegacy(_ algorithm: String) throws(CertificateError) {
        guard unsafe legacyProvider == nil else { return }
        throw CertificateError(
            .unsupported,
            "it is encrypted by \(algorithm), which \(OpenSSLVersion.text) has only in its legacy provider, and that "
                + "cannot be loaded here",
            hint: "encrypt it anew on a machine that has it: openssl pkcs12 -legacy or openssl pkcs8 -topk8"
        )
    }

    /// The legacy provider. It is loaded when the first file needs it and stays; the pointer is kept so that all that it
    /// holds remains reachable.
    // SAFETY: it is only compared with nil.
    private nonisolated(unsafe) static let legacyProvider: OpaquePointer? = {
        defer { forgiveOpenSSLErrors() }
        // It takes MD5 and others from the providers that are active when it is loaded. libcrypto's own become so when
        // something is first asked of them.
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
            .unsupported,
            "its encryption asks for \(what), which is more than would be waited for",
            hint: "the file may be damaged; if it is not, encrypt it anew with usual parameters: openssl pkcs8 -topk8"
        )
    }
}

/// The short name of an algorithm; see ``name(of:)``.
private func objectName(_ object: OpaquePointer) -> String { unsafe name(of: object) }
