// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import pki

@Suite struct ResidentMemoryTests {
    private static let text = """
        1000-3000 r--p 00000000 fe:00 1                     /usr/bin/pki
        Rss:                   8 kB
        Anonymous:             0 kB
        3000-4000 r-xp 00002000 fe:00 1                     /usr/bin/pki
        Anonymous:             0 kB
        4000-5000 r--p 00003000 fe:00 1                     /usr/bin/pki
        Anonymous:             4 kB
        5000-6000 rw-p 00004000 fe:00 1                     /usr/bin/pki
        Anonymous:             0 kB
        6000-7000 rw-p 00000000 00:00 0
        Anonymous:             0 kB
        7000-8000 r-xp 00000000 fe:00 2                     /usr/lib/libcrypto.so.3
        Anonymous:             0 kB
        8000-9000 r--p 00000000 fe:00 2                     /usr/lib/libcrypto.so.3
        Anonymous:             0 kB
        9000-a000 r-xp 00000000 00:00 0                     [vdso]
        Anonymous:             0 kB
        a000-b000 r-xp 00000000 fe:00 3                     /usr/lib/patched.so
        Anonymous:             8 kB
        b000-c000 r-xs 00000000 fe:00 4                     /usr/lib/shared.so
        Anonymous:             0 kB
        """

    @Test func `only what cannot change and has not is taken`() {
        let found = ResidentMemory.unchangedMappings(program: "/usr/bin/pki", in: Self.text)
        #expect(found == [0x1000..<0x3000, 0x3000..<0x4000, 0x7000..<0x8000])
    }

    @Test(arguments: [
        "", "\n", "nonsense", "Anonymous: 0 kB", "zz-yy r-xp 0 0 0 /a\nAnonymous: 0 kB",
        "9-1 r-xp 0 0 0 /a\nAnonymous: 0 kB",
    ])
    func `what is no map leads to nothing`(text: String) {
        #expect(ResidentMemory.unchangedMappings(program: "/a", in: text).isEmpty)
    }

    @Test func `a process that gave its pages back goes on`() {
        ResidentMemory.releaseStartUpPages()
        #expect([3, 1, 2].sorted() == [1, 2, 3])
    }
}
