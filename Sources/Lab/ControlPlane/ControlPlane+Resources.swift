// SPDX-License-Identifier: Apache-2.0

import HTTPService

import FoundationEssentials

/// What the control plane shows of a resource, and under which names.
protocol ControlledResource: AnywhereResource {
    /// The member of an answer that holds one: `trustAnchor`.
    static var member: String { get }

    /// The member of an answer that holds many: `trustAnchors`.
    static var listMember: String { get }

    /// The path of one, and the name of its open part: `/trustanchor/{trustAnchorId}`.
    static var path: (prefix: String, parameter: String) { get }

    /// What the name of an operation ends in: `TrustAnchor`.
    static var operationNoun: String { get }

    /// The service's detail of one.
    func detail(in environment: LabEnvironment) -> JSONValue
}

extension ControlledResource {
    /// The members that all details have in common.
    func commonDetail(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue {
        let own: [JSONMember] = members.compactMap {
            $0.value == .null ? nil : JSONMember(name: $0.key, value: $0.value)
        }
        let common: KeyValuePairs<String, JSONValue> = [
            "name": .string(name), "enabled": .boolean(isEnabled), "createdAt": JSONValue(createdAt),
            "updatedAt": JSONValue(updatedAt), "aliasName": JSONValue(aliasName), "aliasArn": JSONValue(aliasARN),
        ]
        return .object(
            own + common.compactMap { $0.value == .null ? nil : JSONMember(name: $0.key, value: $0.value) }
        )
    }
}

extension ControlPlane.Call {
    /// The answer that shows one resource.
    func output<Resource: ControlledResource>(_ resource: Resource) -> JSONValue {
        output(Resource.self, resource.detail(in: environment).members ?? [])
    }

    private func output<Resource: ControlledResource>(_ type: Resource.Type, _ detail: [JSONMember]) -> JSONValue {
        .object([JSONMember(name: type.member, value: .object(detail))])
    }

    /// Updates the resource that the path names, which may give it another alias: that answer alone shows the one before.
    ///
    /// - Parameters:
    ///   - type: What the path names.
    ///   - change: Changes it otherwise.
    /// - Returns: The answer, and the resource as it is now.
    /// - Throws: ``ServiceRefusal``.
    func update<Resource: ControlledResource>(
        _ type: Resource.Type,
        _ change: (inout Resource, Account) throws -> Void
    ) throws -> (output: JSONValue, resource: Resource) {
        var previous: String?
        let resource = try self.change(type) { resource, account in
            try change(&resource, account)
            guard let alias = try alias(for: resource, in: account) else { return }
            previous = resource.aliasName
            resource.setAlias(alias)
        }
        var detail = resource.detail(in: environment).members ?? []
        if let previous, previous != resource.aliasName {
            detail.append(JSONMember(name: "previousAliasName", value: .string(previous)))
        }
        return (output(type, detail), resource)
    }

    /// Finds the resource that the path names.
    func named<Resource: ControlledResource>(
        _ type: Resource.Type,
        in account: Account
    ) throws(ServiceRefusal) -> Resource {
        let text = path[Resource.path.parameter]
        guard let resource = account.find(type, named: text) else {
            throw .notFound("there is no \(Resource.noun) \(text.prefix(200))")
        }
        return resource
    }

    /// Changes the resource that the path names.
    func change<Resource: ControlledResource>(
        _ type: Resource.Type,
        _ change: (inout Resource, Account) throws -> Void
    ) throws -> Resource {
        try store.update { account in
            var resource = try named(type, in: account)
            try change(&resource, account)
            resource.updatedAt = now
            account[keyPath: Resource.table][resource.identifier] = resource
            return resource
        }
    }

    /// The alias that the request gives, checked to be nobody else's.
    func alias<Resource: ControlledResource>(
        for resource: Resource,
        in account: Account
    ) throws(ServiceRefusal) -> String? {
        guard let alias = try members.string("aliasName", 0...256, .alias) else { return nil }
        let owner = account[keyPath: Resource.table].values.first { $0.aliasName == alias && !alias.isEmpty }
        guard owner == nil || owner?.identifier == resource.identifier else {
            throw .validation("aliasName \(alias) is already the alias of \(owner?.name ?? "another")")
        }
        return alias
    }

