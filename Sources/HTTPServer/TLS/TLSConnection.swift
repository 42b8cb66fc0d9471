// SPDX-License-Identifier: Apache-2.0

internal import COpenSSL
internal import NIOCore

/// The server's end of a TLS connection, without a network: libssl takes what the client sent from ``input``, and leaves what is for
/// the client in ``output``. Each byte is copied once on its way in or out.
@safe final class TLSConnection {
    /// Something was read, more of the client's bytes are needed, or the client said that it sends no more.
    enum Progress { case bytes, incomplete, closed }

    private let ssl: OpaquePointer
    private var input = ByteBuffer()
    private var output = ByteBuffer()

    init(_ settings: TLSSettings) throws(TLSError) {
        ERR_clear_error()
        guard let ssl = unsafe SSL_new(settings.pointer) else { throw .refused("SSL_new") }
        unsafe self.ssl = unsafe ssl
        guard let bio = unsafe BIO_new(Self.method) else { throw .refused("BIO_new") }
        // For both directions. libssl owns it.
        unsafe SSL_set_bio(ssl, bio, bio)
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe BIO_set_init(bio, 1)
        unsafe SSL_set_accept_state(ssl)
    }

    deinit { unsafe SSL_free(ssl) }

    var isEstablished: Bool { unsafe SSL_is_init_finished(ssl) == 1 }

    /// Takes bytes of the client.
    func receive(_ bytes: ByteBuffer) {
        if input.readableBytes == 0 { input = bytes } else { input.writeImmutableBuffer(bytes) }
    }

    /// Takes what is for the client.
    func takeOutput() -> ByteBuffer {
        defer { output = ByteBuffer() }
        return output
    }

    /// Continues the handshake, and then reads at most one record. After an error only ``takeOutput()`` may be called, for the alert.
    func read(into buffer: inout ByteBuffer) throws(TLSError) -> Progress {
        ERR_clear_error()
        var count = 0
        var status: CInt = 0
        // What does not fit remains in libssl for the next call.
        unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: min(max(input.readableBytes, 512), 16_384)) {
            space in
            status = unsafe SSL_read_ex(ssl, space.baseAddress, space.count, &count)
            return count
        }
        if status == 1 { return .bytes }
        switch unsafe SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ:
            // Everything was taken; the channel can use the memory again.
            input = ByteBuffer()
            return .incomplete
        case SSL_ERROR_ZERO_RETURN: return .closed
        default: throw .refused(isEstablished ? "a record" : "the handshake")
        }
    }

    /// Encrypts bytes for the client. Fails before the connection is established, and after ``close()``.
    func write(_ bytes: ByteBuffer) throws(TLSError) {
        ERR_clear_error()
        let count = bytes.readableBytes
        // A record has up to 16 KiB, and much less than 128 bytes more than that.
        output.reserveCapacity(minimumWritableBytes: count + (count / 16_384 + 1) * 128)
        var written = 0
        let status = unsafe bytes.withUnsafeReadableBytes { unsafe SSL_write_ex(ssl, $0.baseAddress, count, &written) }
        guard status == 1 else { throw .refused("a response") }
    }

    /// Says that the server sends no more.
    func close() {
        ERR_clear_error()
        _ = unsafe SSL_shutdown(ssl)
    }

    /// The client's certificates in DER, its own first and the root last, as they were verified; none if it sent none.
    var clientCertificates: [[UInt8]] {
        guard let chain = unsafe SSL_get0_verified_chain(ssl) else { return [] }
        let count = unsafe pki_sk_X509_num(chain)
        return (0..<count).map { index in
            var bytes: UnsafeMutablePointer<UInt8>?
            let count = unsafe i2d_X509(pki_sk_X509_value(chain, index), &bytes)
            defer { unsafe pki_OPENSSL_free(bytes) }
            return unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(max(count, 0))))
        }
    }

    // MARK: What libssl calls

    /// How libssl reads and writes: never with an end, which ``TLSHandler`` looks for itself. `nil` without memory.
    nonisolated(unsafe) private static let method: OpaquePointer? = {
        guard let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "SwiftNIO") else {
            return nil
        }
        unsafe BIO_meth_set_read(method) { bio, space, size in
            guard let connection = unsafe TLSConnection.of(bio) else { return -1 }
            let count = unsafe connection.input.readWithUnsafeReadableBytes { bytes in
                let count = min(Int(size), bytes.count)
                unsafe UnsafeMutableRawBufferPointer(start: space, count: count).copyBytes(from: bytes[..<count])
                return count
            }
            let retry = BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY
            guard count > 0 else {
                unsafe BIO_set_flags(bio, retry)
                return -1
            }
            unsafe BIO_clear_flags(bio, retry)
            return CInt(count)
        }
        unsafe BIO_meth_set_write(method) { bio, bytes, size in
            guard let connection = unsafe TLSConnection.of(bio) else { return -1 }
            unsafe connection.output.writeBytes(UnsafeRawBufferPointer(start: bytes, count: Int(size)))
            return size
        }
        // Nothing waits to be flushed. The rest is not for a thing like this.
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return unsafe method
    }()

    private static func of(_ bio: OpaquePointer?) -> TLSConnection? {
        unsafe BIO_get_data(bio).map { unsafe Unmanaged<TLSConnection>.fromOpaque($0).takeUnretainedValue() }
    }
}
