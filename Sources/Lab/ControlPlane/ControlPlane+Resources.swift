// SPDX-License-Identifier: Apache-2.0

import AWSModel
import FoundationEssentials
import HTTPServer
import SystemSupport

extension ControlPlane {
    /// Create, get, list, update, enable, disable and delete.
    static func operations<Resource: AnywhereResource>(on type: Resource.Type) -> [Operation] {
        let noun = type.member.prefix(1).uppercased() + type.member.dropFirst()
        let one = "/\(type.member.lowercased())/{\(type.pathParameter)}"
        let many = "/\(type.member.lowercased())s"
        func setting(_ isEnabled: Bool) -> @Sendable (Call) throws -> Outcome {
            { call in
                let resource = try call.change(type) { resource, _ in resource.isEnabled = isEnabled }
                return (call.output(resource), "\(resource.name) is \(isEnabled ? "enabled" : "disabled")")
            }
        }
        return [
            Operation("\(type.createVerb)\(noun)", .post, many, .created) { call in
                let resource = try call.create(type)
                return (call.output(resource), "\(resource.name) is \(resource.arn)")
            },
            Operation("Get\(noun)", .get, one) { call in
                let resource = try call.named(type, in: call.store.snapshot)
                return (call.output(resource), resource.name)
            },
            Operation("List\(noun)s", .get, many) { call in
                let resources = call.store.snapshot.all(type)
                let page = try Page(of: "\(type.member)s", resources.map { ($0.createdAt, $0.identifier) }, call)
                return page.outcome(resources) { $0.detail(in: call.environment) }
            },
            Operation("Update\(noun)", .patch, one) { call in try call.update(type) },
            Operation("Enable\(noun)", .post, "\(one)/enable", .ok, setting(true)),
            Operation("Disable\(noun)", .post, "\(one)/disable", .ok, setting(false)),
            Operation("Delete\(noun)", .delete, one) { call in
                let resource = try call.store.update { account in
                    let resource = try call.named(type, in: account)
                    account[keyPath: type.table][resource.identifier] = nil
                    return resource
                }
                return (call.output(resource), "the \(type.noun) \(resource.name) was deleted")
            },
        ]
    }

    static var notificationOperations: [Operation] {
        @Sendable func change(_ call: Call, _ change: (inout [NotificationSetting]) -> Void) throws -> TrustAnchor {
            let identifier = try call.members.required("trustAnchorId", AWSLimit.uuidLength.range)
            return try call.change(TrustAnchor.self, named: identifier) { anchor, _ in change(&anchor.notifications) }
        }
        return [
            Operation("PutNotificationSettings", .patch, "/put-notifications-settings") { call in
                guard let settings = try NotificationSetting.settings(in: call.members) else {
                    throw ServiceRefusal.validation("notificationSettings is missing")
                }
                let anchor = try change(call) { own in
                    own.removeAll { setting in settings.contains { $0.event == setting.event } }
                    own += settings
                }
                return (call.output(anchor), "\(settings.count) settings for \(anchor.name)")
            },
            Operation("ResetNotificationSettings", .patch, "/reset-notifications-settings") { call in
                guard
                    let keys = try call.members.objects(
                        "notificationSettingKeys", AWSLimit.notificationSettingCount.range)
                else {
                    throw ServiceRefusal.validation("notificationSettingKeys is missing")
                }
                let events = try keys.map { key in try NotificationSetting.event(in: key) }
                let anchor = try change(call) { own in own.removeAll { events.contains($0.event) } }
                return (call.output(anchor), "\(events.count) settings of \(anchor.name) are the service's again")
            },
        ]
    }

    /// The rules of one request; the service's model has no limit.
    private static let mappingRuleCount = 0...200

    static var mappingOperations: [Operation] {
        let path = "/profiles/{\(Profile.pathParameter)}/mappings"
        return [
            Operation("PutAttributeMapping", .put, path) { call in
                let field = try call.members.word("certificateField", of: AttributeMapping.Field.self)
                guard let rules = try call.members.objects("mappingRules", mappingRuleCount) else {
                    throw ServiceRefusal.validation("mappingRules is missing")
                }
                let mapping = AttributeMapping(
                    field: field,
                    specifiers: try rules.map { try $0.required("specifier", AWSLimit.specifierLength.range) }
                )
                let profile = try call.change(Profile.self) { profile, _ in profile.attributeMappings.add(mapping) }
                return (call.output(profile), "\(field.rawValue) \(mapping.specifiers.joined(separator: ", "))")
            },
            Operation("DeleteAttributeMapping", .delete, path) { call in
                guard let field = call.parameter("certificateField").flatMap(AttributeMapping.Field.init(rawValue:))
                else {
                    let fields = AttributeMapping.Field.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ServiceRefusal.validation("certificateField is not \(fields)")
                }
                let specifiers = call.query.filter { $0.name == "specifiers" }.map(\.value)
                let profile = try call.change(Profile.self) { profile, _ in
                    try profile.attributeMappings.remove(specifiers, of: field, from: profile.name)
                }
                return (call.output(profile), "the attribute mappings of \(profile.name) were changed")
            },
        ]
    }

