// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// Who runs the program, as the CA's audit writes it down.
enum Operator {
    /// The user's name and the machine's: `alex@rack-7`. Behind sudo it is who called it.
    ///
    /// The password file is read as it is: to ask the system's services for a name costs more than issuing does.
    static var name: String {
        var user = userName(of: getuid())
        if getuid() == 0, let caller = ProcessInfo.processInfo.environment["SUDO_USER"], !caller.isEmpty, caller != user
        {
            user = "\(caller) as \(user)"
        }
        var host = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&host, host.count - 1) == 0 else { return user }
        return "\(user)@\(String(decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))"
    }

    private static func userName(of identifier: uid_t) -> String {
        let file = (try? String(contentsOfFile: "/etc/passwd", encoding: .utf8)) ?? ""
        for line in file.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
            if fields.count == 4, fields[2] == "\(identifier)" { return String(fields[0]) }
        }
        return "uid \(identifier)"
    }
}
