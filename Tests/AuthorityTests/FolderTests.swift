// SPDX-License-Identifier: Apache-2.0

import Certificates
import SystemSupport
import Testing

@testable import Authority

@Suite struct FolderTests {
    private func file(_ name: String, _ text: String = "new") -> Folder.NewFile {
        .init(name: name, contents: SecretBytes(text.utf8), mode: 0o600)
    }

    private func place(_ draft: String, _ name: String, replaces: Bool = false) -> FileMove {
        FileMove(name: name, kind: .place(draft: ".new/\(draft)", replaces: replaces), stage: .keys)
    }

    @Test func `a name that is taken is never written over`() throws {
        let place = try TemporaryFolder()
        try place.write("old", to: "b")
        let folder = try Folder(path: place.path, creates: false)
        try folder.writeDrafts([(".new/0", file("a")), (".new/1", file("b"))], links: [])
        #expect {
            try folder.settle([self.place("0", "a"), self.place("1", "b")])
        } throws: { error in
            guard let error = error as? AuthorityError else { return false }
            return error.code == .exists && error.remedy?.contains(".new/1") == true
        }
        #expect(try place.read("b") == "old")
        #expect(try place.read("a") == "new")
        // As the error says: once it is out of the way, the draft gets its name.
        try folder.moveAside("b", to: "archive/b")
        try folder.settle([self.place("0", "a"), self.place("1", "b")])
        #expect(try place.read("b") == "new" && place.read("archive/b") == "old")
    }

    @Test func `moves are done once however often they are asked for`() throws {
        let place = try TemporaryFolder()
        try place.write("old", to: "b")
        try place.write("goes", to: "c")
        let folder = try Folder(path: place.path, creates: false)
        try folder.writeDrafts(
            [(".new/0", file("a")), (".new/1", file("b"))],
            links: [("b", ".new/2"), ("c", ".new/3")]
        )
        let moves = [
            FileMove(name: "archive/b", kind: .place(draft: ".new/2", replaces: false), stage: .archive),
            FileMove(name: "archive/c", kind: .place(draft: ".new/3", replaces: false), stage: .archive),
            self.place("0", "a"), self.place("1", "b", replaces: true),
            FileMove(name: "c", kind: .remove(copy: "archive/c"), stage: .removals),
        ]
        // Whatever of it was done when the process ended, the next one does the rest.
        for count in 0...moves.count {
            try folder.settle(Array(moves.prefix(count)))
            #expect(place.names().contains("b"))
        }
        try folder.settle(moves)
        #expect(place.names() == ["a", "archive", "b"])
        #expect(try place.read("b") == "new" && place.read("archive/b") == "old" && place.read("archive/c") == "goes")
        #expect(place.names(in: ".new").isEmpty)
    }

    @Test func `a file that changed after it was archived is not removed`() throws {
        let place = try TemporaryFolder()
        try place.write("other", to: "c")
        let folder = try Folder(path: place.path, creates: false)
        try folder.writeDrafts([(".new/0", file("archive/c"))], links: [])
        try folder.settle([
            FileMove(name: "archive/c", kind: .place(draft: ".new/0", replaces: false), stage: .archive),
            FileMove(name: "c", kind: .remove(copy: "archive/c"), stage: .removals),
        ])
        #expect(try place.read("c") == "other")
    }

    @Test func `drafts that nothing names are swept`() throws {
        let place = try TemporaryFolder()
        let folder = try Folder(path: place.path, creates: false)
        try folder.writeDrafts([(".new/0", file("a")), (".new/1", file("b"))], links: [])
        folder.sweepDrafts()
        #expect(place.names(in: ".new").isEmpty)
    }
}
