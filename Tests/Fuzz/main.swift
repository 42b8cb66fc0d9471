// SPDX-License-Identifier: Apache-2.0

import CFuzzer
import Glibc

/// Feeds the parser that PKI_FUZZ_TARGET names with whatever libFuzzer thinks of. Without one it lists the targets, each with
/// the directories of its corpus. `script/fuzz` builds and runs it. The name is no argument: libFuzzer starts itself again
/// with its own.
let name = unsafe getenv("PKI_FUZZ_TARGET").map { unsafe String(cString: $0) }

guard let chosen = FuzzTarget.all.first(where: { $0.name == name }) else {
    for target in FuzzTarget.all {
        print(([target.name, "Tests/Fuzz/Corpus/\(target.name)"] + target.seeds).joined(separator: " "))
    }
    exit(name == nil ? 0 : 64)
}

// libFuzzer's callback is a C function, which takes nothing along.
unsafe FuzzTarget.running = chosen
var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
    unsafe FuzzTarget.running?.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}
exit(status)
