// SPDX-License-Identifier: Apache-2.0

import Authority
import Certificates
import FoundationEssentials
import HTTPServer
import Synchronization
import SystemSupport

/// The certificate of `pki serve-ca` for TLS: from files, or issued by the CA itself and renewed before it expires.
final class ServerCertificate: Sendable {
    private enum Source: Sendable {
        /// Proxies may have other names than the certificate.
        case files(certificate: String, privateKey: String, names: [GeneralName])
        case issued(OwnCertificate)

        init(hosts: [String], certificate: String?, privateKey: String?) throws {
            let isOwn = certificate == nil
            let names = try (hosts.isEmpty && isOwn ? ["localhost", "127.0.0.1"] : hosts).map {
                try (try? GeneralName.ipAddress($0)) ?? .dnsName($0)
            }
            if let certificate, let privateKey {
                self = .files(certificate: certificate, privateKey: privateKey, names: names)
            } else {
                self = .issued(.tls(names))
            }
        }
    }

    let tls: TLSIdentity
    private let authority: CertificateAuthority
    private let state: Mutex<(source: Source, certificate: Certificate)>

    /// When the certificate expires.
    var expiry: Date { state.withLock(\.certificate.notAfter) }

    /// Whether the server has a name or an address, by its certificate or by `--host`.
    func isNamed(_ host: String) -> Bool {
        let (source, certificate) = state.withLock(\.self)
        let others: [GeneralName] = if case .files(_, _, let names) = source { names } else { [] }
        return certificate.isFor(host: host) || others.contains { $0.isFor(host: host) }
    }

    init(of authority: CertificateAuthority, hosts: [String], certificate: String?, privateKey: String?) throws {
        self.authority = authority
        let source = try Source(hosts: hosts, certificate: certificate, privateKey: privateKey)
        let (tls, made) = try Self.make(source, authority, renews: false)
        self.tls = tls
        state = Mutex((source, made))
    }

    private static func make(
        _ source: Source, _ authority: CertificateAuthority, renews: Bool
    ) throws -> (TLSIdentity, Certificate) {
        // Hosts that have their certificate alone send no intermediate CA, which may be another than the one that issues now. What has
        // expired is refused, with the reason, by the rules of enrolment, which may allow some time more and know servers' certificates.
        let authorities = try authority.roots + authority.chain + authority.trustedAuthorities(at: .now)
        let roots = Array(Set(authorities).map(\.pemEncoded).joined().utf8)
        switch source {
        case .files(let certificate, let privateKey, _):
            let chain = try FileContents(of: certificate).bytes
            guard let first = try Container(reading: chain).certificates.first else {
                throw InputError(message: "\(printable(certificate)) has no certificate")
            }
            let key = try FileContents(of: privateKey, .ownerOnly).bytes
            let identity = try TLSIdentity(
                certificateChain: unsafe chain.withUnsafeBytes { unsafe Array($0) },
                privateKey: unsafe key.withUnsafeBytes { unsafe Array($0) }, clientRoots: roots,
                handlerJudgesClients: true)
            return (identity, first)
        case .issued(let own):
            var generator = SystemRandomNumberGenerator()
            let (certificate, key) = try authority.certificate(own, renews: renews, now: .now, using: &generator)
            let chain = ([certificate] + authority.chain).map(\.pemEncoded).joined()
            let pem = try key.pemEncoded(passphrase: nil)
            let identity = try TLSIdentity(
                certificateChain: Array(chain.utf8), privateKey: unsafe pem.withUnsafeBytes { unsafe Array($0) },
                clientRoots: roots,
                handlerJudgesClients: true)
            return (identity, certificate)
        }
    }

    /// Reads the files again, or issues another certificate. Connections that are open keep the old one.
    func reload(_ console: Console) { reload(console) { state.withLock(\.source) } }

    /// The same with other files or names.
    func reload(_ console: Console, hosts: [String], certificate: String?, privateKey: String?) {
        reload(console) { try Source(hosts: hosts, certificate: certificate, privateKey: privateKey) }
    }

    private func reload(_ console: Console, _ source: () throws -> Source) {
        do {
            let source = try source()
            let (new, made) = try Self.make(source, authority, renews: true)
            tls.replace(with: new)
            state.withLock { $0 = (source, made) }
            console.note(
                "the server's certificate was replaced; it is valid until \(CivilTime(made.notAfter).extended)")
        } catch {
            console.warning(
                "the server keeps its certificate: \((error as? any ExplainedError)?.message ?? "\(error)")")
        }
    }

    /// Replaces the certificate when a third of its lifetime is left, when the clock went back to before it, or when it was
    /// revoked; files are looked at when they change.
    func keepValid(_ console: Console) async {
        var stamp = fileStamp
        var retryAt = ContinuousClock.now
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            switch state.withLock(\.source) {
            case .files:
                let now = fileStamp
                guard now != stamp else { continue }
                stamp = now
                reload(console)
            case .issued(let own):
                let certificate = state.withLock(\.certificate)
                let isRevoked = (try? authority.inventory.isRevoked(certificate)) ?? false
                guard isRevoked || !own.isFresh(certificate, of: authority, at: .now), retryAt <= .now else { continue }
                retryAt = .now + .seconds(10)
                if isRevoked { console.warning("the server's certificate was revoked") }
                reload(console)
            }
        }
    }

    private var fileStamp: FileStamp? {
        guard case .files(let certificate, _, _) = state.withLock(\.source) else { return nil }
        return FileStamp(at: certificate)
    }
}
