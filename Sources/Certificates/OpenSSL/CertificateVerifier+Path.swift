// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import struct FoundationEssentials.Date
import Glibc
import SystemSupport

extension CertificateVerifier {
    /// Runs X509_verify_cert up to the first complaint.
    func verifiedPath(for certificate: Certificate, intermediates: [Certificate], at date: Date) throws -> [Certificate]
    {
        try unsafe withContext(for: certificate, intermediates: intermediates, at: date) { context in
            unsafe X509_STORE_CTX_set_verify_cb(context) { status, context in
                guard status == 0, let context = unsafe context else { return status }
                return unsafe isLastSecond(context) ? 1 : 0
            }
            let status = unsafe X509_verify_cert(context)
            guard status == 1 else {
                forgiveOpenSSLErrors()
                throw unsafe Self.failure(context)
            }
            return try unsafe chain(context, among: [certificate] + intermediates + anchors)
        }
    }

    /// Runs X509_verify_cert to its end, collecting every error.
    func searchedPath(for certificate: Certificate, intermediates: [Certificate], at date: Date) throws -> PathSearch {
        try unsafe withContext(for: certificate, intermediates: intermediates, at: date) { context in
            let collector = ErrorCollector()
            return try withExtendedLifetime(collector) {
                let status = unsafe X509_STORE_CTX_set_ex_data(
                    context, 0, Unmanaged.passUnretained(collector).toOpaque())
                try check(status, "X509_STORE_CTX_set_ex_data")
                unsafe X509_STORE_CTX_set_verify_cb(context) { status, context in
                    guard status == 0, let context = unsafe context,
                        let pointer = unsafe X509_STORE_CTX_get_ex_data(context, 0)
                    else { return status }
                    if unsafe isLastSecond(context) { return 1 }
                    let collector = unsafe Unmanaged<ErrorCollector>.fromOpaque(pointer).takeUnretainedValue()
                    unsafe collector.errors.append(VerificationError(context))
                    return 1
                }
                let isDone = unsafe X509_verify_cert(context) == 1
                // What ends the search at once never reaches the callback.
                if !isDone { unsafe collector.errors.append(VerificationError(context)) }
                forgiveOpenSSLErrors()
                let known = [certificate] + intermediates + anchors
                let path = (try? unsafe chain(context, among: known)) ?? [certificate]
                return PathSearch(path: path, errors: collector.errors)
            }
        }
    }

