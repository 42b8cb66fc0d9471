// SPDX-License-Identifier: Apache-2.0

import AWSModel
import Certificates
import FoundationEssentials
import SystemSupport

/// How the control plane imports, changes and shows a CRL.
extension RevocationList {
    static let member = "crl"
    static let createVerb = "Import"

    init(_ call: ControlPlane.Call, in account: Account) throws {
        let name = try call.members.resourceName()
        let anchor = try Self.anchor(try call.members.required("trustAnchorArn", AWSLimit.arnLength.range), in: account)
        guard let data = try call.members.bytes("crlData") else {
            throw ServiceRefusal.validation("crlData is missing")
        }
        guard account.revocationLists(of: anchor).count < AWSLimit.crlCount.maximum else {
            throw ServiceRefusal.validation(
                "the trust anchor \(anchor.name) has \(AWSLimit.crlCount.maximum) CRLs, the most that it may have",
                hint: "replace one of them: aws rolesanywhere update-crl")
        }
        try self.init(
            identifier: call.environment.newIdentifier(), name: name,
            isEnabled: try call.members.boolean("enabled") ?? false, trustAnchor: anchor, data: data,
            in: call.environment
        )
    }

    mutating func update(_ members: InputMembers, in account: Account) throws {
        guard let data = try members.bytes("crlData") else { return }
        try replace(by: data, for: Self.anchor(trustAnchorARN, in: account))
    }

    private static func anchor(_ text: String, in account: Account) throws -> TrustAnchor {
        guard let arn = AmazonResourceName(text), arn.rolesAnywhereResource?.kind == TrustAnchor.kind[...] else {
            throw ServiceRefusal.validation("trustAnchorArn is not the ARN of a trust anchor: \(text.prefix(200))")
        }
        guard arn.resource.hasPrefix("\(TrustAnchor.kind)/") else {
            throw ServiceRefusal.notFound(
                "trustAnchorArn is the ARN of an alias, which this operation does not accept: \(text)",
                hint: "give the trustAnchorArn itself: aws rolesanywhere list-trust-anchors")
        }
        guard let anchor = account.find(TrustAnchor.self, arn) else {
            // The model of ImportCrl has no ResourceNotFoundException.
            throw ServiceRefusal.validation("there is no trust anchor \(text)")
        }
        return anchor
    }

    func ownMembers(in environment: LabEnvironment) -> KeyValuePairs<String, JSONValue> {
        [
            "crlId": .string(identifier), "crlArn": .string(arn.description),
            "crlData": .string(Data(data).base64EncodedString()), "trustAnchorArn": .string(trustAnchorARN),
        ]
    }
}
