// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SystemSupport

/// Hosts in JSON: an array of objects, or one object after the other, most often each on a line of its own.
///
/// The text is cut into objects here, so that each has its line and a faulty one does not hide the others; what is in them is
/// for the decoder.
enum HostObjects {
    /// Reads hosts.
    ///
    /// - Parameters:
    ///   - bytes: The text.
    ///   - now: The moment that no certificate may end before.
    ///   - faults: Takes what is wrong with objects.
    /// - Returns: The hosts of the objects that nothing is wrong with.
    static func hosts(in bytes: [UInt8], now: Date, _ faults: inout HostListFaults) -> [HostList.Host] {
        var cutter = JSONObjectCutter(bytes)
        let decoder = JSONDecoder()
        var hosts: [HostList.Host] = []
        while let object = cutter.next() {
            do {
                let fields = try decoder.decode(HostObject.self, from: Data(bytes[object.range]))
                guard fields.memberCount == object.memberCount else {
                    throw AuthorityError(.invalidRequest, "a key stands in the object twice")
                }
                hosts.append(try HostList.Host(line: object.line, now: now) { fields.values[$0.rawValue] })
            } catch is DecodingError {
                faults.add("the object is not well-formed JSON", line: object.line)
            } catch {
                faults.add(error, line: object.line)
            }
        }
        if let fault = cutter.fault { faults.add(fault, line: cutter.line) }
        return hosts
    }
}

/// The members of an object that describes a host.
private struct HostObject: Decodable {
    /// The values of all columns in their order.
    var values = [[String]](repeating: [], count: HostColumn.allCases.count)

    /// How many different keys there are.
    var memberCount: Int

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let keys = container.allKeys
        memberCount = keys.count
        var seen: Set<HostColumn> = []
        var unknown: [String] = []
        for key in keys {
            guard let column = HostColumn(heading: key.stringValue) else {
                unknown.append("\"\(key.stringValue)\"")
                continue
            }
            guard seen.insert(column).inserted else {
                throw AuthorityError(.invalidRequest, "the key \(column.heading) stands there twice")
            }
            if try container.decodeNil(forKey: key) { continue }
            values[column.rawValue] = try Self.values(of: column, container, key)
        }
        guard unknown.isEmpty else {
            throw AuthorityError(
                .invalidRequest,
                "unknown \(unknown.count == 1 ? "key" : "keys") \(unknown.sorted().joined(separator: ", "))",
                hint: "the keys are \(HostColumn.list)"
            )
        }
    }

    private static func values(
        of column: HostColumn,
        _ container: KeyedDecodingContainer<Key>,
        _ key: Key
    ) throws -> [String] {
        if column == .days, let number = try? container.decode(Int.self, forKey: key) { return [String(number)] }
        if let text = try? container.decode(String.self, forKey: key) { return column.values(in: text) }
        guard column.takesSeveral, let texts = try? container.decode([String].self, forKey: key) else {
            let kind =
                switch column {
                case .days: "a whole number"
                case _ where column.takesSeveral: "a string or an array of strings"
                default: "a string"
                }
            throw AuthorityError(.invalidRequest, "the value of \(column.heading) is not \(kind)")
        }
        guard !texts.contains(where: { column.values(in: $0).isEmpty }) else {
            throw AuthorityError(.invalidRequest, "the array \(column.heading) holds an empty string")
        }
        return texts
    }
}