    /// Draws the UUID of a new resource.
    func newIdentifier() -> String { UniversalIdentifier.text(environment.randomBytes(16), version: 4) }

    /// One page of a list, oldest first.
    func page<Resource: ControlledResource>(_ type: Resource.Type) throws -> (output: JSONValue, words: String) {
        let keyed = store.snapshot.all(type).map { resource in
            (key: "\(resource.createdAt.timeIntervalSince1970)/\(resource.identifier)", resource)
        }
        let page = try Page(keyed.map(\.key), of: type.listMember, self)
        let details = keyed[page.range].map { $0.1.detail(in: environment) }
        return (page.output(Resource.listMember, details), "\(details.count) of \(keyed.count)")
    }
}

/// The part of a list that a request asks for.
struct Page {
    /// So many are shown where nobody asks for a number.
    private static let defaultSize = 100

    let range: Range<Int>
    private let nextToken: String?

    /// Finds the part.
    ///
    /// - Parameters:
    ///   - keys: The keys of the whole list, in its order. What was removed since the last page does no harm.
    ///   - list: The list's name: a token of another list is none of this one's.
    ///   - call: The request with `nextToken` and `pageSize`.
    /// - Throws: ``ServiceRefusal``.
    init(_ keys: [String], of list: String, _ call: ControlPlane.Call) throws(ServiceRefusal) {
        var size = Self.defaultSize
        if let text = call.parameter("pageSize") {
            guard let number = Int(text), number >= 1 else {
                throw .validation("pageSize is \"\(text.prefix(40))\", not a number from 1")
            }
            size = min(number, 1_000)
        }
        var start = 0
        if let token = call.parameter("nextToken") {
            guard let data = Data(base64Encoded: token), let whole = String(validating: data, as: UTF8.self),
                whole.hasPrefix("\(list)/"), case let text = whole.dropFirst(list.count + 1),
                let slash = text.firstIndex(of: "/"), let moment = Double(text[..<slash])
            else { throw .validation("nextToken is not one that the service gave out for this list") }
            start =
                keys.firstIndex { key in
                    let mark = key.firstIndex(of: "/") ?? key.endIndex
                    let other = Double(key[..<mark]) ?? 0
                    return (other, key[mark...]) > (moment, text[slash...])
                } ?? keys.count
        }
        range = start..<min(keys.count, start + size)
        nextToken =
            range.upperBound < keys.count
            ? Data("\(list)/\(keys[range.upperBound - 1])".utf8).base64EncodedString() : nil
    }

    /// The answer.
    func output(_ member: String, _ details: [JSONValue]) -> JSONValue {
        let list = JSONMember(name: member, value: .array(details))
        return .object([list] + (nextToken.map { [JSONMember(name: "nextToken", value: .string($0))] } ?? []))
    }
}

extension ControlPlane {
    /// The operations that every kind of resource has: get, list, enable, disable, delete.
    static func commonOperations<Resource: ControlledResource>(
        _ type: Resource.Type,
        listPath: String
    ) -> [Operation] {
        let noun = Resource.operationNoun
        let path = "\(Resource.path.prefix)/{\(Resource.path.parameter)}"
        func setting(_ isEnabled: Bool) -> @Sendable (Call) throws -> (output: JSONValue, words: String) {
            { call in
                let resource = try call.change(type) { resource, _ in resource.isEnabled = isEnabled }
                return (
                    call.output(resource),
                    "the \(Resource.noun) \(resource.name) is \(isEnabled ? "enabled" : "disabled")"
                )
            }
        }
        return [
            Operation("Get\(noun)", .get, path) { call in
                let resource = try call.named(type, in: call.store.snapshot)
                return (call.output(resource), resource.name)
            },
            Operation("List\(noun)s", .get, listPath) { call in try call.page(type) },
            Operation("Enable\(noun)", .post, "\(path)/enable", .ok, setting(true)),
            Operation("Disable\(noun)", .post, "\(path)/disable", .ok, setting(false)),
            Operation("Delete\(noun)", .delete, path) { call in
                let resource = try call.store.update { account in
                    let resource = try call.named(type, in: account)
                    account[keyPath: Resource.table][resource.identifier] = nil
                    return resource
                }
                return (call.output(resource), "the \(Resource.noun) \(resource.name) was deleted")
            },
        ]
    }
}
