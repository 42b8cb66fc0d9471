// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// The templates of the folder `templates/`, compiled in.
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
