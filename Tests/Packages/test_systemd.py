# SPDX-License-Identifier: Apache-2.0
"""The package's units under systemd as the first process of Debian 12 and 13, with AWS's own software as the judge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import roots
from roots import Done, Machine, wait_until

PLACE = "/etc/pki/roles-anywhere"
CA = "/var/lib/pki/ca"
AS_CA = "runuser -u pki-ca -- pki"
UNITS = ("pki-serve@web.service", "pki-update@alice.service", "pki-renew.service", "pki-crl-create.service", "pki-crl.service", "pki-serve-ca.service",
         "pki-enrolled@web-1.service")  # fmt: skip
SITE_PACKAGES = Path(pytest.__file__).resolve().parents[1]

ARN = """
import boto3
print(boto3.client("sts", region_name="us-east-1", endpoint_url="http://127.0.0.1:9912").get_caller_identity()["Arn"])
"""


@pytest.fixture(scope="module", params=list(roots.SUITES), ids=[f"debian-{version}" for version in roots.SUITES.values()])
def host(request: pytest.FixtureRequest, deb: Path) -> Iterator[Machine]:
    """A machine with the package, a CA where the units look for it, a user alice, AWS's software and a lab.

    Each test has instances and profiles of its own.
    """
    with roots.running(request.param, booted=True, binds={SITE_PACKAGES: "/opt/aws"}) as machine:
        machine.write(f"/root/{deb.name}", deb.read_bytes())
        machine.install(f"/root/{deb.name}")
        machine.write("/usr/local/bin/aws", '#!/bin/sh\nexec env PYTHONPATH=/opt/aws python3 -m awscli "$@"\n', 0o755)
        machine.write("/etc/systemd/system/lab.service", f"[Service]\nUser=pki-ca\nExecStart=pki lab --directory {CA}\n")
        # As the comments of pki-renew.service tell.
        recipe = re.findall(r"^#   (tar .*)$", machine.read("/usr/lib/systemd/system/pki-renew.service"), re.MULTILINE)
        machine.shell("\n".join(["useradd --create-home alice", "cd /root && pki init-ca", *recipe, "systemctl start lab"]))
        wait_until(lambda: machine.run("pki", "lab", "env", status=None).status == 0, "the lab answers")
        yield machine


def lab(machine: Machine, script: str, **options: object) -> Done:
    """Runs a script with the lab's variables."""
    return machine.shell(f'eval "$(pki lab env)"\n{script}', **options)


CONFIGURE = (
    "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY\n"
    "pki configure --profile {0} --certificate $PWD/{0}-cert.pem --endpoint $PKI_LAB_ENDPOINT"
    " --trust-anchor-arn $PKI_LAB_TRUST_ANCHOR_ARN --profile-arn $PKI_LAB_PROFILE_ARN --role-arn $PKI_LAB_ROLE_ARN"
)


def issue(machine: Machine, name: str) -> None:
    """Issues a certificate and writes the profile of that name, as the comments of the unit tell."""
    lab(machine, f"{AS_CA} issue-client {name} --directory {CA} && cd {PLACE}\n"
                 f"install -m 640 {CA}/{name}-cert.pem {CA}/{name}-key.pem .\n"
                 f"export AWS_CONFIG_FILE=$PWD/config\n{CONFIGURE.format(name)}\nchmod 640 config")  # fmt: skip


def edit(machine: Machine, unit: str, text: str) -> None:
    """What systemctl edit does."""
    machine.write(f"/etc/systemd/system/{unit}.d/override.conf", text)
    machine.run("systemctl", "daemon-reload")


