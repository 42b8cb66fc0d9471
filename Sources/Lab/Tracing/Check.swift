// SPDX-License-Identifier: Apache-2.0

/// What is looked at before a request is granted. The first check that fails decides the answer.
package enum Check: String, CaseIterable, Sendable {
    /// No fault was asked for that takes the place of the answer.
    case fault = "fault injection"
    /// Fewer requests came in this second than the lab was told to allow.
    case rate
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
    /// Somebody has the access key, and its session lasts.
    case credentials = "access key"
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
    /// No imported CRL says that a certificate of the path was revoked.
    case revocation
    /// The role is one of the profile's.
    case roleInProfile = "role in profile"
    /// The profile lets a request name its session.
    case namingAllowed = "naming allowed"
    /// What of the certificate becomes tags of the session, by the profile's attribute mappings.
    case sessionTags = "session tags"
    /// The role's trust policy allows all that the service does.
    case trustPolicy = "trust policy"
    /// The role allows a session of this length.
    case roleDuration = "role duration"
    /// The caller may do this.
    case permission
    /// The members of the request keep the service's limits.
    case input
    /// What the request asks for was done.
    case outcome

    /// What CreateSession looks at, in this order, before it creates a session.
    package static let ofCreateSession: [Check] = [
        .contentType, .form, .authorization, .signedHeaders, .date, .scope, .certificate, .chain, .algorithm,
        .serialNumber, .signature, .parameters, .duration, .sessionName, .trustAnchor, .profile, .role,
        .certificateRules, .path, .revocation, .roleInProfile, .namingAllowed, .sessionTags, .trustPolicy,
        .roleDuration,
    ]
}
