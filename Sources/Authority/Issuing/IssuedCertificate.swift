// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// A certificate that is on the disk, and where.
public struct IssuedCertificate: Sendable {
    /// The certificate.
    public let certificate: Certificate

    /// The path of the certificate's file.
    public let certificatePath: String

    /// The path of the key's file, or the address of a key elsewhere; nothing when the key came in a certificate request.
    public let keyPath: String?

    /// Where files that were in the way went.
    public let archivedPaths: [String]

    /// What the user should know and may not expect, each a sentence without a full stop.
    public let notices: [String]
}
