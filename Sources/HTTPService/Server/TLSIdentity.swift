// SPDX-License-Identifier: Apache-2.0

internal import NIOSSL
import SystemSupport

/// What a server shows its clients under TLS: a certificate, the intermediates behind it, and the key.
///
/// TLS 1.2 and 1.3 are spoken. No description of a value shows the key.
package struct TLSIdentity: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let context: NIOSSLContext

    /// Reads certificate and key.
    ///
    /// - Parameters:
    ///   - certificateChain: PEM with the server's certificate first and the intermediates behind it, or one certificate
    ///     in DER.
    ///   - privateKey: The key of the first certificate, not encrypted, in PEM or DER.
    /// - Throws: ``HTTPServiceError`` with ``HTTPServiceErrorCode/invalidIdentity``.
    package init(certificateChain: [UInt8], privateKey: [UInt8]) throws(HTTPServiceError) {
        do {
            let certificates =
                try certificateChain.first == 0x30
                ? [NIOSSLCertificate(bytes: certificateChain, format: .der)]
                : NIOSSLCertificate.fromPEMBytes(certificateChain)
            let key = try NIOSSLPrivateKey(bytes: privateKey, format: privateKey.first == 0x30 ? .der : .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: certificates.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw HTTPServiceError(
                .invalidIdentity,
                "the TLS certificate or its key cannot be used: \(error)",
                hint: "give PEM with the server's certificate first, and its key without a passphrase"
            )
        }
    }

    /// Always `TLSIdentity`.
    package var description: String { "TLSIdentity" }

    /// Always `TLSIdentity`.
    package var debugDescription: String { description }

    /// A mirror without children.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