def inside(machine: Machine, unit: str, script: str, settings: str = "") -> list[str]:
    """The lines that a shell script prints which runs in a unit's place, once, in the unit's sandbox."""
    machine.write("/root/script.sh", f"exec 2>&1\necho begun\n{script}\n")
    place = f"/run/systemd/system/{unit.removesuffix('.service')}.service.d/inside.conf"
    machine.write(place, (
        "[Unit]\nConditionPathExists=\n"
        "[Service]\nType=oneshot\nRestart=no\nEnvironmentFile=\nExecStart=\nExecStart=/bin/sh ${CREDENTIALS_DIRECTORY}/script.sh\n"
        f"LoadCredential=script.sh:/root/script.sh\nSyslogIdentifier=inside\nWatchdogSec=0\n{settings}"
    ))  # fmt: skip
    machine.shell(f"systemctl daemon-reload; systemctl stop {unit}; journalctl --rotate --vacuum-time=1us")
    try:
        machine.run("systemctl", "start", unit)
        wait_until(lambda: show(machine, unit, "ActiveState") == "inactive", "it ended")
        machine.run("journalctl", "--sync")
        begun, *lines = machine.run("journalctl", "--quiet", "--output=cat", "--identifier=inside").stdout.splitlines()
        assert begun == "begun"
        return lines
    finally:
        machine.shell(f"rm {place} && systemctl daemon-reload")


