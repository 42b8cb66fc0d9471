// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

/// Other people's files are read as those people's tools say.
@Suite struct CorpusTests {
    static let message = Array("message".utf8)

    @Test func `the corpus is large and of many makers`() throws {
        let files = try Corpus.load().files
        #expect(files.count >= 60)
        let tools = Set(files.map { $0.tool.split(separator: ",")[0].split(separator: " ")[0] })
        #expect(tools.isSuperset(of: ["openssl", "certtool", "ssh-keygen", "keytool", "python"]))
    }

    @Test(arguments: try Corpus.load().files.filter { !$0.isRefused })
    func `a file holds what its maker put in`(file: Corpus.File) throws {
        let container = try Container(reading: SecretBytes(file.contents()), passphrase: file.secret)
        #expect(container.form == file.form)
        // The order within PKCS#12 is the maker's affair.
        let found = container.objects.map(description)
        let expected = (file.objects ?? []).map { description($0, in: file) }
        if file.form == .pkcs12 || file.unordered == true {
            #expect(found.sorted() == expected.sorted())
        } else {
            #expect(found == expected)
        }
        #expect(container.certificates.count == file.objects?.count { $0.kind == .certificate })
        #expect(container.privateKeys.count == file.objects?.count { $0.kind == .privateKey })
    }

    @Test(
        arguments: try Corpus.load().files.filter {
            !$0.isRefused && $0.objects?.contains { $0.kind == .privateKey } ?? false
        }
    )
    func `a key signs, and its certificate agrees`(file: Corpus.File) throws {
        let contents = SecretBytes(try file.contents())
        let container = try Container(reading: contents, passphrase: file.secret)
        var opened: [String] = []
        var certified = 0
        for encoded in container.privateKeys {
            let key: PrivateKey
            do {
                key = try encoded.key(passphrase: file.secret)
            } catch {
                let refusals = (file.objects ?? []).compactMap { refusal(of: $0) }
                #expect(refusals.contains { $0.describes(error) }, "\(error)")
                continue
            }
            opened.append("\(key.publicKey.algorithm) \(fingerprint(of: key.publicKey))")
            guard key.publicKey.algorithm != .other("X25519") else { continue }
            let signature = try key.signature(for: Self.message, digest: .sha256)
            #expect(key.publicKey.isValid(signature: signature, for: Self.message, digest: .sha256))
            for certificate in container.certificates where certificate.publicKey == key.publicKey {
                certified += 1
                #expect(certificate.publicKey.isValid(signature: signature, for: Self.message, digest: .sha256))
            }
        }
        let usable = (file.objects ?? []).filter { $0.kind == .privateKey && refusal(of: $0) == nil }
        #expect(opened.sorted() == usable.map { "\($0.algorithm ?? "") \($0.publicKey ?? "")" }.sorted())
        let certificates = (file.objects ?? []).filter { $0.kind == .certificate }
        #expect(certified == usable.count { key in certificates.contains { $0.publicKey == key.publicKey } })
        if file.costly == nil, let first = container.privateKeys.first,
            let key = try? first.key(passphrase: file.secret)
        {
            #expect(try PrivateKey(reading: contents, passphrase: file.secret).publicKey == key.publicKey)
        }
    }

    @Test(arguments: try Corpus.load().files.filter(\.isRefused))
    func `what cannot be read is refused with its reason`(file: Corpus.File) throws {
        let contents = SecretBytes(try file.contents())
        let error = #expect(throws: CertificateError.self) {
            try Container(reading: contents, passphrase: file.secret)
        }
        guard let error, let refused = file.refused else { return }
        #expect(refused.describes(error), "\(error)")
        #expect(throws: CertificateError.self) { try PrivateKey(reading: contents, passphrase: file.secret) }
    }

    @Test(arguments: try Corpus.load().files.filter { $0.passphrase != nil && $0.costly == nil && !$0.isRefused })
    func `a passphrase that is missing or wrong is told apart`(file: Corpus.File) throws {
        let contents = SecretBytes(try file.contents())
        let wrong = SecretBytes((file.passphrase ?? "").utf8 + [0x78])
        for (passphrase, code) in [(nil, .missingPassphrase), (wrong, .wrongPassphrase)]
            as [(SecretBytes?, CertificateErrorCode)]
        {
            // An empty password is what PKCS#12 has when it has none.
            if file.form == .pkcs12, file.passphrase == "", passphrase == nil { continue }
            do {
                let container = try Container(reading: contents, passphrase: passphrase)
                #expect(container.form != .pkcs12, "it is open without the passphrase")
                for key in container.privateKeys where key.encryption != nil {
                    let error = #expect(throws: CertificateError.self) { try key.key(passphrase: passphrase) }
                    let isRefused = (file.objects ?? []).contains { $0.refused != nil }
                    #expect(error?.code == code || (isRefused && error?.code == .unsupported))
                }
            } catch {
                #expect(error.code == code, "\(error)")
            }
        }
    }

    /// Why a key cannot be used: in general, or with the libcrypto of this run.
    private func refusal(of object: Corpus.Object) -> Corpus.Refusal? {
        guard object.kind == .privateKey else { return nil }
        if object.needs != nil, !Corpus.isNewer { return Corpus.Refusal(code: "unsupported", says: "OpenSSL 3.") }
        return object.refused
    }

    private func fingerprint(of key: PublicKey) -> String {
        Digest.sha256.hash(key.derEncoded).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func description(_ object: Container.Object) -> String {
        switch object {
        case .certificate(let certificate): "certificate \(certificate.fingerprint)"
        case .certificateRequest(let request):
            "certificateRequest \(request.publicKey.algorithm) \(fingerprint(of: request.publicKey))"
        case .revocationList(let list): "revocationList \(list.revokedCount)"
        case .publicKey(let key): "publicKey \(key.algorithm) \(fingerprint(of: key))"
        case .privateKey(let key): "privateKey \(key.form)" + (key.encryption == nil ? "" : " encrypted")
        case .unknown(let label): "unknown \(label)"
        }
    }

    private func description(_ object: Corpus.Object, in file: Corpus.File) -> String {
        let key = "\(object.algorithm ?? "") \(object.publicKey ?? "")"
        return switch object.kind {
        case .certificate: "certificate \(object.fingerprint ?? "")"
        case .certificateRequest, .publicKey: "\(object.kind) \(key)"
        case .revocationList: "revocationList \(object.revoked ?? -1)"
        case .privateKey:
            "privateKey \(object.form?.rawValue ?? "")" + (object.encrypted == true ? " encrypted" : "")
        case .unknown: "unknown \(object.label ?? "")"
        }
    }
}
