// SPDX-License-Identifier: Apache-2.0

public import Certificates
public import struct FoundationEssentials.Date

/// Who has asked for a session: a certificate's subject, known by its name.
public struct Subject: Hashable, Sendable {
    /// The UUID in the ARN.
    public let identifier: String

    /// The ARN.
    public let arn: AmazonResourceName

    /// The subject's name.
    public let name: DistinguishedName

    /// The serial number of the certificate that was last used, in hexadecimal.
    public var serialNumber: String

    /// When a session was last created.
    public var lastSeen: Date
}
