// SPDX-License-Identifier: Apache-2.0

extension AccessManagement {
    /// How many tags a role may have.
    static let tagLimit = 50

    static let tagOperations: [String: QueryService.Operation] = [
        "TagRole": { call in
            let tags = try tags(call)
            let role = try change(call) { role in
                role.tags.removeAll { own in tags.contains { $0.key.lowercased() == own.key.lowercased() } }
                role.tags += tags
                guard role.tags.count <= tagLimit else {
                    throw limit("Cannot exceed quota for TagsPerRole: \(tagLimit)")
                }
            }
            return (nil, "\(tags.count) tags on \(role.name)")
        },
        "UntagRole": { call in
            let keys = call.form.list("TagKeys").map { $0.lowercased() }
            let role = try change(call) { role in role.tags.removeAll { keys.contains($0.key.lowercased()) } }
            return (nil, "\(keys.count) tags off \(role.name)")
        },
        "ListRoleTags": { call in
            let role = try role(try roleName(call), in: call.store.snapshot)
            let tags = role.tags.sorted { $0.key < $1.key }
            let page = try page(tags.map(\.key), call)
            let members = page.keys.compactMap { key in tags.first { $0.key == key } }.map(tagMembers)
            return ([XMLElement("Tags", members: members)] + page.members, "\(page.keys.count) of \(tags.count)")
        },
    ]

    static func tagMembers(_ tag: Tag) -> [XMLElement] {
        [XMLElement("Key", text: tag.key), XMLElement("Value", text: tag.value)]
    }
}
