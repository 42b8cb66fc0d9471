# SPDX-License-Identifier: Apache-2.0
"""docs/fleet.md, as a reader follows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from enrolling import Token
from program import REPOSITORY, UNAVAILABLE, Pki
from servers import closed_port
from walkthrough import Walk

PAGE = REPOSITORY / "docs/fleet.md"


def test_every_command_of_the_page_works(built: Path, tmp_path: Path) -> None:
    Walk(PAGE, tmp_path, built).run()


def texts(value: Any) -> list[str]:
    """Every text in a YAML document; a list of words is one command."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        words = [shlex.join(value)] if all(isinstance(one, str) for one in value) else []
        return words + [text for one in value for text in texts(one)]
    return [str(value)]


def test_the_commands_in_its_yaml_are_commands_of_pki(pki: Pki, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    commands = []
    for block in blocks:
        [found] = [text for text in texts(yaml.safe_load(block)) if re.match(r"(runuser -u pki -- )?(pki )?enrol .*--server", text)]
        commands.append(shlex.split(re.sub(r"\{\{.*?\}\}|\$\(POD_NAME\)", "web-1", found)))
    assert len(commands) == 3
    token = tmp_path / "token"
    token.write_text(Token(f"{'a' * 12}.{'A' * 43}.{'0' * 64}").text)
    token.chmod(0o600)
    given = {"https://ca.example.com:8443": f"https://127.0.0.1:{closed_port()}", "/run/join-token": str(token)}
    for number, words in enumerate(commands):
        words = [given.get(word, word) for word in words[words.index("enrol") :]]
        words[words.index("--directory") + 1] = str(tmp_path / f"host-{number}")
        pki.with_environment(PKI_TOKEN=token.read_text()).run(*words, status=UNAVAILABLE)
