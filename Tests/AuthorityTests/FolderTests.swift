// SPDX-License-Identifier: Apache-2.0

import Certificates
import Testing

@testable import Authority

@Suite struct FolderTests {
    private func file(_ name: String, _ text: String = "new") -> Folder.NewFile {
        .init(name: name, contents: SecretBytes(text.utf8), mode: 0o600)
    }

    @Test func `a name that is taken is never written over, and nothing of the attempt stays`() throws {
        let place = try TemporaryFolder()
        try place.write("old", to: "b")
        let folder = try Folder(path: place.path, creates: false)
        #expect {
            try folder.write([file("a"), file("b")])
        } throws: { error in
            (error as? AuthorityError)?.code == .exists
        }
        #expect(place.names() == ["b"])
        #expect(try place.read("b") == "old")
    }

    @Test func `what a killed process leaves is what the next one sweeps`() throws {
        struct Killed: Error {}
        let place = try TemporaryFolder()
        let folder = try Folder(path: place.path, creates: false)
        var remains: [String] = []
        #expect(throws: Killed.self) {
            try folder.write([file("a"), file("b")]) {
                remains = place.names()
                throw Killed()
            }
        }
        #expect(remains.count == 2)
        #expect(place.names().isEmpty)
        for name in remains { try place.write("left", to: name) }
        try folder.withLock {}
        #expect(place.names().isEmpty)
    }
}
