// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// The templates of the directory `templates/`, compiled in.
public enum BuiltInTemplates {
    /// `root.conf`: a root CA.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func root() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.root_conf, name: "templates/root.conf")
    }

    /// `client.conf`: a client certificate.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func client() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.client_conf, name: "templates/client.conf")
    }

    /// `server.conf`: the certificate of a server.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func server() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.server_conf, name: "templates/server.conf")
    }

    /// `peer.conf`: the certificate of a machine that is client and server.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func peer() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.peer_conf, name: "templates/peer.conf")
    }

    /// `spiffe.conf`: the certificate of a workload with a SPIFFE ID.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func spiffe() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.spiffe_conf, name: "templates/spiffe.conf")
    }

    /// `intermediate.conf`: an intermediate CA.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func intermediate() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.intermediate_conf, name: "templates/intermediate.conf")
    }

    /// `lab-ca.conf`: the CA behind the lab's own certificate.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func labAuthority() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.lab_ca_conf, name: "templates/lab-ca.conf")
    }

    /// `lab-server.conf`: the lab's own certificate.
    ///
    /// - Returns: The template.
    /// - Throws: `CertificateError` when the file does not parse, which a test rules out.
    public static func labServer() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.lab_server_conf, name: "templates/lab-server.conf")
    }
}