def listening_at(machine: Machine, instance: str, port: int) -> None:
    edit(machine, f"pki-serve@{instance}.socket", f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n")


def show(machine: Machine, unit: str, name: str) -> str:
    return machine.run("systemctl", "show", "--value", f"--property={name}", unit).stdout.strip()


def journal(machine: Machine, unit: str) -> str:
    return machine.run("journalctl", "--quiet", "--no-pager", "--output=cat", f"--unit={unit}").stdout


def start(machine: Machine, unit: str, *words: str) -> None:
    done = machine.run("systemctl", *(words or ("start",)), unit, status=None)
    assert done.status == 0, f"{done}\n{machine.run('systemctl', 'status', '--no-pager', unit, status=None)}\n{journal(machine, unit)}"


def asked(machine: Machine, instance: str, port: int, profile: str | None = None) -> str:
    """The ARN that boto3 has, with the credentials that a service hands to a program with its token."""
    return machine.run(
        "python3", "-c", ARN,
        PYTHONPATH="/opt/aws",
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://127.0.0.1:{port}/credentials/{profile or instance}",
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=f"/run/pki-serve/{instance}/token",
    ).stdout.strip()  # fmt: skip


def got(machine: Machine, port: int, path: str) -> str:
    """What an address answers; nothing if it refuses."""
    script = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{port}/{path}').read().decode())"
    return machine.run("python3", "-c", script, status=None).stdout


class TestServe:
    def test_enabled_by_one_command_it_answers_an_sdk(self, host: Machine) -> None:
        issue(host, "web")
        start(host, "pki-serve@web", "enable", "--now")
        assert show(host, "pki-serve@web", "StatusText") == "1 of 1 profiles have credentials"
        assert ":assumed-role/lab-role/" in asked(host, "web", 9911)
        for user in ("alice", "pki"):
            host.run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "cat", "/run/pki-serve/web/token", status=1)
        assert show(host, "pki-serve@web.socket", "UnitFileState") == "enabled"

    def test_another_service_gets_the_token_as_its_credential(self, host: Machine) -> None:
        issue(host, "given")
        listening_at(host, "given", 9921)
        host.write("/root/arn.py", ARN)
        host.write("/etc/systemd/system/program.service", (
            "[Unit]\nRequires=pki-serve@given.socket\nAfter=pki-serve@given.socket\n"
            "[Service]\nType=oneshot\nDynamicUser=yes\n"
            "LoadCredential=aws-token:/run/pki-serve/given/token\nLoadCredential=arn.py:/root/arn.py\n"
            "Environment=AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%d/aws-token PYTHONPATH=/opt/aws\n"
            "Environment=AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9921/credentials/given\n"
            "ExecStart=python3 ${CREDENTIALS_DIRECTORY}/arn.py\n"
        ))  # fmt: skip
        start(host, "program")
        assert ":assumed-role/lab-role/" in journal(host, "program")

    def test_it_survives_being_killed_with_the_same_token(self, host: Machine) -> None:
        issue(host, "killed")
        listening_at(host, "killed", 9922)
        edit(host, "pki-serve@.service", "[Service]\nRestartSec=100ms\n")
        start(host, "pki-serve@killed")
        before, token = show(host, "pki-serve@killed", "MainPID"), host.read("/run/pki-serve/killed/token")
        host.shell(f"kill -KILL {before}")
        wait_until(lambda: show(host, "pki-serve@killed", "ActiveState") == "active"
                   and show(host, "pki-serve@killed", "MainPID") not in (before, "0"), "it runs again")  # fmt: skip
        assert host.read("/run/pki-serve/killed/token") == token
        assert ":assumed-role/lab-role/" in asked(host, "killed", 9922)
        start(host, "pki-serve@killed", "restart")
        assert host.read("/run/pki-serve/killed/token") == token

    def test_one_that_no_longer_answers_the_watchdog_is_restarted(self, host: Machine) -> None:
        issue(host, "stopped")
        listening_at(host, "stopped", 9923)
        edit(host, "pki-serve@stopped.service", (
            "[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\nRestartSec=100ms\n"
        ))  # fmt: skip
        start(host, "pki-serve@stopped")
        before = show(host, "pki-serve@stopped", "MainPID")
        host.shell(f"kill -STOP {before}")
        wait_until(lambda: show(host, "pki-serve@stopped", "NRestarts") != "0", "it was restarted")
        assert "watchdog" in journal(host, "pki-serve@stopped").lower()

    def test_it_reloads_a_changed_profile(self, host: Machine) -> None:
        issue(host, "changed")
        listening_at(host, "changed", 9924)
        start(host, "pki-serve@changed")
        host.shell(f"AWS_CONFIG_FILE={PLACE}/config pki configure --profile changed --session-duration 900")
        start(host, "pki-serve@changed", "reload")

        def remaining() -> int:
            [seconds] = re.findall(r"^pki_credentials_expiry_seconds\{.*\} (\d+)", got(host, 9924, "metrics"), re.MULTILINE)
            return int(seconds)

        wait_until(lambda: remaining() <= 900, "the new duration is used")

    def test_one_instance_serves_several_profiles(self, host: Machine) -> None:
        issue(host, "first")
        issue(host, "second")
        listening_at(host, "first", 9925)
        edit(host, "pki-serve@first.service", '[Service]\nEnvironment="PKI_SERVE=--profile second"\n')
        start(host, "pki-serve@first")
        arns = {asked(host, "first", 9925, profile) for profile in ("first", "second")}
        assert len(arns) == 2

    def test_its_socket_starts_it(self, host: Machine) -> None:
        issue(host, "waiting")
        listening_at(host, "waiting", 9926)
        start(host, "pki-serve@waiting.socket", "enable", "--now")
        assert show(host, "pki-serve@waiting", "ActiveState") == "inactive"
        wait_until(lambda: got(host, 9926, "healthz") != "", "it answers")
        wait_until(lambda: show(host, "pki-serve@waiting", "ActiveState") == "active", "it is ready")
        start(host, "pki-serve@waiting", "restart")
        assert ":assumed-role/lab-role/" in asked(host, "waiting", 9926)

    @pytest.mark.parametrize("encrypted", [False, True], ids=["LoadCredential", "LoadCredentialEncrypted"])
    def test_a_passphrase_is_a_credential(self, host: Machine, encrypted: bool) -> None:
        name, port = ("sealed", 9928) if encrypted else ("loaded", 9927)
        issue(host, name)
        secret, key = f"{PLACE}/{name}-passphrase", f"{PLACE}/{name}-key.pem"
        host.write(secret, "correct horse\n", 0o600)
        host.shell(
            f"openssl pkcs8 -topk8 -in {key} -out {key}.new -passout file:{secret} && mv {key}.new {key}"
            f" && chgrp pki-keys {key} && chmod 640 {key}"
        )
        setting = f"LoadCredential=passphrase:{secret}"
        if encrypted:
            host.shell(f"systemd-creds encrypt --with-key=host --name=passphrase {secret} {secret}.cred && rm {secret}")
            setting = f"LoadCredentialEncrypted=passphrase:{secret}.cred"
        listening_at(host, name, port)
        edit(host, f"pki-serve@{name}.service", (
            f"[Service]\nEnvironment=PKI_PASSPHRASE_FILE=%d/passphrase\n{setting}\n"
        ))  # fmt: skip
        start(host, f"pki-serve@{name}")
        assert ":assumed-role/lab-role/" in asked(host, name, port)

    def test_nobody_else_gets_the_port_while_it_restarts_or_is_upgraded(self, host: Machine, deb: Path) -> None:
        issue(host, "held")
        listening_at(host, "held", 9929)
        start(host, "pki-serve@held")
        before, token = show(host, "pki-serve@held", "MainPID"), host.read("/run/pki-serve/held/token")
        squatter = (
            "import socket, sys\n"
            "while True:\n"
            "    with socket.socket() as s:\n"
            "        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
            "        try: s.bind(('127.0.0.1', 9929)); s.listen()\n"
            "        except OSError: continue\n"
            "        sys.exit('bound')\n"
        )
        with host.background("python3", "-c", squatter, user="alice") as squatting:
            start(host, "pki-serve@held", "restart")
            host.install("--reinstall", f"/root/{deb.name}")
            assert show(host, "pki-serve@held", "MainPID") not in (before, "0")
            assert squatting.poll() is None
        assert host.read("/run/pki-serve/held/token") == token
        assert ":assumed-role/lab-role/" in asked(host, "held", 9929)

    def test_a_token_is_not_used_again_once_the_port_was_free(self, host: Machine) -> None:
        issue(host, "freed")
        listening_at(host, "freed", 9930)
        start(host, "pki-serve@freed")
        token = host.read("/run/pki-serve/freed/token")
        host.run("systemctl", "stop", "pki-serve@freed.socket")
        assert show(host, "pki-serve@freed", "ActiveState") == "inactive"
        with host.background("python3", "-m", "http.server", "--bind", "127.0.0.1", "9930", user="alice"):
            wait_until(lambda: got(host, 9930, "") != "", "another program has the port")
            assert host.run("systemctl", "start", "pki-serve@freed", status=None).status != 0
            # No program is told one that it would send there.
            host.run("test", "-e", "/run/pki-serve/freed/token", status=1)
        start(host, "pki-serve@freed")
        assert host.read("/run/pki-serve/freed/token") != token


