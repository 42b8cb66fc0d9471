# SPDX-License-Identifier: Apache-2.0
"""docs/fleet.md, as a reader follows it."""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from enrolling import Authority, Token, certificate_request, enrol, serving_ca
from program import REPOSITORY, UNAVAILABLE, Pki
from servers import closed_port
from serving import wait_for
from tools import openssl, tool
from walkthrough import Walk, steps

PAGE = REPOSITORY / "docs/fleet.md"
# test_fleet_postgresql.py follows it.
ELSEWHERE = "Two servers on PostgreSQL"


def test_every_command_of_the_page_works(built: Path, tmp_path: Path) -> None:
    walk = Walk(PAGE, tmp_path, built)
    elsewhere = {step.line for step in steps(PAGE.read_text(), ELSEWHERE)}
    walk.steps = [step for step in walk.steps if step.line not in elsewhere]
    walk.run()


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


def test_the_sidecar_of_its_pod_renews(pki: Pki, tmp_path: Path) -> None:
    [pod] = [found for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "initContainers" in (found := yaml.safe_load(block))]
    enrolment, renewal = pod["initContainers"]
    assert renewal["restartPolicy"] == "Always" and renewal["volumeMounts"] == enrolment["volumeMounts"]
    shell, option, script = renewal["command"]
    loop = re.fullmatch(r"while sleep 4h; do (pki renew .*); done", script)
    assert (shell, option) == ("sh", "-c") and loop
    words = shlex.split(loop[1].replace("$POD_NAME", "web-1"))[1:]
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca") as authority:
        given = {"$(POD_NAME)": "web-1", "https://ca.example.com:8443": authority.url, "/identity/files": str(tmp_path / "files")}

        def run(words: list[str]) -> None:
            pki.with_environment(PKI_TOKEN=token.text).run(*(given.get(word, word) for word in words))

        token = authority.token("web-1")
        run(enrolment["args"])
        first = (tmp_path / "files/web-1-cert.pem").read_bytes()
        run(words)
        assert (tmp_path / "files/web-1-cert.pem").read_bytes() == first
        run(words[: words.index("--if-expires-within")])
        assert (tmp_path / "files/web-1-cert.pem").read_bytes() != first


@contextmanager
def haproxy(authority: Authority, home: Path) -> Iterator[dict[str, int]]:
    """HAProxy as the page configures it. Gives the port of each of its services."""
    program = shutil.which("haproxy", path="/usr/local/bin:/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("there is no haproxy: run script/bootstrap")
    place = authority.directory
    authority.run("issue-client", "proxy", "--profile", "server", "--ip", "127.0.0.1")
    (home / "proxy.pem").write_bytes((place / "proxy-cert.pem").read_bytes() + (place / "proxy-key.pem").read_bytes())
    (home / "root-cert.pem").write_bytes(authority.root.read_bytes())
    text = next(text for text in re.findall(r"```haproxy\n(.*?)```", PAGE.read_text(), re.DOTALL) if "listen through" in text)
    ports = dict(zip(re.findall(r"^listen (\w+)$", text, re.MULTILINE), (closed_port(), closed_port()), strict=True))
    for shown, port in zip((":8443", ":8444"), ports.values(), strict=True):
        text = text.replace(f"bind {shown}", f"bind 127.0.0.1:{port}")
    text = text.replace("10.0.0.5:8443", f"127.0.0.1:{authority.port}").replace("ca.example.com", "localhost")
    (home / "haproxy.cfg").write_text(text)
    process = subprocess.Popen([program, "-db", "-f", "haproxy.cfg"], cwd=home, stdin=subprocess.DEVNULL)
    try:
        for port in ports.values():
            ready = ("curl", "--silent", "--fail", "--cacert", authority.root, f"https://127.0.0.1:{port}/readyz")
            wait_for(lambda ready=ready: tool(*ready, status=None).status == 0)
        yield ports
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize("service", ["through", "ends"])
def test_hosts_enrol_and_renew_behind_its_proxy(pki: Pki, tmp_path: Path, service: str) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    options = ("--proxy", "127.0.0.1") if service == "ends" else ()
    with serving_ca(pki, tmp_path / "ca", *options) as authority, haproxy(authority, tmp_path) as ports:
        authority.url = f"https://127.0.0.1:{ports[service]}"
        token = authority.token("web-1")
        here = ("web-1", "--server", authority.url, "--directory", tmp_path / "host")
        pki.with_environment(PKI_TOKEN=token.text).run("enrol", *here)
        pki.run("renew", *here)
        # A client's own header counts for nothing.
        request, _ = certificate_request(tmp_path, "/CN=web-1")
        openssl("x509", "-in", tmp_path / "host/web-1-cert.pem", "-outform", "DER", "-out", tmp_path / "c.der")
        header = f"Client-Cert: :{base64.b64encode((tmp_path / 'c.der').read_bytes()).decode()}:"
        assert enrol(authority, request, None, "--header", header, path="simplereenroll").status == 401
