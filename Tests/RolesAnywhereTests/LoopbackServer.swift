// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import Synchronization

/// A server for a few bytes: takes connections on a loopback port of its own, reads a request from each, and answers with
/// fixed bytes, or not at all.
final class LoopbackServer: Sendable {
    /// What the server does with a request.
    enum Behaviour: Sendable {
        /// Sends these bytes and closes the connection.
        case answer(String)
        /// Sends these bytes without waiting for a request, and keeps the connection open.
        case greeting(String)
        /// Sends nothing and keeps the connection open.
        case silence
        /// Closes the connection without a word.
        case hangUp
        /// Is bound to its port but takes no connections.
        case absence
    }

    let port: Int
    private let listener: CInt
    private let received = Mutex<[String]>([])
    private let open = Mutex<[CInt]>([])

    init(_ behaviour: Behaviour) throws {
        listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard status else { throw SocketFailure() }
        port = Int(UInt16(bigEndian: address.sin_port))
        if case .absence = behaviour { return }
        guard listen(listener, 16) == 0 else { throw SocketFailure() }
        DispatchQueue(label: "loopback server").async { [self] in serve(behaviour) }
    }

    deinit { close(listener) }

    /// What was received, a text for each connection.
    var requests: [String] { received.withLock { $0 } }

    /// Ends the server: its thread wakes and goes.
    func stop() {
        shutdown(listener, CInt(SHUT_RDWR))
        open.withLock { descriptors in
            for descriptor in descriptors { end(descriptor) }
            descriptors = []
        }
    }

    /// Ends a connection, even if a program that another test starts has inherited it meanwhile.
    private func end(_ connection: CInt) {
        shutdown(connection, CInt(SHUT_RDWR))
        close(connection)
    }

    private func serve(_ behaviour: Behaviour) {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { return }
            switch behaviour {
            case .answer(let text):
                received.withLock { $0.append(read(connection)) }
                send(text, to: connection)
                end(connection)
            case .greeting(let text):
                send(text, to: connection)
                open.withLock { $0.append(connection) }
            case .silence: open.withLock { $0.append(connection) }
            case .hangUp:
                received.withLock { $0.append(read(connection)) }
                end(connection)
            case .absence: end(connection)
            }
        }
    }

    /// Reads a header and as much content as it announces.
    private func read(_ connection: CInt) -> String {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !isWhole(text) {
            let count = unsafe recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            text += String(decoding: buffer.prefix(count), as: UTF8.self)
        }
        return text
    }

    private func isWhole(_ text: String) -> Bool {
        guard let end = text.firstRange(of: "\r\n\r\n") else { return false }
        let announced = text.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
        return text[end.upperBound...].utf8.count >= announced.flatMap { Int($0.dropFirst(16)) } ?? 0
    }

    private func send(_ text: String, to connection: CInt) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// No socket could be had.
struct SocketFailure: Error {}
