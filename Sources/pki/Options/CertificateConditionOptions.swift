// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import SystemSupport
import TrustAnchors

/// What a certificate must say so that its bearer may take the role.
struct CertificateConditionOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The certificate's CN must be this. Given again: or this. * and ? are wildcards, here and below.",
            valueName: "name"
        )
    )
    var subjectCn: [String] = []

    @Option(name: .long, help: ArgumentHelp("The certificate's OU must be this.", valueName: "name"))
    var subjectOu: [String] = []

    @Option(name: .long, help: ArgumentHelp("The certificate's O must be this.", valueName: "name"))
    var subjectO: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("The certificate's first DNS name must be this.", valueName: "name")
    )
    var sanDns: [String] = []

    @Option(name: .long, help: ArgumentHelp("The certificate's first URI must be this.", valueName: "uri"))
    var sanUri: [String] = []

    @Option(name: .long, help: ArgumentHelp("The CN of the certificate's issuer must be this.", valueName: "name"))
    var issuerCn: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The certificate must have the name of this one: its CN, else its first DNS name or URI.",
            valueName: "file"
        )
    )
    var certificate: [String] = []

    @Flag(name: .long, help: "Let every certificate of the CA take the role.")
    var anyCertificate = false

    func validate() throws {
        guard
            !anyCertificate
                || [subjectCn, subjectOu, subjectO, sanDns, sanUri, issuerCn, certificate].allSatisfy(\.isEmpty)
        else { throw ValidationError("--any-certificate cannot go with a condition on the certificate") }
    }

    /// The conditions.
    ///
    /// - Returns: One for each part of the certificate that was named.
    /// - Throws: `TrustAnchorError` naming the value that AWS would drop, `InputError` naming a file.
    func conditions() throws -> [CertificateCondition] {
        var values: [(field: CertificateCondition.Field, values: [String])] = [
            (.subjectCommonName, subjectCn), (.subjectOrganizationalUnit, subjectOu), (.subjectOrganization, subjectO),
            (.dnsName, sanDns), (.uniformResourceIdentifier, sanUri), (.issuerCommonName, issuerCn),
        ]
        var named: [CertificateCondition.Field] = []
        for path in certificate {
            let condition = try CertificateCondition(naming: Self.leaf(path))
            named.append(condition.field)
            for index in values.indices where values[index].field == condition.field {
                values[index].values += condition.values
            }
        }
        guard named.allSatisfy({ $0 == named.first }) else {
            throw InputError(
                message:
                    "the certificates are known by different parts of them, which one condition cannot join with \"or\"",
                hint: "print a policy for each, or issue certificates that all have a CN"
            )
        }
        return try values.filter { !$0.values.isEmpty }.map { try CertificateCondition($0.field, $0.values) }
    }

    private static func leaf(_ path: String) throws -> Certificate {
        do {
            guard let leaf = try Certificate.certificates(in: InputFile.read(path)).first else {
                throw InputError(message: "\(path) holds no certificate", hint: "name a client's certificate in PEM")
            }
            guard !leaf.isCA else {
                throw InputError(
                    message: "\(path): \(leaf.subject) is a CA, not a client",
                    hint: "for all clients of a CA, name the trust anchor alone and say --any-certificate"
                )
            }
            return leaf
        } catch let error as CertificateError {
            throw InputError(message: "\(path): \(error.message)", hint: error.hint)
        }
    }
}
