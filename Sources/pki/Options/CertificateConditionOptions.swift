// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Certificates
import SystemSupport
import TrustAnchors

/// The conditions on a certificate for assuming the role.
struct CertificateConditionOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Require this CN; repeatable for alternatives. * and ? are wildcards.", valueName: "name"))
    var subjectCn: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("Require this OU; repeatable for alternatives. * and ? are wildcards.", valueName: "name"))
    var subjectOu: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp("Require this O; repeatable for alternatives. * and ? are wildcards.", valueName: "name"))
    var subjectO: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Require this first DNS name; repeatable for alternatives. * and ? are wildcards.", valueName: "name"))
    var sanDns: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Require this first URI; repeatable for alternatives. * and ? are wildcards.", valueName: "uri"))
    var sanUri: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Require this CN of the issuer; repeatable for alternatives. * and ? are wildcards.", valueName: "name"))
    var issuerCn: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Require the name of this certificate: its CN, else its first DNS name or URI.", valueName: "file"))
    var certificate: [String] = []

    @Flag(name: .long, help: "Allow every certificate of the CA to assume the role.")
    var anyCertificate = false

    func validate() throws {
        guard
            !anyCertificate
                || [subjectCn, subjectOu, subjectO, sanDns, sanUri, issuerCn, certificate].allSatisfy(\.isEmpty)
        else { throw ValidationError("--any-certificate cannot go with a condition on the certificate") }
    }

    /// One condition for each part of the certificate that was named.
    ///
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
                message: "the certificates have names of different kinds, which one condition cannot join with \"or\"",
                hint: "print a policy for each, or issue certificates that all have a CN")
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
                    hint: "for all clients of a CA, name the trust anchor alone and say --any-certificate")
            }
            return leaf
        } catch let error as CertificateError {
            throw InputError(message: "\(path): \(error.message)", hint: error.hint)
        }
    }
}
