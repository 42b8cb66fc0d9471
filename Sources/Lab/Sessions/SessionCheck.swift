// SPDX-License-Identifier: Apache-2.0

/// What is looked at before a session is created, in this order. The first check that fails decides the answer.
public enum SessionCheck: String, CaseIterable, Codable, Sendable {
    /// The content type is JSON.
    case contentType = "content type"
    /// The query is well encoded, and no header that must stand once stands twice.
    case form
    /// `Authorization` is there and has its parts.
    case authorization
    /// The headers that must be signed were.
    case signedHeaders = "signed headers"
    /// The request was signed less than five minutes ago, or ahead.
    case date
    /// The scope names the day, this region and this service.
    case scope
    /// `X-Amz-X509` holds a certificate.
    case certificate
    /// `X-Amz-X509-Chain` holds at most five.
    case chain
    /// The algorithm is that of the certified key.
    case algorithm
    /// The credential names the certificate's serial number in decimal.
    case serialNumber = "serial number"
    /// The certified key made the signature over what was received.
    case signature
    /// The three ARNs are there and well formed, the body is well formed.
    case parameters
    /// The duration is within 900 and 43200 seconds.
    case duration
    /// The session's name and the instance's properties keep their limits.
    case sessionName = "session name"
    /// The trust anchor exists and is enabled.
    case trustAnchor = "trust anchor"
    /// The profile exists and is enabled.
    case profile
    /// The role exists.
    case role
    /// The certificate keeps the rules of the service.
    case certificateRules = "certificate rules"
    /// A path leads from the certificate to the trust anchor.
    case path
    /// The role is one of the profile's.
    case roleInProfile = "role in profile"
    /// The profile lets a request name its session.
    case namingAllowed = "naming allowed"
    /// The role allows a session of this length.
    case roleDuration = "role duration"
}