    private func withContext<Result>(
        for certificate: Certificate, intermediates: [Certificate], at date: Date,
        _ body: (OpaquePointer) throws -> Result
    ) throws -> Result {
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
            "X509_STORE_CTX_init")
        let flags = UInt(X509_V_FLAG_PARTIAL_CHAIN | (isStrict ? X509_V_FLAG_X509_STRICT : 0))
        unsafe X509_STORE_CTX_set_flags(context.pointer, flags)
        unsafe X509_STORE_CTX_set_time(context.pointer, 0, time_t(date.timeIntervalSince1970))
        return try unsafe body(context.pointer)
    }

    private func chain(_ context: OpaquePointer, among known: [Certificate]) throws -> [Certificate] {
        let chain = try unsafe Owned<X509StackObject>(
            X509_STORE_CTX_get1_chain(context), from: "X509_STORE_CTX_get1_chain")
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

/// Whether libcrypto reports as expired what ends at this very second: notAfter is inclusive (RFC 5280 §4.1.2.5).
private func isLastSecond(_ context: OpaquePointer) -> Bool {
    guard unsafe X509_STORE_CTX_get_error(context) == X509_V_ERR_CERT_HAS_EXPIRED,
        let certificate = unsafe X509_STORE_CTX_get_current_cert(context),
        let end = unsafe X509_get0_notAfter(certificate),
        let parameters = unsafe X509_STORE_CTX_get0_param(context)
    else { return false }
    return unsafe ASN1_TIME_cmp_time_t(end, X509_VERIFY_PARAM_get_time(parameters)) == 0
}

struct PathSearch {
    /// The certificate first; incomplete if no path was found.
    var path: [Certificate]
    var errors: [VerificationError]
}

/// An error of libcrypto about a path.
struct VerificationError {
    /// Which certificate of the path it is about; the certificate in question is 0.
    let depth: Int
    /// libcrypto's text of the error.
    let reason: String
    let rule: ValidationRule

    init(_ context: OpaquePointer) {
        let code = unsafe X509_STORE_CTX_get_error(context)
        depth = unsafe Int(max(0, X509_STORE_CTX_get_error_depth(context)))
        reason = unsafe text(of: X509_verify_cert_error_string(Int(code))) ?? "error \(code)"
        rule = Self.rules[code] ?? PathRule.strict
    }

    private static let rules: [CInt: ValidationRule] = [
        X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT: PathRule.incomplete,
        X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: PathRule.incomplete,
        X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: PathRule.incomplete,
        X509_V_ERR_CERT_UNTRUSTED: PathRule.incomplete,
        X509_V_ERR_CERT_CHAIN_TOO_LONG: PathRule.incomplete,
        X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: PathRule.selfSigned,
        X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: PathRule.untrustedRoot,
        X509_V_ERR_CERT_SIGNATURE_FAILURE: IssuerRule.signature,
        X509_V_ERR_AKID_SKID_MISMATCH: IssuerRule.keyIdentifier,
        X509_V_ERR_CERT_NOT_YET_VALID: PathRule.notYetValid,
        X509_V_ERR_CERT_HAS_EXPIRED: PathRule.expired,
        X509_V_ERR_PATH_LENGTH_EXCEEDED: PathRule.length,
        X509_V_ERR_PERMITTED_VIOLATION: PathRule.permitted,
        X509_V_ERR_EXCLUDED_VIOLATION: PathRule.excluded,
        X509_V_ERR_SUBTREE_MINMAX: AlternativeNameRule.constraintsDistance,
        X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE: PathRule.constraintsUnsupported,
        X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX: PathRule.constraintsUnsupported,
        X509_V_ERR_UNSUPPORTED_NAME_SYNTAX: PathRule.constraintsUnsupported,
        X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION: EncodingRule.unknownCritical,
        X509_V_ERR_INVALID_EXTENSION: EncodingRule.malformedExtension,
        X509_V_ERR_INVALID_CA: UsageRule.notCA,
        X509_V_ERR_INVALID_NON_CA: UsageRule.isCA,
        X509_V_ERR_KEYUSAGE_NO_CERTSIGN: UsageRule.caCertSign,
        X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA: UsageRule.pathLength,
        X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN: UsageRule.caCertSign,
        X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA: UsageRule.certSign,
        X509_V_ERR_ISSUER_NAME_EMPTY: NameRule.issuerEmpty,
        X509_V_ERR_SUBJECT_NAME_EMPTY: NameRule.subjectEmpty,
        X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER: UsageRule.noAuthorityKey,
        X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER: UsageRule.subjectKey,
        X509_V_ERR_EMPTY_SUBJECT_ALT_NAME: AlternativeNameRule.empty,
        X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL: AlternativeNameRule.critical,
        X509_V_ERR_CA_BCONS_NOT_CRITICAL: UsageRule.constraintsCritical,
        X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL: EncodingRule.mustNotBeCritical,
        X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL: EncodingRule.mustNotBeCritical,
        X509_V_ERR_CA_CERT_MISSING_KEY_USAGE: UsageRule.caKeyUsage,
        X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3: EncodingRule.version,
        X509_V_ERR_EC_KEY_EXPLICIT_PARAMS: KeyRule.explicitCurve,
        X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH: IssuerRule.signature,
        X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY: EncodingRule.algorithmsDiffer,
    ]
}

/// Collects the errors of the callback.
private final class ErrorCollector {
    var errors: [VerificationError] = []
}
