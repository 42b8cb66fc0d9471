// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// A certificate that is on the disk, and where.
public struct IssuedCertificate: Sendable {
    /// The certificate.
    public let certificate: Certificate

    /// The path of the certificate's file.
    public let certificatePath: String

    /// The path of the key's file; nothing when the key is elsewhere or came in a certificate request.
    public let keyPath: String?

    /// The address of a key that is in a token, a TPM or an agent.
    public let keyAddress: String?

    /// The path of the file with the CA certificates between the certificate and its root; nothing when there are none.
    public let chainPath: String?

    /// Where files that were in the way went.
    public let archivedPaths: [String]

    /// What the user should know and may not expect, each a sentence without a full stop.
    public let notices: [String]
}