class TestUpdate:
    def test_it_refreshes_a_users_profiles(self, host: Machine) -> None:
        host.shell(f"{AS_CA} issue-client default --directory {CA}"
                   f" && install -m 600 -o alice {CA}/default-cert.pem {CA}/default-key.pem /home/alice")  # fmt: skip
        lab(host, CONFIGURE.format("default"), user="alice")
        start(host, "pki-update@alice", "enable", "--now")
        wait_until(lambda: (host.root / "home/alice/.aws/credentials").exists(), "the credentials are written")
        endpoint = {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9912", "AWS_REGION": "us-east-1", "PYTHONPATH": "/opt/aws"}
        host.write("/home/alice/.aws/config", "")
        assert ":assumed-role/lab-role/" in host.run("python3", "-c", ARN, user="alice", **endpoint).stdout
        owner = host.run("stat", "--format=%U %a", "/home/alice/.aws/credentials").stdout
        assert owner == "alice 600\n"

    def test_of_the_homes_only_the_users_is_there_and_little_of_it_can_be_written(self, host: Machine) -> None:
        host.shell("id bob > /dev/null 2>&1 || useradd --create-home bob; runuser -u alice -- mkdir -p /home/alice/.aws")
        tried = inside(host, "pki-update@alice", (
            "ls /home; touch ~/.aws/test && rm ~/.aws/test && echo written; touch ~/.profile 2>/dev/null || echo refused"
        ))  # fmt: skip
        assert tried == ["alice", "written", "refused"]


class TestTimers:
    @pytest.mark.parametrize("timer", ["pki-renew", "pki-crl"])
    def test_it_is_enabled_by_one_command_and_has_a_next_time(self, host: Machine, timer: str) -> None:
        start(host, f"{timer}.timer", "enable", "--now")
        listed = json.loads(host.run("systemctl", "list-timers", "--output=json").stdout)
        [entry] = [entry for entry in listed if entry["unit"] == f"{timer}.timer"]
        assert entry["activates"] == f"{timer}.service" and int(entry["next"]) > 0

    def test_renewal_is_started_by_its_timer(self, host: Machine) -> None:
        # In the second half of its lifetime, which begins five minutes before it is issued.
        host.shell(f"{AS_CA} issue-client brief --directory {CA} --not-after $(date --utc --date '4 minutes' +%FT%TZ)")
        before = host.read(f"{CA}/brief-cert.pem")
        edit(host, "pki-renew.timer", "[Timer]\nOnCalendar=\nOnActiveSec=0\nRandomizedDelaySec=0\nAccuracySec=1ms\n")
        start(host, "pki-renew.timer", "restart")
        wait_until(lambda: show(host, "pki-renew.service", "ExecMainExitTimestampMonotonic") != "0", "the service ended")
        assert show(host, "pki-renew.service", "Result") == "success", journal(host, "pki-renew.service")
        assert host.read(f"{CA}/brief-cert.pem") != before
        assert host.run("stat", "--format=%U", f"{CA}/brief-cert.pem").stdout == "pki-ca\n"

    def test_the_crl_is_started_by_its_timer_and_reaches_the_service(self, host: Machine) -> None:
        lab(host, f"{AS_CA} crl --directory {CA} --issuer root --format aws-cli"
                  " --trust-anchor-arn $PKI_LAB_TRUST_ANCHOR_ARN | sh")  # fmt: skip
        [before] = json.loads(lab(host, "aws rolesanywhere list-crls --output json").stdout)["crls"]
        variables = lab(host, "env | grep ^AWS_").stdout.split()
        edit(host, "pki-crl-create.service", '[Service]\nEnvironment="PKI_CRL=--issuer root"\n')
        edit(host, "pki-crl.service", (
            f"[Service]\nEnvironment=PKI_CRL_ID={before['crlId']}\n"
            + "".join(f"Environment={variable}\n" for variable in variables)
        ))  # fmt: skip
        edit(host, "pki-crl.timer", "[Timer]\nOnCalendar=\nOnActiveSec=0\nRandomizedDelaySec=0\nAccuracySec=1ms\n")
        start(host, "pki-crl.timer", "restart")
        wait_until(lambda: show(host, "pki-crl.service", "ExecMainExitTimestampMonotonic") != "0", "the service ended")
        assert show(host, "pki-crl.service", "Result") == "success", journal(host, "pki-crl.service")
        [after] = json.loads(lab(host, "aws rolesanywhere list-crls --output json").stdout)["crls"]
        assert after["crlId"] == before["crlId"] and after["crlData"] != before["crlData"]


class TestFleet:
    def test_a_host_is_enrolled_at_the_served_ca_and_renewed_by_its_timer(self, host: Machine) -> None:
        url, place = "https://127.0.0.1:8443", "/var/lib/pki/enrolled"
        # As the unit says: root's file, which the CA's user reads through the group.
        options = f"{PLACE}/serve-ca.conf"
        host.write(options, "# A CA.\nlisten = 127.0.0.1:8443\n")
        host.run("chmod", "640", options)
        edit(host, "pki-serve-ca.service", f'[Service]\nEnvironment="PKI_SERVE_CA=--config {options}"\n')
        start(host, "pki-serve-ca", "enable", "--now")
        assert show(host, "pki-serve-ca", "StatusText") == "root issues"
        # At once, and not at half of its lifetime.
        host.write(f"{PLACE}/enrolled.conf", f"PKI_SERVER={url}\nPKI_ENROLLED=\n")
        host.shell(
            f"{AS_CA} token create --name fleet-1 --days 2 --directory {CA}"
            f" | runuser -u pki -- pki enrol fleet-1 --server {url} --token-file - --directory {place}"
        )
        before = host.read(f"{place}/fleet-1-cert.pem")
        edit(host, "pki-enrolled@fleet-1.timer", "[Timer]\nOnCalendar=\nOnActiveSec=0\nRandomizedDelaySec=0\nAccuracySec=1ms\n")
        start(host, "pki-enrolled@fleet-1.timer", "enable", "--now")
        service = "pki-enrolled@fleet-1.service"
        wait_until(lambda: show(host, service, "ExecMainExitTimestampMonotonic") != "0", "the service ended")
        assert show(host, service, "Result") == "success", journal(host, service)
        assert host.read(f"{place}/fleet-1-cert.pem") != before
        assert host.run("stat", "--format=%U %a", f"{place}/fleet-1-key.pem").stdout == "pki 600\n"
        # Reloading reads the file again.
        host.write(options, "listen = 127.0.0.1:8443\nhost = 127.0.0.1\nhost = ca.example.com\n")
        start(host, "pki-serve-ca", "reload")
        served = "openssl s_client -connect 127.0.0.1:8443 </dev/null 2>/dev/null | openssl x509 -noout -checkhost ca.example.com"
        wait_until(lambda: "does match" in host.shell(served).stdout, "the server's certificate has the new name")
        start(host, "pki-serve-ca", "restart")


def setting(page: str, word: str) -> str:
    """The block of settings in docs/fleet.md with that word."""
    [text] = [text for text in re.findall(r"```ini\n(.*?)```", page, re.DOTALL) if word in text]
    return text


class TestInventoryOnPostgreSQL:
    """As docs/fleet.md shows it, with the cluster of Debian's package."""

    @pytest.fixture
    def database(self, host: Machine) -> Iterator[Machine]:
        # An earlier test may have left it running on the directory.
        host.run("systemctl", "stop", "pki-serve-ca")
        host.run("systemctl", "start", "postgresql")
        wait_until(lambda: host.run("runuser", "-u", "postgres", "--", "psql", "-c", "", status=None).status == 0, "PostgreSQL answers")
        host.write("/tmp/database.sh", (
            "cd /\ncreatedb pki\npki inventory init --inventory postgresql:///pki\n"
            "psql --quiet --command 'CREATE ROLE \"pki-ca\" LOGIN IN ROLE pki_admin, pki_server' pki\n"
            "psql --quiet --command \"CREATE ROLE ca_1 LOGIN PASSWORD 'secret' IN ROLE pki_server\" pki\n"
            "psql --quiet --command \"CREATE ROLE copier SUPERUSER LOGIN PASSWORD 'secret'\" pki\n"
        ))  # fmt: skip
        try:
            host.shell("runuser -u postgres -- bash -eu /tmp/database.sh")
            host.shell(
                f"cd {CA} && {AS_CA} inventory copy --from {CA} --to postgresql://copier:secret@127.0.0.1/pki"
                " && mkdir -p /root/aside && mv inventory.sqlite* /root/aside"
            )
            yield host
        finally:
            host.shell("systemctl stop pki-serve-ca; systemctl revert pki-serve-ca; systemctl daemon-reload")
            host.shell(f"if [ -e /root/aside ]; then mv /root/aside/* {CA}; rmdir /root/aside; fi; rm -f {CA}/inventory-elsewhere")
            host.shell(
                "cd / && runuser -u postgres -- dropdb --force pki && runuser -u postgres -- psql --quiet --command"
                " 'DROP ROLE copier, ca_1, \"pki-ca\"' && systemctl stop postgresql"
            )

    @pytest.mark.parametrize("by", ["the socket", "a service file"])
    def test_the_served_ca_reaches_it_in_its_sandbox(self, database: Machine, by: str) -> None:
        page = database.read("/usr/share/doc/pki/docs/fleet.md")
        options = setting(page, "inventory = ").replace("0.0.0.0:8443", "127.0.0.1:8444").replace("ca.example.com", "127.0.0.1")
        if by == "the socket":
            options = options.replace("postgresql:///?service=pki", "postgresql:///pki")
        database.write(f"{PLACE}/serve-ca.conf", options, 0o640)
        # The package's certificate of PostgreSQL is verified by no client.
        file = setting(page, "sslmode=verify-full").replace("verify-full", "require").replace("password=…", "password=secret")
        file = re.sub(r"^sslrootcert=.*\n", "", file, flags=re.MULTILINE).replace("db-1.example.com,db-2.example.com", "127.0.0.1")
        database.write(f"{PLACE}/database.conf", file, 0o600)
        edit(database, "pki-serve-ca.service", setting(page, "LoadCredential=database"))
        start(database, "pki-serve-ca")
        assert show(database, "pki-serve-ca", "StatusText") == "root issues"
        name = by.split()[1]
        database.shell(
            f"{AS_CA} token create --name {name} --directory {CA} --inventory postgresql:///pki | runuser -u pki --"
            f" pki enrol {name} --server https://127.0.0.1:8444 --token-file - --directory /var/lib/pki/enrolled"
        )
        listed = database.shell(f"{AS_CA} list {name} --directory {CA} --inventory postgresql:///pki --format json").stdout
        assert [entry["name"] for entry in json.loads(listed)] == [name]
        assert database.shell(f"ls {CA}/{name}* {CA}/inventory.sqlite* 2>/dev/null || true").stdout == ""


SOCKETS = """
import os, socket
for path in ("/run/systemd/private", "/run/dbus/system_bus_socket"):
    try: socket.socket(socket.AF_UNIX).connect(path)
    except OSError: continue
    print(path)
for path in ("/run", "/run/systemd", "/usr", "/var/lib/pki", "/var/lib/pki/ca", "/var/lib/pki/enrolled",
    "/etc/pki/roles-anywhere"):
    try: os.close(os.open(path + "/planted", os.O_CREAT | os.O_EXCL, 0o600)); os.unlink(path + "/planted")
    except OSError: continue
    print(path)
"""


class TestSandbox:
    @pytest.mark.parametrize("unit", UNITS)
    def test_even_as_root_it_reaches_neither_systemd_nor_the_bus(self, host: Machine, unit: str) -> None:
        assert inside(host, unit, f"python3 -c '{SOCKETS}'", "User=root\nStateDirectory=\n") == []

    def test_the_served_ca_finds_hosts_by_name(self, host: Machine) -> None:
        """As http-01 needs it."""
        connect = "import socket; one = socket.create_server((\"localhost\", 9080)); socket.create_connection((\"localhost\", 9080)); print(1)"
        assert inside(host, "pki-serve-ca.service", f"python3 -c '{connect}'") == ["1"]

    @pytest.mark.parametrize(("unit", "readable"), [
        ("pki-serve@web.service", [f"{PLACE}/private.pem", "/var/lib/pki/enrolled/private.pem"]),
        ("pki-enrolled@another.service", [f"{PLACE}/private.pem", "/var/lib/pki/enrolled/private.pem"]),
        ("pki-crl.service", [f"{PLACE}/private.pem", "/var/lib/pki/enrolled/private.pem"]),
        ("pki-renew.service", [f"{CA}/root-key.pem"]),
        ("pki-crl-create.service", [f"{CA}/root-key.pem"]),
    ])  # fmt: skip
    def test_it_reads_its_own_secrets_only(self, host: Machine, unit: str, readable: list[str]) -> None:
        host.shell(
            f"touch {PLACE}/private.pem && chmod 640 {PLACE}/private.pem && mkdir -p /run/pki-serve/another"
            " && install -m 600 -o pki /dev/null /run/pki-serve/another/token && systemctl start pki-serve@web.socket"
        )
        host.run("install", "-m", "600", "-o", "pki", "/dev/null", "/var/lib/pki/enrolled/private.pem")
        paths = f"{CA}/root-key.pem {PLACE}/private.pem /var/lib/pki/enrolled/private.pem /run/pki-serve/web/token /run/pki-serve/another/token"
        assert inside(host, unit, f"for path in {paths}; do cat $path >/dev/null 2>&1 && echo $path; done; true") == readable

    @pytest.mark.parametrize("unit", UNITS)
    def test_the_exposure_is_at_most_two(self, host: Machine, unit: str) -> None:
        judged = host.run("systemd-analyze", "security", "--no-pager", unit, status=None).stdout
        [exposure] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", judged)
        assert float(exposure) <= 2.0, judged

    def test_systemd_has_no_complaint(self, host: Machine) -> None:
        done = host.run("systemd-analyze", "verify", "--man=no", *UNITS, "pki-serve@web.socket", "pki-renew.timer", "pki-crl.timer", "pki-enrolled@web-1.timer", status=None)
        assert "pki" not in done.stderr
