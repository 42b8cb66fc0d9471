// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL
internal import Synchronization
internal import SystemSupport

/// A server's certificate, its intermediates and its key, for TLS 1.2 and 1.3. No description of it shows the key.
package final class TLSIdentity: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let current: Mutex<TLSSettings>

    /// Reads certificates and a key in PEM.
    ///
    /// - Parameters:
    ///   - certificateChain: The server's certificate first, and its intermediates.
    ///   - privateKey: The key of the server's certificate, not encrypted.
    ///   - clientRoots: Root certificates for clients. A client may then send a certificate, which must be for client authentication
    ///     and lead to one of these; a handshake with any other fails. Intermediate CAs among them help clients that send none.
    ///     Empty: clients are not asked.
    ///   - handlerJudgesClients: Whether clients' certificates may have expired or be for another purpose: the handler decides about
    ///     both, and can say why.
    package init(
        certificateChain: [UInt8], privateKey: [UInt8], clientRoots: [UInt8] = [], handlerJudgesClients: Bool = false
    ) throws(HTTPServerError) {
        do {
            current = Mutex(try TLSSettings(certificateChain, privateKey, clientRoots, handlerJudgesClients))
        } catch {
            throw HTTPServerError(
                .invalidIdentity, "the TLS certificate or its key cannot be used: \(error.message)",
                hint: "give PEM with the server's certificate first, and its key without a passphrase")
        }
    }

    /// Uses another's certificates and key for the connections that are opened from now on, also of a server that runs.
    package func replace(with other: TLSIdentity) {
        let settings = other.settings
        current.withLock { $0 = settings }
    }

    var settings: TLSSettings { current.withLock { $0 } }

    package var description: String { "TLSIdentity" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a connection over TLS fails, or an identity cannot be used.
typealias TLSError = CodedError<TLSErrorCode>

enum TLSErrorCode: Sendable {
    /// libssl refuses what it was given.
    case refused
    /// The client ended the connection without saying so in TLS, so that something may be missing.
    case truncated
    /// The client makes the server answer in TLS and does not read the answers.
    case flooded
}

extension TLSError {
    /// Takes the first reason from this thread's error queue, and clears the queue.
    static func refused(_ what: String) -> TLSError {
        let reason = unsafe ERR_reason_error_string(ERR_get_error())
        defer { ERR_clear_error() }
        return TLSError(.refused, unsafe "\(what): \(reason.map { unsafe String(cString: $0) } ?? "no reason given")")
    }
}

/// libssl's settings for connections, which may use them on any thread. They do not change.
@safe final class TLSSettings: Sendable {
    nonisolated(unsafe) let pointer: OpaquePointer

    init(
        _ certificateChain: [UInt8], _ privateKey: [UInt8], _ clientRoots: [UInt8], _ handlerJudgesClients: Bool
    ) throws(TLSError) {
        ERR_clear_error()
        guard let pointer = unsafe SSL_CTX_new(TLS_server_method()) else { throw .refused("SSL_CTX_new") }
        unsafe self.pointer = unsafe pointer
        // No session is resumed: one from a ticket would not know the client's certificates, and clients that run once have none.
        unsafe SSL_CTX_set_options(pointer, pki_SSL_OP_NO_RENEGOTIATION() | pki_SSL_OP_NO_TICKET())
        _ = unsafe pki_SSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        // Connections that wait keep no buffers.
        _ = unsafe pki_SSL_CTX_set_mode(pointer, Int(SSL_MODE_RELEASE_BUFFERS))
        guard unsafe SSL_CTX_set_num_tickets(pointer, 0) == 1,
            unsafe pki_SSL_CTX_set_min_proto_version(pointer, TLS1_2_VERSION) == 1,
            // Of TLS 1.2 what has forward secrecy and authenticated encryption, as all of TLS 1.3 has.
            unsafe SSL_CTX_set_cipher_list(pointer, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL") == 1
        else { throw .refused("the versions and ciphers") }
        unsafe SSL_CTX_set_alpn_select_cb(pointer, chooseProtocol, nil)
        try setCertificate(certificateChain, privateKey)
        if !clientRoots.isEmpty { try setClientRoots(clientRoots) }
        if handlerJudgesClients {
            let rules = unsafe SSL_CTX_get0_param(pointer)
            guard unsafe X509_VERIFY_PARAM_set_flags(rules, UInt(X509_V_FLAG_NO_CHECK_TIME)) == 1,
                unsafe X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_ANY) == 1
            else { throw .refused("the rules for clients") }
        }
    }

    deinit { unsafe SSL_CTX_free(pointer) }

    private func setCertificate(_ certificateChain: [UInt8], _ privateKey: [UInt8]) throws(TLSError) {
        let chain = unsafe try Self.certificates(certificateChain)
        defer { unsafe pki_sk_X509_pop_free(chain) }
        let bio = unsafe BIO_new_mem_buf(privateKey, CInt(clamping: privateKey.count))
        defer { unsafe BIO_free(bio) }
        let key = unsafe PEM_read_bio_PrivateKey(bio, nil, noPassphrase, nil)
        defer { unsafe EVP_PKEY_free(key) }
        guard unsafe key != nil else { throw .refused("the key") }
        let own = unsafe OpaquePointer(OPENSSL_sk_shift(chain))
        defer { unsafe X509_free(own) }
        guard unsafe SSL_CTX_use_cert_and_key(pointer, own, key, chain, 1) == 1 else {
            throw .refused("the certificate and the key")
        }
    }

    private func setClientRoots(_ clientRoots: [UInt8]) throws(TLSError) {
        let roots = unsafe try Self.certificates(clientRoots)
        defer { unsafe pki_sk_X509_pop_free(roots) }
        let count = unsafe pki_sk_X509_num(roots)
        for index in 0..<count {
            let root = unsafe pki_sk_X509_value(roots, index)
            guard unsafe X509_STORE_add_cert(SSL_CTX_get_cert_store(pointer), root) == 1,
                // The names by which a client finds the certificate to send.
                unsafe SSL_CTX_add_client_CA(pointer, root) == 1
            else { throw .refused("the roots for clients") }
        }
        unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
    }

    /// Reads at least one certificate. The caller frees the stack.
    private static func certificates(_ text: [UInt8]) throws(TLSError) -> OpaquePointer {
        let bio = unsafe BIO_new_mem_buf(text, CInt(clamping: text.count))
        defer { unsafe BIO_free(bio) }
        guard let stack = unsafe pki_sk_X509_new_null() else { throw .refused("the certificates") }
        while let certificate = unsafe PEM_read_bio_X509(bio, nil, noPassphrase, nil) {
            unsafe pki_sk_X509_push1(stack, certificate)
            unsafe X509_free(certificate)
        }
        // The end of the text is an error like any other.
        guard ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE, unsafe pki_sk_X509_num(stack) > 0 else {
            unsafe pki_sk_X509_pop_free(stack)
            throw .refused("a certificate cannot be read")
        }
        ERR_clear_error()
        return unsafe stack
    }
}

/// Refuses to give a passphrase. Without it libcrypto asks the terminal.
private func noPassphrase(_: UnsafeMutablePointer<CChar>?, _: CInt, _: CInt, _: UnsafeMutableRawPointer?) -> CInt { -1 }

/// Chooses HTTP/1.1 if the client offers it (RFC 7301), and nothing otherwise: then it finds out.
private func chooseProtocol(
    _: OpaquePointer?, chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, length: UnsafeMutablePointer<UInt8>?,
    offered: UnsafePointer<UInt8>?, count: CUnsignedInt, _: UnsafeMutableRawPointer?
) -> CInt {
    let own: StaticString = "\u{8}http/1.1"
    var choice: UnsafeMutablePointer<UInt8>?
    let status = unsafe SSL_select_next_proto(
        &choice, length, own.utf8Start, CUnsignedInt(own.utf8CodeUnitCount), offered, count)
    unsafe chosen?.pointee = UnsafePointer(choice)
    return status == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK
}
