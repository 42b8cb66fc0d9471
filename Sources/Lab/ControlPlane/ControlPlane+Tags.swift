// SPDX-License-Identifier: Apache-2.0

import HTTPService

extension ControlPlane {
    /// How many tags a resource may have.
    private static let tagLimit = 200

    static var tagOperations: [Operation] {
        [
            Operation("TagResource", .post, "/TagResource", .created) { call in
                guard let tags = try call.members.tags() else { throw ServiceRefusal.validation("tags is missing") }
                let arn = try Self.arn(try call.members.required("resourceArn", 1...1_011))
                try Self.change(arn, call) { own in
                    own.removeAll { tag in tags.contains { $0.key == tag.key } }
                    own += tags
                    guard own.count <= Self.tagLimit else {
                        throw ServiceRefusal(
                            code: .tooManyTags,
                            message: "The resource would have \(own.count) tags, and may have \(Self.tagLimit)"
                        )
                    }
                }
                return ([:], "\(tags.count) tags on \(arn)")
            },
            Operation("UntagResource", .post, "/UntagResource") { call in
                guard let keys = try call.members.strings("tagKeys", 0...200, 1...128, .tag) else {
                    throw ServiceRefusal.validation("tagKeys is missing")
                }
                let arn = try Self.arn(try call.members.required("resourceArn", 1...1_011))
                try Self.change(arn, call) { own in own.removeAll { keys.contains($0.key) } }
                return ([:], "\(keys.count) tags off \(arn)")
            },
            Operation("ListTagsForResource", .get, "/ListTagsForResource") { call in
                guard let text = call.parameter("resourceArn") else {
                    throw ServiceRefusal.validation("resourceArn is missing")
                }
                let arn = try Self.arn(text)
                let tags = try Self.tags(of: arn, call)
                let details = tags.map { tag -> JSONValue in ["key": .string(tag.key), "value": .string(tag.value)] }
                return (["tags": .array(details)], "\(tags.count) tags on \(arn)")
            },
        ]
    }

    private static func arn(_ text: String) throws -> AmazonResourceName {
        guard let arn = AmazonResourceName(text), arn.rolesAnywhereResource != nil else {
            throw ServiceRefusal.validation("resourceArn is not one of this service: \(text.prefix(200))")
        }
        return arn
    }

    private static func absent(_ arn: AmazonResourceName) -> ServiceRefusal {
        .notFound("there is no resource \(arn)")
    }

    private static func tags(of arn: AmazonResourceName, _ call: Call) throws -> [Tag] {
        let account = call.store.snapshot
        let found =
            account.find(TrustAnchor.self, arn)?.tags ?? account.find(Profile.self, arn)?.tags
            ?? account.find(RevocationList.self, arn)?.tags
            ?? call.store.subjects.first { $0.arn == arn }?.tags
        guard let found else { throw absent(arn) }
        return found
    }

    private static func change(
        _ arn: AmazonResourceName,
        _ call: Call,
        _ change: (inout [Tag]) throws -> Void
    ) throws {
        if let subject = call.store.subjects.first(where: { $0.arn == arn }) {
            try call.store.updateSubject(subject.identifier) { try change(&$0.tags) }
            return
        }
        try call.store.update { account in
            func apply<Resource: AnywhereResource>(_ type: Resource.Type) throws -> Bool {
                guard var resource = account.find(type, arn) else { return false }
                try change(&resource.tags)
                account[keyPath: Resource.table][resource.identifier] = resource
                return true
            }
            guard try apply(TrustAnchor.self) || apply(Profile.self) || apply(RevocationList.self) else {
                throw absent(arn)
            }
        }
    }
}
