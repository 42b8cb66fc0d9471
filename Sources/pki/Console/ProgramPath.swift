// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// Where this program is.
enum ProgramPath {
    /// The path by which it was called, made absolute: a link that a package manager will point at the next version stays
    /// one.
    static var current: String {
        let called = CommandLine.arguments.first ?? ""
        let environment = ProcessInfo.processInfo.environment
        if called.contains("/") {
            let path = absolutePath(called, in: FileManager.default.currentDirectoryPath)
            if unsafe access(path, X_OK) == 0 { return path }
        } else if !called.isEmpty {
            for directory in (environment["PATH"] ?? "").split(separator: ":") where directory.hasPrefix("/") {
                let path = absolutePath(called, in: String(directory))
                if unsafe access(path, X_OK) == 0 { return path }
            }
        }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
