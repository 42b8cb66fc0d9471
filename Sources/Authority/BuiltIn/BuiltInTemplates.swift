// SPDX-License-Identifier: Apache-2.0

public import Certificates

/// The templates of the folder `templates/`, compiled in.
public enum BuiltInTemplates {
    /// `root.conf`: a root CA.
    ///
    /// - Returns: The template.
    /// - Throws: ``CertificateError`` when the file does not parse, which a test rules out.
    public static func root() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.root_conf, name: "templates/root.conf")
    }

    /// `client.conf`: a client certificate.
    ///
    /// - Returns: The template.
    /// - Throws: ``CertificateError`` when the file does not parse, which a test rules out.
    public static func client() throws(CertificateError) -> CertificateTemplate {
        try CertificateTemplate(reading: PackageResources.client_conf, name: "templates/client.conf")
    }
}
