// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Authority
import Certificates

/// What a certificate is for; each is a template that is built in.
enum Profile: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// A client of IAM Roles Anywhere, or of TLS.
    case client
    /// A TLS server.
    case server
    /// Both.
    case peer
    /// A workload with a SPIFFE ID.
    case spiffe

    /// The built-in template.
    var template: CertificateTemplate {
        get throws {
            switch self {
            case .client: try BuiltInTemplates.client()
            case .server: try BuiltInTemplates.server()
            case .peer: try BuiltInTemplates.peer()
            case .spiffe: try BuiltInTemplates.spiffe()
            }
        }
    }
}
