# SPDX-License-Identifier: Apache-2.0
"""The system calls of each command: nothing in a directory of somebody's is opened through a link, and no file is ever wider than
its owner's alone before it is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from program import Pki

CALL = re.compile(r"^\d+\s+(?:\[[^\]]*\] )?(openat|open|creat|mkdir|mkdirat)\((.*)\)\s+= (-?\d+)")
COMMANDS: dict[str, tuple[str, ...]] = {
    "list": ("list", "--directory", "{ca}"),
    "tree": ("tree", "--directory", "{ca}"),
    "audit": ("audit", "--verify", "--directory", "{ca}"),
    "doctor": ("doctor", "--directory", "{ca}"),
    "doctor repair": ("doctor", "--repair", "--directory", "{ca}"),
    "print-bundle": ("print-bundle", "--directory", "{ca}"),
    "export": ("export", "web-1", "--format", "kubernetes-secret", "--output", "{home}/secret.yaml", "--directory", "{ca}"),
    "issue-client": ("issue-client", "--name", "new", "--directory", "{ca}"),
    "renew": ("renew", "web-1", "--rekey", "--directory", "{ca}"),
    "revoke": ("revoke", "web-1", "--directory", "{ca}"),
    "crl": ("crl", "--directory", "{ca}"),
    "import": ("import", "{ca}"),
    "issue-intermediate": ("issue-intermediate", "--name", "below", "--directory", "{ca}"),
    "rotate-ca": ("rotate-ca", "--directory", "{ca}"),
    "init-ca": ("init-ca", "--directory", "{home}/other"),
    "init-ca force": ("init-ca", "--force", "--directory", "{ca}"),
    "configure": (
        "configure", "--profile", "web", "--certificate", "{ca}/web-1-cert.pem", "--private-key", "{ca}/web-1-key.pem",
        "--trust-anchor-arn", "arn:aws:rolesanywhere:eu-central-1:111122223333:trust-anchor/00000000-0000-0000-0000-000000000001",
        "--profile-arn", "arn:aws:rolesanywhere:eu-central-1:111122223333:profile/00000000-0000-0000-0000-000000000002",
        "--role-arn", "arn:aws:iam::111122223333:role/web",
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_system_calls(pki: Pki, tmp_path: Path, command: str) -> None:
    ca, home = tmp_path / "ca", tmp_path / "home"
    home.mkdir(exist_ok=True)
    pki.run("init-ca", "--directory", ca)
    pki.run("issue-client", "--name", "web-1", "--directory", ca)
    log = tmp_path / "log"
    traced = pki.with_environment(HOME=str(home)).with_prefix(
        "strace", "-f", "-o", str(log), "-s", "4096", "-e", "trace=openat,open,creat,mkdir,mkdirat"
    )
    words = [word.format(ca=ca, home=home) for word in COMMANDS[command]]
    traced.run(*words, status=None)
    calls = [match for line in log.read_text(errors="replace").splitlines() if (match := CALL.match(line))]
    assert len(calls) > 3, "nothing was traced"
    reading = [call for call in map(parse, calls) if call.is_inside(ca)]
    assert reading or command in ("init-ca", "configure"), "nothing in the directory was opened"
    # A file that an option names may be reached by a link, as certbot's are.
    for call in reading if command != "configure" else []:
        # The directory itself, where import is to read what others made.
        if command == "import" and call.path == str(ca):
            continue
        # The open directory itself, once more.
        if call.path == "." or re.fullmatch(r"/proc/self/fd/\d+", call.path):
            continue
        assert "O_NOFOLLOW" in call.flags or call.name.startswith("mkdir"), call.text
    for call in map(parse, calls):
        assert "O_CREAT" not in call.flags or call.mode & 0o077 == 0, call.text
        assert "O_TMPFILE" not in call.flags or call.mode & 0o077 == 0, call.text
        assert call.name not in ("mkdir", "mkdirat") or call.mode & 0o077 == 0, call.text
        assert call.name != "creat", call.text
    for path in [*ca.rglob("*"), *home.rglob("*")]:
        if "key" in path.name or path.name.startswith("inventory") or path.suffix in (".p12", ".yaml"):
            assert path.lstat().st_mode & 0o077 == 0, path


class parse:
    """One call as strace writes it."""

    def __init__(self, match: re.Match[str]) -> None:
        self.text = match[0]
        self.name = match[1]
        quoted = re.search(r'"((?:[^"\\]|\\.)*)"', match[2])
        self.path = quoted[1] if quoted else ""
        rest = match[2][quoted.end() :] if quoted else match[2]
        self.flags = rest
        modes = re.findall(r"\b0[0-7]{2,4}\b", rest)
        self.mode = int(modes[-1], 8) if modes else 0
        self.is_relative = match[2].split(",")[0].isdigit()

    def is_inside(self, folder: Path) -> bool:
        """Whether it is about the directory or a file in it: by its path, or through a descriptor."""
        return self.path.startswith(str(folder)) or self.is_relative or self.path.startswith("/proc/self/fd/")
