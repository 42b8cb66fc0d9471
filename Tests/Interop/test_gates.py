# SPDX-License-Identifier: Apache-2.0
"""Each gate of script/test lets a sound package through and is seen to refuse a planted fault."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from program import REPOSITORY

GATES = REPOSITORY / "script/gates"

SOUND = """\
/// Says what it is asked to say.
public func echo(_ text: String) -> String {
    text
}
"""


def gate(name: str, root: Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ASAN_", "PKI_")) and name != "SWIFTPM_TESTS_MODULECACHE"
    }
    return subprocess.run(
        [GATES / name, root, *map(str, arguments)],
        env=environment | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def assert_passes(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"ok {Path(done.args[0]).name} "), last


def assert_refuses(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"refused by gate {Path(done.args[0]).name}: " in done.stderr
    for word in words:
        assert word in done.stderr
    assert "ok " not in done.stdout


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class TestFormat:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        shutil.copy(REPOSITORY / ".swift-format", tmp_path)
        write(tmp_path / "Sources/Sound/Echo.swift", SOUND)
        return tmp_path

    def test_passes(self, tree: Path) -> None:
        assert_passes(gate("format", tree))

    def test_refuses(self, tree: Path) -> None:
        faults = {
            "let  spaces = 1\n": "Spacing",
            f"let long = [{'1, ' * 50}1]\n": "LineLength",
            '/// Adds.\nfunc f() -> Int { Int("1")! }\n': "NeverForceUnwrap",
            "public func undocumented() {}\n": "AllPublicDeclarationsHaveDocumentation",
        }
        for number, fault in enumerate(faults):
            write(tree / f"Sources/Sound/Fault{number}.swift", fault)
        assert_refuses(gate("format", tree), *faults.values(), *(f"Fault{number}.swift" for number in range(len(faults))))


class TestBoundaries:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """A file in each room with all that the room may hold."""
        pointer = "let pointer = handle.pointer\n"
        write(tmp_path / "Sources/Certificates/OpenSSL/Room.swift", f"import COpenSSL\n{pointer}")
        write(tmp_path / "Sources/Certificates/Key.swift", "public import struct FoundationEssentials.Date\n")
        write(tmp_path / "Sources/Authority/Room.swift", "import Certificates\npublic import FoundationEssentials\n")
        write(tmp_path / "Sources/RolesAnywhere/Room.swift", "internal import CCurl\n@preconcurrency import Certificates\n")
        write(tmp_path / "Sources/HTTPServer/Room.swift", "import NIOCore\nimport NIOPosix\nimport Logging\n")
        write(tmp_path / "Sources/Lab/Room.swift", "import HTTPServer\nimport Certificates\n")
        write(tmp_path / "Sources/pki/Room.swift", "import ArgumentParser\nimport Lab\nimport Authority\n")
        write(tmp_path / "Sources/pki/Console/Console.swift", "func f() { print(1) }\n// fatalError( in words\n")
        return tmp_path

    def test_passes(self, tree: Path) -> None:
        assert_passes(gate("boundaries", tree))

    def test_refuses_imports(self, tree: Path) -> None:
        faults = [
            ("Authority", "import COpenSSL", "may not import COpenSSL"),
            ("Certificates", "internal import COpenSSL", "may not import COpenSSL"),
            ("Certificates/OpenSSL", "import Authority", "may not import Authority"),
            ("Certificates/Keys", "import RolesAnywhere", "may not import RolesAnywhere"),
            ("Authority", "import TrustAnchors", "may not import TrustAnchors"),
            ("HTTPServer", "import Certificates", "may not import Certificates"),
            ("Lab", "import NIOCore", "may not import NIOCore"),
            ("Lab", "import RolesAnywhere", "may not import RolesAnywhere"),
            ("Lab", "import CCurl", "may not import CCurl"),
            ("pki", "import COpenSSL", "may not import COpenSSL"),
            ("pki/Commands", "import CSQLite", "may not import CSQLite"),
            ("pki", "import Foundation", "may not import Foundation"),
            ("pki", "  @_exported public import Foundation // all", "may not import Foundation"),
            ("Authority", "import struct Foundation.URL", "may not import Foundation"),
            ("Newcomer", "let one = 1", "no line for this directory"),
        ]
        for number, (folder, line, _) in enumerate(faults):
            write(tree / f"Sources/{folder}/Fault{number}.swift", line + "\n")
        done = gate("boundaries", tree)
        assert_refuses(done)
        for number, (_, _, says) in enumerate(faults):
            assert [line for line in done.stderr.splitlines() if f"Fault{number}.swift" in line and says in line], says

    @pytest.mark.parametrize(
        ("file", "line", "says"),
        [
            ("Certificates/OpenSSL/Fault.swift", "use(Handle(3).pointer)", "bind the handle to a name"),
            ("Lab/Fault.swift", 'func f() { print("x") }', "only Sources/pki/Console prints"),
            ("Lab/Fault.swift", 'func f() { fatalError("x") }', "never a crash"),
            ("Lab/Fault.swift", "let one = try! f()", "never a crash"),
            ("Lab/Fault.swift", "let one = 1\n" * 450, "451 lines"),
        ],
    )
    def test_refuses(self, tree: Path, file: str, line: str, says: str) -> None:
        write(tree / "Sources" / file, line + "\n")
        assert_refuses(gate("boundaries", tree), says, "Fault.swift")

    def test_sees_through_a_linked_folder(self, tree: Path) -> None:
        write(tree / "elsewhere/Fault.swift", "import CCurl\n")
        (tree / "Sources/Authority/Linked").symlink_to(tree / "elsewhere")
        assert_refuses(gate("boundaries", tree), "Authority may not import CCurl")


class TestShims:
    SHIM = "#ifndef SHIM_H\n#define SHIM_H\n#include <openssl/evp.h>\n%s\n#endif\n"

    def test_passes(self, tmp_path: Path) -> None:
        write(tmp_path / "Sources/COpenSSL/shim.h", self.SHIM % "static inline int one(void) { return 1; }")
        assert_passes(gate("shims", tmp_path))

    def test_refuses(self, tmp_path: Path) -> None:
        faults = {
            "static inline int one(int unused) { return 1; }": "unused parameter",
            "static inline int two() { return 1; }": "strict-prototypes",
            "static inline unsigned three(int x) { return x > 1u; }": "sign-compare",
            "static inline int four(void) { return ({ 1; }); }": "GNU",
        }
        write(tmp_path / "Sources/COpenSSL/shim.h", self.SHIM % "\n".join(faults))
        assert_refuses(gate("shims", tmp_path), "clang warns about Sources/COpenSSL/shim.h", *faults.values())


class TestRelease:
    """The examination of a binary, on programs that are quick to make."""

    @pytest.fixture
    def compile(self, tmp_path: Path):
        def compile(source: str, *arguments: str) -> Path:
            program = tmp_path / "program"
            write(tmp_path / "program.c", source)
            subprocess.run(["clang", "-o", program, tmp_path / "program.c", "-Wl,-z,now", *arguments], check=True)
            return program

        return compile

    def test_passes(self, tmp_path: Path, compile) -> None:
        assert_passes(gate("release", tmp_path, compile("int main(void) { return 0; }")))

    def test_refuses_icu(self, tmp_path: Path, compile) -> None:
        source = "const char icudt74_dat[] = {1, 2}; int main(int n, char **v) { return icudt74_dat[n]; }"
        assert_refuses(gate("release", tmp_path, compile(source)), "ICU")

    def test_refuses_stripped_icu(self, tmp_path: Path, compile) -> None:
        source = 'const char *toc = "icudt74l/root.res"; int main(int n, char **v) { return toc[n]; }'
        assert_refuses(gate("release", tmp_path, compile(source, "-s")), "ICU")

    def test_refuses_size(self, tmp_path: Path, compile) -> None:
        source = "const char big[30000001] = {1}; int main(int n, char **v) { return big[n]; }"
        assert_refuses(gate("release", tmp_path, compile(source)), "30000", "more than 30000000")

    def test_refuses_libcurl(self, tmp_path: Path, compile) -> None:
        assert_refuses(
            gate("release", tmp_path, compile("int main(void) { return 0; }", "-Wl,--no-as-needed", "-lcurl")),
            "libcurl.so.4",
        )

    def test_refuses_a_dynamic_runtime(self, tmp_path: Path) -> None:
        write(tmp_path / "program.swift", "@main enum Program { static func main() { var x = [1]; x += [2] } }\n")
        subprocess.run(
            ["swiftc", "-parse-as-library", "-o", tmp_path / "program", tmp_path / "program.swift"], check=True
        )
        assert_refuses(gate("release", tmp_path, tmp_path / "program"), "libswiftCore.so")

    @pytest.mark.parametrize(
        ("option", "reason"),
        [
            ("-Wl,-rpath,$ORIGIN", "RUNPATH"),
            ("-Wl,-z,lazy", "-z now"),
            ("-Wl,-z,norelro", "-z relro"),
            ("-Wl,-z,execstack", "executable"),
            ("-no-pie", "no PIE"),
        ],
        ids=lambda text: text.rpartition(",")[2] or text,
    )
    def test_W5_refuses_a_binary_that_is_not_hardened(self, tmp_path: Path, compile, option: str, reason: str) -> None:
        assert_refuses(gate("release", tmp_path, compile("int main(void) { return 0; }", option)), reason)

    def test_W5_refuses_memory_that_is_writable_and_executable(self, tmp_path: Path, compile) -> None:
        source = '__asm__(".section .both,\\"awx\\"\\n.byte 0\\n.text"); int main(void) { return 0; }'
        assert_refuses(gate("release", tmp_path, compile(source)), "writable and executable")

    def test_refuses_what_is_not_there(self, tmp_path: Path) -> None:
        assert_refuses(gate("release", tmp_path, tmp_path / "absent"), "there is no program")


COUNTED = """\
#!/bin/sh
case $1 in
    lab)
        for name in ENDPOINT TRUST_ANCHOR_ARN PROFILE_ARN ROLE_ARN CA_BUNDLE; do echo "export PKI_LAB_$name=x"; done
        exec sleep 600 ;;
    %s) turns=%d ;;
    *) turns=1000 ;;
