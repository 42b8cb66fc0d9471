# SPDX-License-Identifier: Apache-2.0
"""The package on machines that never saw the sources: Debian 12 and 13, without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import roots
from roots import Machine, wait_until

# Debian 13 has OpenSSL 3.5.
HAS_MLDSA = {"bookworm": False, "trixie": True}

CONFIGURE = 'pki configure --profile web --client web-1 --trust-anchor-arn "$PKI_LAB_TRUST_ANCHOR_ARN" \
    --profile-arn "$PKI_LAB_PROFILE_ARN" --role-arn "$PKI_LAB_ROLE_ARN"'


@pytest.fixture(
    scope="module", params=list(roots.SUITES), ids=[f"debian-{version}" for version in roots.SUITES.values()]
)
def installed(request: pytest.FixtureRequest, deb: Path) -> Iterator[Machine]:
    """A machine after the one command of the README, for tests that leave the package as it is."""
    with roots.running(request.param) as machine:
        machine.write(f"/root/{deb.name}", deb.read_bytes())
        machine.shell(f"cd /root && apt-get --quiet --yes install ./{deb.name}")
        yield machine


@pytest.fixture
def user(installed: Machine) -> Iterator[Machine]:
    """With a user, alice, whose CA is in ~/ca, and a lab that runs there."""
    installed.run("useradd", "--create-home", "alice")
    at_home(installed, "mkdir ca && cd ca && pki init-ca && pki issue-client web-1")
    with installed.background("bash", "-c", "cd ca && exec pki lab", user="alice"):
        wait_until(lambda: at_home(installed, "cd ca && pki lab env", status=None).status == 0, "the lab answers")
        yield installed


def at_home(machine: Machine, script: str, **options: object):  # noqa: ANN201
    return machine.shell(script, user="alice", **options)


def files_below(machine: Machine, directory: str) -> dict[str, bytes]:
    top = machine.root / directory.lstrip("/")
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def use(machine: Machine) -> None:
    machine.shell(
        "runuser -u pki-ca -- pki init-ca --directory /var/lib/pki/ca"
        " && runuser -u pki-ca -- pki issue-client web --directory /var/lib/pki/ca && cd /etc/pki/roles-anywhere && echo '[profile web]' > config"
        " && install -m 640 /var/lib/pki/ca/web-key.pem . && mkdir -p /root/.cache/pki && touch /root/.cache/pki/kept"
    )


def kept(machine: Machine) -> list[dict[str, bytes]]:
    """What no command of a package manager may change."""
    return [files_below(machine, place) for place in ("/var/lib/pki", "/etc/pki/roles-anywhere", "/root/.cache/pki")]


def lower(machine: Machine, deb: Path) -> str:
    """The same package with a lower version, as the one before it. Returns its path."""
    return machine.shell(
        f"cd /root && dpkg-deb --raw-extract {deb.name} before"
        r" && sed --in-place 's/^Version: .*/Version: 0.0.1/' before/DEBIAN/control"
        " && echo '# before' >> before/usr/lib/systemd/system/pki-crl.timer"
        " && dpkg-deb -Znone --root-owner-group --build before before.deb > /dev/null && echo /root/before.deb"
    ).stdout.strip()


class TestInstallation:
    def test_it_brings_what_it_needs_and_enables_nothing(self, installed: Machine, deb: Path) -> None:
        version = deb.name.split("_")[1]
        assert installed.run("pki", "--version").stdout == f"pki {version}\n"
        assert installed.run("/usr/lib/pki/aws_signing_helper", "version").stdout.strip()
        assert installed.run("bash", "-c", "type -P aws_signing_helper", status=1).stdout == ""
        assert installed.run("dpkg", "--audit").stdout == ""
        # As in a container: no user and no directories for services that cannot run.
        installed.shell("! type -P systemctl && ! id pki && ! id pki-ca && test ! -e /etc/pki")

    def test_completion_is_loaded_by_bash(self, installed: Machine) -> None:
        loaded = installed.shell(". /usr/share/bash-completion/bash_completion; _completion_loader pki || true; complete -p pki")
        assert "pki" in loaded.stdout

    def test_the_manual_is_there(self, installed: Machine) -> None:
        pages = {path.name for path in (installed.root / "usr/share/man").rglob("*.gz")}
        assert {"pki.1.gz", "pki-serve.1.gz", "pki.7.gz"} <= pages

    def test_strongswans_program_of_that_name_stays(self, machine: Machine, deb: Path) -> None:
        machine.install("strongswan-pki")
        refused = machine.install("--no-remove", f"/root/{deb.name}", status=100)
        assert "strongswan-pki" in refused.stdout + refused.stderr
        unpacked = machine.run("dpkg", "--install", f"/root/{deb.name}", status=1)
        assert re.search(r"pki conflicts with strongswan-pki|conflicting packages", unpacked.stderr)
        assert "strongSwan" in machine.shell("/usr/bin/pki --help 2>&1 || true").stdout


    def test_libpq_is_asked_for_by_who_uses_it(self, machine: Machine, deb: Path) -> None:
        machine.shell(f"cd /root && apt-get --quiet --yes install ./{deb.name} && pki init-ca && pki list && pki doctor")
        elsewhere = ("pki", "list", "--inventory", "postgresql://pki@127.0.0.1:9/pki")
        said = machine.run(*elsewhere, status=2).stderr
        assert "libpq.so.5" in said
        [command] = re.findall(r"^pki: hint: install it: (.+)$", said, re.MULTILINE)
        machine.shell(f"{command} --quiet --yes")
        refused = machine.run(*elsewhere, status=None)
        assert refused.status != 0 and "libpq" not in refused.stderr and "127.0.0.1" in refused.stderr


class TestTheWalk:
    def test_from_a_ca_to_credentials(self, user: Machine) -> None:
        at_home(user, f'cd ca && eval "$(pki lab env)" && {CONFIGURE}')
        credentials = json.loads(at_home(user, 'eval "$(cd ca && pki lab env)" && pki creds --profile web').stdout)
        assert credentials["Version"] == 1 and credentials["AccessKeyId"].startswith("ASIA")
        shown = at_home(user, 'eval "$(cd ca && pki lab env)" && pki whoami --profile web --format json').stdout
        assert json.loads(shown)["Account"] == "123456789012"
        at_home(user, "cd ca && pki revoke web-1 && pki crl --issuer root && pki doctor --format json || [ $? = 1 ]")
        assert at_home(user, "cd ca && pki print-bundle").stdout.startswith("-----BEGIN CERTIFICATE-----")

    def test_the_newer_algorithms_where_openssl_has_them(self, installed: Machine) -> None:
        made = installed.shell("cd /root && pki init-ca --key-type ml-dsa-65 && pki issue-client web-1 --format json", status=None)
        assert (made.status == 0) == HAS_MLDSA[installed.suite], str(made)
        if made.status != 0:
            assert "ML-DSA-65" in made.stderr


class TestLaterOn:
    """What users made belongs to them. These machines have systemd."""

    @pytest.fixture
    def used(self, booted: Machine, deb: Path) -> Machine:
        booted.install(f"/root/{deb.name}")
        use(booted)
        return booted

    def test_the_services_directories_are_theirs(self, used: Machine) -> None:
        modes = used.run("stat", "--format", "%a %U %G", "/etc/pki/roles-anywhere", "/var/lib/pki/ca", "/var/lib/pki/enrolled", "/etc/pki").stdout
        assert modes.splitlines() == ["2750 root pki-keys", "700 pki-ca pki-ca", "700 pki pki", "755 root root"]
        changed = used.shell("chmod 700 /etc/pki/roles-anywhere && systemd-tmpfiles --create pki.conf"
                             " && stat --format %a /etc/pki/roles-anywhere")
        assert changed.stdout == "2700\n"

    def test_removal_and_purge_leave_it_and_reinstallation_finds_it(self, used: Machine, deb: Path) -> None:
        before = kept(used)
        for how in ("remove", "purge"):
            used.run("apt-get", "--quiet", "--yes", how, "pki")
            assert kept(used) == before
            used.shell("! type -P pki")
        assert not re.search(r"^\S*pki\b", used.run("dpkg", "--get-selections").stdout, re.MULTILINE)
        used.install(f"/root/{deb.name}")
        assert used.run("pki", "list", "--directory", "/var/lib/pki/ca", "--format", "json").status == 0
        assert kept(used) == before

    def test_purge_leaves_nothing_where_nothing_was_made(self, booted: Machine, deb: Path) -> None:
        def found() -> set[str]:
            listed = booted.run("find", "/", "-xdev", "-name", "pki*", "-o", "-name", "_pki").stdout.splitlines()
            # The user stays, as Debian has it: another that gets its number would own what it left.
            return {path for path in listed if not path.startswith(("/root/", "/var/log/", "/var/cache/apt/"))}

        before = found()
        booted.install(f"/root/{deb.name}")
        booted.run("systemctl", "enable", "pki-serve@web", "pki-renew.timer", "pki-crl.timer")
        assert len(found() - before) > 20
        booted.run("apt-get", "--quiet", "--yes", "purge", "pki")
        assert found() == before

    @pytest.mark.parametrize("how", ["a link", "a mount point"])
    def test_purge_leaves_a_directory_that_is_elsewhere(self, booted: Machine, deb: Path, how: str) -> None:
        booted.install(f"/root/{deb.name}")
        booted.run("mkdir", "/srv/pki")
        if how == "a link":
            booted.shell("rm -r /var/lib/pki && ln -s /srv/pki /var/lib/pki")
        else:
            booted.run("mount", "--bind", "/srv/pki", "/var/lib/pki")
        booted.run("apt-get", "--quiet", "--yes", "purge", "pki")
        booted.run("test", "-d", "/var/lib/pki/.")

    def test_an_older_installation_below_usr_local_is_named(self, booted: Machine, deb: Path) -> None:
        older = ["/usr/local/bin/pki", "/usr/local/lib/systemd/system/pki-serve@.service"]
        for path in older:
            booted.write(path, "", 0o755)
        said = booted.install(f"/root/{deb.name}")
        assert all(path in said.stdout + said.stderr for path in older)

    def test_an_upgrade_replaces_the_program_only(self, booted: Machine, deb: Path) -> None:
        booted.install(lower(booted, deb))
        use(booted)
        before = kept(booted)
        assert "0.0.1" in booted.install(f"/root/{deb.name}").stdout
        assert kept(booted) == before
        assert "# before" not in booted.read("/usr/lib/systemd/system/pki-crl.timer")
        assert booted.run("dpkg", "--audit").stdout == ""
