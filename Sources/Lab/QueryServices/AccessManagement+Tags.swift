// SPDX-License-Identifier: Apache-2.0

extension AccessManagement {
    /// How many tags a role may have.
    private static let tagLimit = 50

    static var tagOperations: [String: QueryService.Operation] {
        [
            "TagRole": { call, _ in
                let tags = try call.form.checkedTags()
                let role = try call.changeRole { role, _ in
                    for tag in tags {
                        // In keys case does not count, and the last spelling stays.
                        let index = role.tags.firstIndex { $0.key.lowercased() == tag.key.lowercased() }
                        if let index { role.tags[index] = tag } else { role.tags.append(tag) }
                    }
                    guard role.tags.count <= tagLimit else {
                        throw ServiceRefusal.limitExceeded(
                            "The number of tags has reached the maximum limit.",
                            hint: "the role would have \(role.tags.count) tags, and may have \(tagLimit)"
                        )
                    }
                }
                return (nil, "\(tags.count) tags on \(role.name)")
            },
            "UntagRole": { call, _ in
                let keys = try call.form.texts("TagKeys", atMost: 50, 1...128, .tag).map { $0.lowercased() }
                let role = try call.changeRole { role, _ in
                    role.tags.removeAll { keys.contains($0.key.lowercased()) }
                }
                return (nil, "\(keys.count) tags off \(role.name)")
            },
            "ListRoleTags": { call, _ in
                let role = try call.role(in: call.store.snapshot)
                let tags = role.tags.map { (key: $0.key, element: $0) }.sorted { $0.key < $1.key }
                return (try call.page("Tags", tags, XMLElement.init(tag:)), "\(tags.count) tags on \(role.name)")
            },
        ]
    }
}