esac
while [ "$turns" -gt 0 ]; do turns=$((turns - 1)); done
"""
COUNTS = ("version", "cache-hit-profile", "cache-hit-options", "issue-client")


def place_counted(tree: Path, command: str = "none", turns: int = 0) -> None:
    """A script in the binary's place, which loops as often for a command, and as often as ever for the others."""
    write(tree / ".build/release/pki", COUNTED % (command, turns)).chmod(0o755)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("instructions")
    (root / "script/gates").mkdir(parents=True)
    place_counted(root)
    assert_passes(gate("instructions", root, "--record"))
    lines = (root / "script/gates/instructions.txt").read_text().splitlines()
    assert tuple(line.split(" ")[0] for line in lines) == COUNTS
    return root


class TestInstructions:
    @pytest.fixture
    def tree(self, recorded: Path, tmp_path: Path) -> Path:
        return shutil.copytree(recorded, tmp_path / "tree")

    def test_passes(self, tree: Path) -> None:
        done = gate("instructions", tree)
        assert_passes(done)
        assert len(done.stdout.splitlines()) == 1

    def test_advises_when_there_is_less(self, tree: Path) -> None:
        place_counted(tree, "creds", 500)
        done = gate("instructions", tree)
        assert_passes(done)
        assert [line.split(":")[0].strip() for line in done.stdout.splitlines()[1:-1]] == list(COUNTS[1:3])
        assert "script/gates/instructions . --record" in done.stdout

    def test_refuses_more(self, tree: Path) -> None:
        place_counted(tree, "issue-client", 1200)
        done = gate("instructions", tree)
        assert_refuses(done, "issue-client: ", "script/gates/instructions . --record")
        assert not any(f"{name}: " in done.stderr for name in COUNTS[:3])

    def test_refuses_without_figures(self, tree: Path) -> None:
        figures = tree / "script/gates/instructions.txt"
        figures.write_text("".join(figures.read_text().splitlines(keepends=True)[1:]))
        assert_refuses(gate("instructions", tree), "no figure for version")
        (tree / ".build/release/pki").write_text("#!/bin/sh\nexit 1\n")
        assert_refuses(gate("instructions", tree), "cannot be counted", "failed with status 1")
        figures.unlink()
        assert_refuses(gate("instructions", tree), "there is no script/gates/instructions.txt")
        (tree / ".build/release/pki").unlink()
        assert_refuses(gate("instructions", tree), "there is no .build/release/pki")


