// SPDX-License-Identifier: Apache-2.0

import Certificates
public import SystemSupport

/// Why IAM Roles Anywhere would not take a trust anchor's bundle, or what goes with it.
public struct TrustAnchorError: ExplainedError, Equatable {
    /// The rule that is broken. Compare with the static members; new ones may be added.
    public struct Code: Hashable, Sendable {
        private enum Kind {
            case empty, tooMany, tooLong, privateKey, foreignObject, malformed, notCA, keyUsage, version, weakSignature,
                validity, name, condition, duration, template
        }
        private let kind: Kind

        /// There is no certificate.
        public static let empty = Code(kind: .empty)
        /// There are more certificates than a trust anchor takes.
        public static let tooMany = Code(kind: .tooMany)
        /// The text has more characters than a trust anchor takes.
        public static let tooLong = Code(kind: .tooLong)
        /// A private key stands among the certificates.
        public static let privateKey = Code(kind: .privateKey)
        /// Something else than a certificate stands among them.
        public static let foreignObject = Code(kind: .foreignObject)
        /// The text or a certificate in it cannot be read.
        public static let malformed = Code(kind: .malformed)
        /// A certificate is not a CA's.
        public static let notCA = Code(kind: .notCA)
        /// A CA may not sign certificates.
        public static let keyUsage = Code(kind: .keyUsage)
        /// A certificate is not of version 3.
        public static let version = Code(kind: .version)
        /// A certificate is signed with a hash weaker than SHA-256.
        public static let weakSignature = Code(kind: .weakSignature)
        /// A certificate has expired or is not valid yet.
        public static let validity = Code(kind: .validity)
        /// A resource name has characters that AWS does not allow.
        public static let name = Code(kind: .name)
        /// A role could be taken by anybody, or by nobody.
        public static let condition = Code(kind: .condition)
        /// A session would last too short or too long.
        public static let duration = Code(kind: .duration)
        /// A template cannot be filled.
        public static let template = Code(kind: .template)
    }

    /// The rule that is broken.
    public let code: Code

    /// What is wrong, with the file and the certificate it is about.
    public let message: String

    /// The way out, when there is one to name.
    public let remedy: String?

    init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }
}
