// SPDX-License-Identifier: Apache-2.0

import HTTPService

import Certificates
import FoundationEssentials

extension RevocationList: ControlledResource {
    static let member = "crl"
    static let listMember = "crls"
    static let path = (prefix: "/crl", parameter: "crlId")
    static let operationNoun = "Crl"

    func detail(in environment: LabEnvironment) -> JSONValue {
        commonDetail([
            "crlId": .string(identifier), "crlArn": .string(arn.description),
            "crlData": .string(Data(data).base64EncodedString()), "trustAnchorArn": .string(trustAnchorARN),
        ])
    }
}

extension ControlPlane {
    static var revocationListOperations: [Operation] {
        commonOperations(RevocationList.self, listPath: "/crls") + [
            Operation("ImportCrl", .post, "/crls", .created) { call in
                let list = try call.store.update { account in try Self.importList(call, in: &account) }
                return (call.output(list), "\(list.name), with \(list.list.revokedCount) revoked")
            },
            Operation("UpdateCrl", .patch, "/crl/{crlId}") { call in
                let (output, list) = try call.update(RevocationList.self) { list, account in
                    if let name = try call.members.string("name", 1...255, .resourceName) { list.name = name }
                    if let data = try call.members.bytes("crlData") {
                        try list.replace(by: data, for: Self.anchor(list.trustAnchorARN, in: account))
                    }
                }
                return (output, "\(list.name), with \(list.list.revokedCount) revoked")
            },
        ]
    }

    private static func anchor(_ text: String, in account: Account) throws -> TrustAnchor {
        guard let arn = AmazonResourceName(text), arn.rolesAnywhereResource?.kind == TrustAnchor.kind[...] else {
            throw ServiceRefusal.validation("trustAnchorArn is not the ARN of a trust anchor: \(text.prefix(200))")
        }
        guard arn.resource.hasPrefix("\(TrustAnchor.kind)/") else {
            throw ServiceRefusal.notFound(
                "trustAnchorArn is the ARN of an alias, and this operation takes none: \(text)",
                hint: "give the trustAnchorArn itself: aws rolesanywhere list-trust-anchors"
            )
        }
        guard let anchor = account.find(TrustAnchor.self, arn) else {
            // The model of ImportCrl has no ResourceNotFoundException.
            throw ServiceRefusal.validation("there is no trust anchor \(text)")
        }
        return anchor
    }

    private static func importList(_ call: Call, in account: inout Account) throws -> RevocationList {
        let name = try call.members.required("name", 1...255, .resourceName)
        let anchor = try anchor(try call.members.required("trustAnchorArn", 1...1_011), in: account)
        guard let data = try call.members.bytes("crlData") else {
            throw ServiceRefusal.validation("crlData is missing")
        }
        guard account.revocationLists(of: anchor).count < RevocationList.countLimit else {
            throw ServiceRefusal.validation(
                "the trust anchor \(anchor.name) has \(RevocationList.countLimit) CRLs, the most that it may have",
                hint: "put the new list in the place of an old one: aws rolesanywhere update-crl"
            )
        }
        var list = try RevocationList(
            identifier: call.newIdentifier(),
            name: name,
            isEnabled: try call.members.boolean("enabled") ?? false,
            trustAnchor: anchor,
            data: data,
            in: call.environment
        )
        list.tags = try call.members.tags() ?? []
        if let alias = try call.alias(for: list, in: account) { list.setAlias(alias) }
        account.revocationLists[list.identifier] = list
        return list
    }
}