class TestPackages:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        write(tmp_path / ".build/release/pki", "#!/bin/sh\n").chmod(0o755)
        write(tmp_path / ".venv/bin/python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n').chmod(0o755)
        write(tmp_path / "script/package", "#!/bin/sh\nmkdir $4 && cp $2 $4/pki.deb\n").chmod(0o755)
        write(
            tmp_path / "Tests/Packages/test_one.py",
            "import os\ndef test_one(): assert os.listdir(os.environ['PKI_DIST']) == ['pki.deb']\n",
        )
        return tmp_path

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can make machines")
    def test_what_it_refuses(self, tree: Path) -> None:
        assert_passes(gate("packages", tree))
        write(tree / "Tests/Packages/test_two.py", "def test_two(): assert False\n")
        assert_refuses(gate("packages", tree), "status 1")
        write(tree / "script/package", "#!/bin/sh\necho no nfpm >&2\nexit 2\n")
        assert_refuses(gate("packages", tree), "script/package failed", "no nfpm")
        (tree / ".build/release/pki").unlink()
        assert_refuses(gate("packages", tree), "run script/gates/release")


class TestInterop:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        write(tmp_path / ".build/release/pki", "#!/bin/sh\n").chmod(0o755)
        write(tmp_path / ".venv/bin/python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n').chmod(0o755)
        write(tmp_path / "Tests/Interop/test_one.py", "def test_one(): pass\n")
        return tmp_path

    def test_passes(self, tree: Path) -> None:
        assert_passes(gate("interop", tree))

    def test_refuses_a_failure(self, tree: Path) -> None:
        write(tree / "Tests/Interop/test_two.py", "def test_two(): assert False\n")
        assert_refuses(gate("interop", tree), "status 1")

    def test_runs_once_more_with_the_inventory_on_postgresql(self, tree: Path) -> None:
        text = "import os\ndef test_two(): assert os.environ.get('PKI_TEST_INVENTORY') {0} 'postgresql'\n"
        write(tree / "Tests/Interop/test_two.py", text.format("!="))
        assert_refuses(gate("interop", tree), "status 1, with PKI_TEST_INVENTORY=postgresql")
        write(tree / "Tests/Interop/test_two.py", text.format("=="))
        done = gate("interop", tree)
        assert_refuses(done, "status 1")
        assert "PKI_TEST_INVENTORY" not in done.stderr

    FAILS_ONCE = """\
import pathlib
def test_{0}():
    seen = pathlib.Path(__file__).with_suffix(".seen")
    times = len(seen.read_text()) if seen.exists() else 0
    seen.write_text("x" * (times + 1))
    assert times {1}
"""

    def test_names_what_passes_alone(self, tree: Path) -> None:
        write(tree / "Tests/Interop/test_two.py", self.FAILS_ONCE.format("two", "> 0"))
        done = gate("interop", tree, PKI_TEST_RERUN="3")
        assert_passes(done)
        assert "run three times alone:\n    Tests/Interop/test_two.py::test_two\n" in done.stdout
        assert done.stdout.splitlines()[-1].endswith("(unsteady: 1)")
        # And once more as two servers.
        assert len((tree / "Tests/Interop/test_two.seen").read_text()) == 5
        assert "1 passed, 1 failed" not in done.stdout and "4 passed" not in done.stdout

    @pytest.mark.parametrize("times", ["== 1", "in (1, 3)"])
    def test_refuses_what_fails_alone(self, tree: Path, times: str) -> None:
        write(tree / "Tests/Interop/test_two.py", self.FAILS_ONCE.format("two", times))
        assert_refuses(gate("interop", tree, PKI_TEST_RERUN="3"), "status 1")

    @pytest.mark.parametrize(("count", "variables"), [(1, {}), (4, {"PKI_TEST_RERUN": "3"})])
    def test_runs_once_unless_told_or_when_many_fail(self, tree: Path, count: int, variables: dict[str, str]) -> None:
        for number in range(count):
            write(tree / f"Tests/Interop/test_{number}.py", self.FAILS_ONCE.format(number, "> 0"))
        done = gate("interop", tree, **variables)
        assert "refused by gate interop: pytest failed with status 1" in done.stderr and done.returncode == 1
        assert len((tree / "Tests/Interop/test_0.seen").read_text()) == 1

    def test_refuses_what_cannot_be_read(self, tree: Path) -> None:
        write(tree / "Tests/Interop/test_two.py", "import nothing_of_this_name\n")
        done = gate("interop", tree)
        assert done.returncode == 1 and "refused by gate interop" in done.stderr

    def test_refuses_no_test(self, tree: Path) -> None:
        (tree / "Tests/Interop/test_one.py").unlink()
        assert_refuses(gate("interop", tree), "status 5")

    @pytest.mark.parametrize("missing", [".build/release/pki", ".venv/bin/python"])
    def test_refuses_without(self, tree: Path, missing: str) -> None:
        (tree / missing).unlink()
        assert_refuses(gate("interop", tree), "there is no")


PACKAGE = """\
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Tiny",
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto"),
        .target(name: "Tiny", dependencies: ["COpenSSL"]),
        .testTarget(name: "TinyTests", dependencies: ["Tiny", "COpenSSL"]),
    ],
    swiftLanguageModes: [.v6]
)
"""

TEST = """\
import Testing

@testable import Tiny

@Test func `echoes`() { #expect(echo("a") == "a") }
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that builds in seconds. All tests share its directory, so that each change builds little."""
    root = tmp_path_factory.mktemp("tiny")
    write(root / "Package.swift", PACKAGE)
    shutil.copytree(REPOSITORY / "Sources/COpenSSL", root / "Sources/COpenSSL")
    return root


class TestPackage:
    """The gates that build."""

    @pytest.fixture
    def tree(self, package: Path) -> Path:
        """The package as it is when sound."""
        for folder in ("Sources/Tiny", "Tests/TinyTests"):
            shutil.rmtree(package / folder, ignore_errors=True)
        write(package / "Sources/Tiny/Echo.swift", SOUND)
        write(package / "Tests/TinyTests/EchoTests.swift", TEST)
        return package

    def test_build(self, tree: Path) -> None:
        assert_passes(gate("build", tree))
        write(tree / "Sources/Tiny/Fault.swift", "func fault() {\n    var unused = 1\n}\n")
        write(tree / "Tests/TinyTests/TestFault.swift", "func fault() {\n    let unused = 1\n}\n")
        assert_refuses(gate("build", tree), "swift build warns", "Fault.swift:2", "never used", "TestFault.swift:2")
        write(tree / "Sources/Tiny/Fault.swift", 'let fault: Int = "one"\n')
        assert_refuses(gate("build", tree), "swift build failed", "Fault.swift:1")

    def test_tests_in_the_plain_build(self, tree: Path) -> None:
        write(tree / "Tests/TinyTests/Fault.swift", "import Testing\n@Test func fault() { #expect(1 == 2) }\n")
        assert_refuses(gate("tests", tree, "--debug"), "a Swift test fails", "fault()")
        (tree / "Tests/TinyTests/Fault.swift").unlink()
        write(tree / "Tests/TinyTests/EchoTests.swift", "")
        assert_refuses(gate("tests", tree, "--debug"), "without running a test")

    def test_tests_under_the_sanitizer(self, tree: Path) -> None:
        done = gate("tests", tree)
        assert_passes(done)
        assert "Test run with 1 test" in done.stdout
        fault = tree / "Tests/TinyTests/Fault.swift"
        write(
            fault,
            "import COpenSSL\nimport Testing\n@Test func leaks() { let key = EVP_PKEY_new(); #expect(key != nil) }\n",
        )
        assert_refuses(gate("tests", tree), "LeakSanitizer: detected memory leaks", "leaked in")
        write(
            fault,
            """\
            import Testing
            @Test func usesAfterFree() {
                let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 8)
                bytes.initialize(repeating: 1, count: 8)
                bytes.deallocate()
                #expect(bytes[Int.random(in: 3...3)] != 7)
            }
            """,
        )
        assert_refuses(gate("tests", tree), "AddressSanitizer")
        write(fault, "func fault() {\n    let unused = 1\n}\n")
        assert_refuses(gate("tests", tree), "warns", "Fault.swift:2")

    def test_documentation(self, tree: Path) -> None:
        assert_passes(gate("documentation", tree, "Tiny"))
        write(tree / "Sources/Tiny/Fault.swift", "/// See ``nowhere(_:)``.\npublic func fault() {}\n")
        assert_refuses(gate("documentation", tree, "Tiny"), "documentation of Tiny", "nowhere(_:)")
