// SPDX-License-Identifier: Apache-2.0

/// What a CreateSession request asks for, from its query and its body.
struct SessionParameters {
    var trustAnchor: AmazonResourceName
    var profile: AmazonResourceName
    var role: AmazonResourceName
    var durationSeconds: Int?
    var roleSessionName: String?
    var instanceProperties: [String: String]

    /// Reads the parameters. The ARNs may stand in the query, as the reference client has it, or in the body.
    ///
    /// - Parameters:
    ///   - query: The parameters of the query, decoded.
    ///   - bytes: The body; an empty one counts as `{}`.
    /// - Throws: ``ServiceRefusal`` naming the parameter that is missing or malformed.
    init(query: [QueryParameter], body bytes: [UInt8]) throws(ServiceRefusal) {
        let body = try InputMembers(reading: bytes)
        trustAnchor = try Self.arn("trustAnchorArn", query, body, kind: "trust-anchor")
        profile = try Self.arn("profileArn", query, body, kind: "profile")
        role = try Self.arn("roleArn", query, body, kind: "role")
        durationSeconds = try body.integer("durationSeconds", Int.min...Int.max)
        roleSessionName = try body.string("roleSessionName", 0...Int.max)
        instanceProperties = try body.texts("instanceProperties") ?? [:]
    }

    private static func arn(
        _ name: String,
        _ query: [QueryParameter],
        _ body: InputMembers,
        kind: String
    ) throws(ServiceRefusal) -> AmazonResourceName {
        let inQuery = query.filter { $0.name == name }.map(\.value)
        let inBody = try body.string(name, 0...Int.max)
        guard let text = inQuery.first ?? inBody else {
            throw .validation("\(name) is missing", hint: "send it in the query or in the body")
        }
        guard inQuery.count <= 1, inBody == nil || inBody == text else {
            throw .validation("\(name) has two values")
        }
        guard let arn = AmazonResourceName(text) else {
            throw .validation("\(name) is not an ARN: \(text.prefix(200))")
        }
        let isRight =
            if kind == "role" {
                arn.service == "iam" && arn.region.isEmpty && arn.resource.hasPrefix("role/")
                    && !arn.resource.hasSuffix("/")
            } else {
                arn.rolesAnywhereResource?.kind == kind[...]
            }
        guard isRight else { throw .validation("\(name) is not the ARN of a \(kind): \(text.prefix(200))") }
        return arn
    }

    /// Checks that a duration is one the service grants.
    func checkDuration() throws(ServiceRefusal) -> String {
        guard let durationSeconds else { return "the default" }
        guard (900...43_200).contains(durationSeconds) else {
            throw .validation("durationSeconds is \(durationSeconds), not 900 to 43200")
        }
        return "\(durationSeconds) s asked for"
    }

    /// Checks the session's name and the instance's properties.
    func checkNames() throws(ServiceRefusal) -> String {
        guard instanceProperties.count <= 50 else {
            throw .validation("instanceProperties has \(instanceProperties.count) pairs, not at most 50")
        }
        guard instanceProperties.allSatisfy({ (1...200).contains($0.key.count) && (1...200).contains($0.value.count) })
        else {
            throw .validation("a key or value of instanceProperties is empty or longer than 200 characters")
        }
        guard let roleSessionName else { return "no name asked for" }
        let isWord: (UInt8) -> Bool = { byte in
            switch byte {
            case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x5f: true
            default: "+=,.@-".utf8.contains(byte)
            }
        }
        guard (2...64).contains(roleSessionName.utf8.count), roleSessionName.utf8.allSatisfy(isWord) else {
            throw .validation("roleSessionName is not 2 to 64 characters of letters, digits and _+=,.@-")
        }
        return "\"\(roleSessionName)\" asked for"
    }
}
