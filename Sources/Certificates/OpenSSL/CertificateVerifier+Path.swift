// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import struct FoundationEssentials.Date
import Glibc

extension CertificateVerifier {
    /// Runs X509_verify_cert.
    func verifiedPath(for certificate: Certificate, intermediates: [Certificate], at date: Date) throws -> [Certificate]
    {
        let store = try unsafe Owned<X509StoreObject>(X509_STORE_new(), from: "X509_STORE_new")
        for anchor in anchors {
            let object = try anchor.object()
            try unsafe check(X509_STORE_add_cert(store.pointer, object.pointer), "X509_STORE_add_cert")
        }
        let untrusted = try unsafe Owned<X509StackObject>(pki_sk_X509_new_null(), from: "sk_X509_new_null")
        for intermediate in intermediates {
            let object = try intermediate.object()
            try unsafe check(pki_sk_X509_push1(untrusted.pointer, object.pointer), "sk_X509_push")
        }
        let subject = try certificate.object()
        let context = try unsafe Owned<X509StoreContextObject>(X509_STORE_CTX_new(), from: "X509_STORE_CTX_new")
        try unsafe check(
            X509_STORE_CTX_init(context.pointer, store.pointer, subject.pointer, untrusted.pointer),
            "X509_STORE_CTX_init"
        )
        let flags = UInt(X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN)
        unsafe X509_STORE_CTX_set_flags(context.pointer, flags)
        unsafe X509_STORE_CTX_set_time(context.pointer, 0, time_t(date.timeIntervalSince1970))
        let status = unsafe X509_verify_cert(context.pointer)
        guard status == 1 else {
            forgiveOpenSSLErrors()
            throw unsafe Self.failure(context.pointer)
        }
        let chain = try unsafe Owned<X509StackObject>(
            X509_STORE_CTX_get1_chain(context.pointer),
            from: "X509_STORE_CTX_get1_chain"
        )
        let known = [certificate] + intermediates + anchors
        return try unsafe (0..<pki_sk_X509_num(chain.pointer)).map { index in
            let element = unsafe pki_sk_X509_value(chain.pointer, index)
            let encoded = try unsafe derEncoding(by: "i2d_X509") { unsafe i2d_X509(element, $0) }
            // Reading a certificate costs more than finding the one that it was.
            return try known.first { $0.derEncoded == encoded } ?? Certificate(derEncoded: encoded)
        }
    }

    private static func failure(_ context: OpaquePointer) -> CertificateError {
        let code = unsafe X509_STORE_CTX_get_error(context)
        let reason = unsafe text(of: X509_verify_cert_error_string(Int(code))) ?? "error \(code)"
        let current = unsafe X509_STORE_CTX_get_current_cert(context)
        let name = unsafe current.flatMap { unsafe try? DistinguishedName(X509_get_subject_name($0)) }
        let depth = unsafe X509_STORE_CTX_get_error_depth(context)
        let place = depth == 0 ? "the certificate" : "certificate \(depth) of its path"
        return CertificateError(.untrusted, "\(place)\(name.map { " (\($0))" } ?? "") does not verify: \(reason)")
    }
}
