# SPDX-License-Identifier: Apache-2.0
#
# How the package is built under AddressSanitizer: once, for the tests and for `script/fuzz`, in .build-asan.

# shellcheck shell=bash

export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0
LSAN_OPTIONS=suppressions=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/leaks.txt:print_suppressions=0
export LSAN_OPTIONS

# libFuzzer's library without a main, which comes with Swift's own clang.
fuzzer_library() {
    local swift library
    swift=$(readlink --canonicalize "$(command -v swiftc)")
    for library in "${swift%/*}"/../lib/clang/*/lib/linux/libclang_rt.fuzzer_no_main-"$(uname -m)".a; do
        [[ -f $library ]] && printf '%s\n' "$library" && return
    done
    printf 'there is no libclang_rt.fuzzer_no_main-%s.a beside %s\n' "$(uname -m)" "$swift" >&2
    return 1
}

# `swift build` or `swift test` with its arguments. Coverage is for libFuzzer; tests do not mind it.
sanitized_swift() {
    local command=$1 fuzzer
    shift
    fuzzer=$(fuzzer_library)
    PKI_FUZZER=$fuzzer swift "$command" --sanitize address --scratch-path .build-asan \
        -Xswiftc -sanitize-coverage=edge,trace-cmp,inline-8bit-counters "$@"
}