    static var subjectOperations: [Operation] {
        [
            Operation("GetSubject", .get, "/subject/{\(Subject.pathParameter)}") { call in
                let identifier = call.path[Subject.pathParameter]
                guard let subject = call.store.subject(identifier) else {
                    throw ServiceRefusal.notFound("there is no subject \(identifier.prefix(200))")
                }
                return (["subject": subject.detail], "\(subject.name)")
            },
            Operation("ListSubjects", .get, "/subjects") { call in
                let subjects = call.store.subjects.sorted {
                    ($0.createdAt, $0.identifier) < ($1.createdAt, $1.identifier)
                }
                let page = try Page(of: "subjects", subjects.map { ($0.createdAt, $0.identifier) }, call)
                return page.outcome(subjects) { .object($0.summary) }
            },
        ]
    }
}

// MARK: - Tags

extension ControlPlane {
    static var tagOperations: [Operation] {
        [
            Operation("TagResource", .post, "/TagResource", .created) { call in
                guard let tags = try call.members.tags() else { throw ServiceRefusal.validation("tags is missing") }
                let arn = try arn(try call.members.required("resourceArn", AWSLimit.arnLength.range))
                try changeTags(of: arn, call) { own in
                    own.removeAll { tag in tags.contains { $0.key == tag.key } }
                    own += tags
                    let limit = AWSLimit.tagCount.maximum
                    guard own.count <= limit else {
                        throw ServiceRefusal(
                            code: .tooManyTags,
                            message: "The resource would have \(own.count) tags, and may have \(limit)")
                    }
                }
                return ([:], "\(tags.count) tags on \(arn)")
            },
            Operation("UntagResource", .post, "/UntagResource") { call in
                guard
                    let keys = try call.members.strings(
                        "tagKeys", AWSLimit.tagCount.range, AWSLimit.tagKeyLength.range, .tag)
                else {
                    throw ServiceRefusal.validation("tagKeys is missing")
                }
                let arn = try arn(try call.members.required("resourceArn", AWSLimit.arnLength.range))
                try changeTags(of: arn, call) { own in own.removeAll { keys.contains($0.key) } }
                return ([:], "\(keys.count) tags off \(arn)")
            },
            Operation("ListTagsForResource", .get, "/ListTagsForResource") { call in
                guard let text = call.parameter("resourceArn") else {
                    throw ServiceRefusal.validation("resourceArn is missing")
                }
                let arn = try arn(text)
                let found = call.store.snapshot.find(arn)?.tags ?? call.store.subjects.first { $0.arn == arn }?.tags
                guard let tags = found else { throw absent(arn) }
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

    private static func changeTags(
        of arn: AmazonResourceName, _ call: Call, _ change: (inout [Tag]) throws -> Void
    ) throws {
        if let subject = call.store.subjects.first(where: { $0.arn == arn }) {
            return try call.store.updateSubject(subject.identifier) { try change(&$0.tags) }
        }
        try call.store.update { account in
            guard var resource = account.find(arn) else { throw absent(arn) }
            try change(&resource.tags)
            account.put(resource)
        }
    }
}

// MARK: - Reading and changing the account

extension ControlPlane.Call {
    /// The answer that shows one resource.
    func output<Resource: AnywhereResource>(_ resource: Resource, _ more: [JSONMember] = []) -> JSONValue {
        let detail = resource.detail(in: environment).members ?? []
        return .object([JSONMember(name: Resource.member, value: .object(detail + more))])
    }

    /// Finds the resource that the path, or an identifier in the request, names.
    func named<Resource: AnywhereResource>(
        _ type: Resource.Type, _ identifier: String? = nil, in account: Account
    ) throws(ServiceRefusal) -> Resource {
        let text = identifier ?? path[type.pathParameter]
        guard let resource = identifier.map({ account[keyPath: type.table][$0] }) ?? account.find(type, named: text)
        else { throw .notFound("there is no \(type.noun) \(text.prefix(200))") }
        return resource
    }

    /// Changes the resource that the path, or an identifier in the request, names.
    func change<Resource: AnywhereResource>(
        _ type: Resource.Type, named identifier: String? = nil, _ change: (inout Resource, Account) throws -> Void
    ) throws -> Resource {
        try store.update { account in
            var resource = try named(type, identifier, in: account)
            try change(&resource, account)
            resource.updatedAt = now
            account.put(resource)
            return resource
        }
    }

    fileprivate func create<Resource: AnywhereResource>(_ type: Resource.Type) throws -> Resource {
        try store.update { account in
            var resource = try type.init(self, in: account)
            resource.tags = try members.tags() ?? []
            if let alias = try alias(for: resource, in: account) { resource.setAlias(alias) }
            if let limit = type.accountLimit, account[keyPath: type.table].count >= limit {
                throw ServiceRefusal.validation(
                    "the account has \(limit) \(type.noun)s, the most that it may have", hint: "delete one")
            }
            account.put(resource)
            return resource
        }
    }

    /// Updates the resource that the path names. Where that changes the alias, this answer alone shows the previous one.
    fileprivate func update<Resource: AnywhereResource>(_ type: Resource.Type) throws -> ControlPlane.Outcome {
        var previous: String?
        let resource = try change(type) { resource, account in
            resource.name =
                try members.string("name", AWSLimit.resourceNameLength.range, .resourceName) ?? resource.name
            try resource.update(members, in: account)
            guard let alias = try alias(for: resource, in: account) else { return }
            previous = resource.aliasName
            resource.setAlias(alias)
        }
        var more: [JSONMember] = []
        if let previous, previous != resource.aliasName {
            more = [JSONMember(name: "previousAliasName", value: .string(previous))]
        }
        return (output(resource, more), "the \(type.noun) \(resource.name) was changed")
    }

    /// The alias that the request gives, checked to be of no other resource.
    private func alias<Resource: AnywhereResource>(
        for resource: Resource, in account: Account
    ) throws(ServiceRefusal) -> String? {
        guard let alias = try members.string("aliasName", AWSLimit.aliasLength.range, .alias) else { return nil }
        let owner = account[keyPath: Resource.table].values.first { $0.aliasName == alias && !alias.isEmpty }
        guard owner == nil || owner?.identifier == resource.identifier else {
            throw .validation("aliasName \(alias) is already the alias of \(owner?.name ?? "another")")
        }
        return alias
    }
}

/// The part of a list that a request asks for. What was removed since the last page does no harm.
private struct Page {
    /// The elements of a page that does not say how many, and the most that one has, whatever it says: the service's model
    /// has no limit.
    private static let (defaultSize, largestSize) = (100, 1_000)

    private let list: String
    private let range: Range<Int>
    private let nextToken: String?

    /// Finds the part of a sorted list, whose elements are known by their time and identifier.
    init(of list: String, _ elements: [(date: Date, identifier: String)], _ call: ControlPlane.Call)
        throws(ServiceRefusal)
    {
        var size = Self.defaultSize
        if let text = call.parameter("pageSize") {
            guard let number = Int(text), number >= 1 else {
                throw .validation("pageSize is \"\(text.prefix(40))\", not a number from 1")
            }
            size = min(number, Self.largestSize)
        }
        var start = 0
        if let token = call.parameter("nextToken") {
            // A token of another list is not one of this.
            guard AWSLimit.pageTokenLength.contains(token.unicodeScalars.count),
                let data = Data(base64Encoded: token), let text = String(validating: data, as: UTF8.self),
                case let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false),
                parts.count == 3, parts[0] == list, let time = Double(parts[1])
            else { throw .validation("nextToken is not one that the service gave out for this list") }
            start =
                elements.firstIndex { ($0.date.timeIntervalSince1970, $0.identifier[...]) > (time, parts[2]) }
                ?? elements.count
        }
        self.list = list
        range = start..<min(elements.count, start + size)
        guard range.upperBound < elements.count else {
            nextToken = nil
            return
        }
        let last = elements[range.upperBound - 1]
        nextToken = Data("\(list)/\(last.date.timeIntervalSince1970)/\(last.identifier)".utf8).base64EncodedString()
    }

    func outcome<Element>(_ elements: [Element], _ detail: (Element) -> JSONValue) -> ControlPlane.Outcome {
        let shown = JSONMember(name: list, value: .array(elements[range].map(detail)))
        let next = nextToken.map { [JSONMember(name: "nextToken", value: .string($0))] } ?? []
        return (.object([shown] + next), "\(range.count) of \(elements.count)")
    }
}
