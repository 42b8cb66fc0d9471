# SPDX-License-Identifier: Apache-2.0
"""What docs/install.md tells to type, typed on machines that never saw the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from program import REPOSITORY

import roots
from release import ARCHIVE, DEB, DIST
from roots import Machine, wait_until

README = (REPOSITORY / "README.md").read_text()
PAGE = (REPOSITORY / "docs/install.md").read_text()


def blocks(name: str) -> list[str]:
    """The blocks of the page that are for a machine of this name."""
    found = re.findall(rf"<!-- root: {name} -->\n\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"docs/install.md has no block for {name}"
    return found


@pytest.fixture(params=list(roots.SUITES), ids=[f"debian-{version}" for version in roots.SUITES.values()])
def downloaded(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine that systemd booted, with a download in root's home directory. There is no sudo, as root has no need of it."""
    with roots.running(request.param, booted=True) as machine:
        for file in (DEB, ARCHIVE, DIST / "SHA256SUMS"):
            machine.write(f"/root/{file.name}", file.read_bytes())
        machine.write("/usr/local/sbin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
        yield machine


def typed(machine: Machine, script: str, **variables: str) -> str:
    # apt asks nobody.
    return machine.shell(script.replace("apt install", "apt-get --yes install").replace("apt remove", "apt-get --yes remove"), **variables).stdout


def test_the_deb_is_installed_and_removed(downloaded: Machine) -> None:
    install, remove = blocks("debian")
    assert f"```sh\n{install}```" in README
    assert typed(downloaded, install).splitlines()[-1].startswith("pki ")
    typed(downloaded, remove)
    downloaded.shell("! type -P pki")


def test_the_archive_is_installed_and_its_units_are_found(downloaded: Machine) -> None:
    [install] = blocks("archive")
    assert typed(downloaded, install).splitlines()[-1].startswith("pki ")
    [makes] = re.findall(r"`(sudo systemd-sysusers && .*?)`", PAGE)
    typed(downloaded, makes)
    downloaded.run("systemctl", "daemon-reload")
    downloaded.shell("runuser -u pki-ca -- pki init-ca --directory /var/lib/pki/ca")
    downloaded.run("systemctl", "start", "pki-renew.service")
    assert downloaded.run("stat", "--format=%a %G", "/etc/pki/roles-anywhere").stdout == "2750 pki-keys\n"
    downloaded.run("/usr/local/lib/pki/install.sh", "--uninstall")
    assert (downloaded.root / "var/lib/pki/ca/root-key.pem").exists()


def test_a_service_is_set_up_and_restarted_by_an_upgrade(downloaded: Machine) -> None:
    typed(downloaded, blocks("debian")[0])
    downloaded.shell(
        "pki init-ca && pki issue-client web-1 && cp credential-process-data/web-1-* ."
        " && systemd-run --quiet --working-directory=/root pki lab"
    )
    wait_until(lambda: downloaded.run("pki", "lab", "env", status=None).status == 0, "the lab answers")
    # The service has AWS's address of AWS, and here the lab's.
    downloaded.write("/etc/systemd/system/pki-serve@.service.d/lab.conf", "[Service]\nEnvironment=AWS_ENDPOINT_URL=http://127.0.0.1:9912\n")
    downloaded.run("systemctl", "daemon-reload")
    [setup] = blocks("systemd")
    arns = "".join(f'export PKI_{name}_ARN="$PKI_LAB_{name}_ARN"\n' for name in ("TRUST_ANCHOR", "PROFILE", "ROLE"))
    typed(downloaded, f'eval "$(pki lab env)"\nunset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY\n{arns}{setup}')
    [lines] = re.findall(r"```ini\n(\[Unit\]\n.*?)```", PAGE, re.DOTALL)
    fetches = (
        "import os, urllib.request as r; e = os.environ;"
        " token = open(e['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE']).read().strip();"
        " request = r.Request(e['AWS_CONTAINER_CREDENTIALS_FULL_URI'], headers={'Authorization': token});"
        " print(r.urlopen(request).status)"
    )
    downloaded.write("/etc/systemd/system/program.service", f'{lines}Type=oneshot\nDynamicUser=yes\nExecStart=python3 -c "{fetches}"\n')
    downloaded.run("systemctl", "start", "program")
    assert "200" in downloaded.run("journalctl", "--quiet", "--output=cat", "--unit=program").stdout.split()

    def process() -> str:
        return downloaded.run("systemctl", "show", "--value", "--property=MainPID", "pki-serve@web").stdout.strip()

    before, token = process(), downloaded.read("/run/pki-serve/web/token")
    upgraded = downloaded.install("--reinstall", f"/root/{DEB.name}")
    assert process() not in (before, "0"), str(upgraded)
    downloaded.run("pki", "serve", "--check")
    assert downloaded.read("/run/pki-serve/web/token") == token
    # A second instance, at the port that the page gives it.
    [lines] = re.findall(r"```ini\n(\[Socket\]\n.*?)```", PAGE, re.DOTALL)
    downloaded.write("/etc/systemd/system/pki-serve@backup.socket.d/override.conf", lines)
    downloaded.run("systemctl", "daemon-reload")
    downloaded.shell("AWS_CONFIG_FILE=/etc/pki/roles-anywhere/config; sed 's/profile web/profile backup/' $AWS_CONFIG_FILE > more"
                     " && cat more >> $AWS_CONFIG_FILE && systemctl start pki-serve@backup && pki serve --check --listen 9913")  # fmt: skip
    typed(downloaded, blocks("debian")[1])
    assert process() == "0"
    assert not (downloaded.root / "run/pki-serve/web/token").exists()
