// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import TestSupport

/// An agent that answers what a test tells it to.
final class ScriptedAgent: Sendable {
    let directory: ProgramDirectory
    private let listener: CInt

    var socket: String { directory.file("s") }

    /// Starts to listen.
    ///
    /// - Parameter answer: Makes the bytes to send, frame and all, from the question without its frame; nothing keeps the
    ///   connection open and says nothing.
    /// - Throws: Why there is no socket.
    init(_ answer: @escaping @Sendable ([UInt8]) -> [UInt8]?) throws {
        directory = try ProgramDirectory()
        let listener = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(directory.file("s").utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
        let status = unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0, listen(listener, 8) == 0 else {
            throw ProgramDirectory.Failure(description: "no socket: \(errno)")
        }
        DispatchQueue(label: "scripted agent").async { Self.serve(listener, answer) }
    }

    /// Wakes the thread, which closes the socket.
    deinit { shutdown(listener, CInt(SHUT_RDWR)) }

    /// Ends a connection, even if a program that another test starts has inherited it meanwhile.
    private static func end(_ connection: CInt) {
        shutdown(connection, CInt(SHUT_RDWR))
        close(connection)
    }

    private static func serve(_ listener: CInt, _ answer: ([UInt8]) -> [UInt8]?) {
        var silent: [CInt] = []
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { break }
            guard let bytes = answer(read(connection)) else {
                silent.append(connection)
                continue
            }
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = unsafe rest.withUnsafeBytes {
                    unsafe send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
                }
                guard count > 0 else { break }
                rest = rest.dropFirst(count)
            }
            end(connection)
        }
        for connection in silent { end(connection) }
        close(listener)
    }

    private static func read(_ connection: CInt) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while bytes.count < 4 || bytes.count < 4 + bytes.prefix(4).reduce(0, { $0 << 8 | Int($1) }) {
            let count = unsafe recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return Array(bytes.dropFirst(4))
    }
}
