# SPDX-License-Identifier: Apache-2.0
"""AWS's own settings and variables for endpoints, servers and proxies, with botocore as the judge (D1, D4, D9, D10)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from delivery import Home
from program import CHECK_FAILED, DONE, MISSING, USAGE, Lab, Pki, clean_environment, running_lab

REGION = "us-east-1"

# The file and the variables.
SETTINGS: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("", {}),
    "endpoint_url": ("endpoint_url = https://a.example\n", {}),
    "a variable first": ("endpoint_url = https://a.example\n", {"AWS_ENDPOINT_URL": "https://b.example"}),
    "the service's variable first": (
        "", {"AWS_ENDPOINT_URL": "https://b.example", "AWS_ENDPOINT_URL_ROLESANYWHERE": "https://c.example"}
    ),
    "services": (
        "services = mine\nendpoint_url = https://a.example\n"
        "[services mine]\nsts =\n  endpoint_url = https://sts.example\nrolesanywhere =\n  endpoint_url = https://d.example\n", {}
    ),
    "services without it": (
        "services = mine\nendpoint_url = https://a.example\n[services mine]\nsts =\n  endpoint_url = https://s.example\n", {}
    ),
    "services that are not there": ("services = none\n", {}),
    "a variable before services that are not there": ("services = none\n", {"AWS_ENDPOINT_URL": "https://b.example"}),
    "ignored": ("endpoint_url = https://a.example\nignore_configured_endpoint_urls = true\n", {}),
    "ignored by a variable": (
        "endpoint_url = https://a.example\n",
        {"AWS_ENDPOINT_URL": "https://b.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"},
    ),
    "not ignored": (
        "endpoint_url = https://a.example\nignore_configured_endpoint_urls = true\n",
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"},
    ),
    "FIPS": ("use_fips_endpoint = true\n", {}),
    "FIPS by a variable": ("use_fips_endpoint = false\n", {"AWS_USE_FIPS_ENDPOINT": "true"}),
    "no FIPS by a variable": ("use_fips_endpoint = true\n", {"AWS_USE_FIPS_ENDPOINT": "false"}),
    "dual stack": ("use_dualstack_endpoint = true\n", {}),
    "dual stack by a variable": ("", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}),
    "FIPS and dual stack": ("use_fips_endpoint = true\nuse_dualstack_endpoint = true\n", {}),
    "FIPS and an endpoint": ("use_fips_endpoint = true\nendpoint_url = https://a.example\n", {}),
    "dual stack and an endpoint": ("", {"AWS_USE_DUALSTACK_ENDPOINT": "true", "AWS_ENDPOINT_URL": "https://b.example"}),
}  # fmt: skip

ASK = """
import botocore.session, json, sys
session = botocore.session.Session(profile="web")
client = session.create_client("rolesanywhere", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
seen = []
client.meta.events.register("before-send", lambda request, **_: seen.append(request.url) or exit(print(request.url)))
client.list_profiles()
"""


@pytest.fixture
def home(pki: Pki, ca: Path, lab: Lab) -> Home:
    made = Home(pki, lab, ca)
    made.config.parent.mkdir()
    return made


def arguments(home: Home, region: str = REGION) -> list[str]:
    arn = f"arn:aws:rolesanywhere:{region}:123456789012"
    return [
        *home.options()[:4], "--trust-anchor-arn", f"{arn}:trust-anchor/812707ef-b010-8a70-b010-8a70812707ef",
        "--profile-arn", f"{arn}:profile/812707ef-b010-8a70-b010-8a70812707ef",
        "--role-arn", "arn:aws:iam::123456789012:role/r",
    ]  # fmt: skip


def address(home: Home, pki: Pki) -> str | None:
    """Where requests would go; None if the settings are refused."""
    report = pki.run("doctor", "--profile", "web", "--format", "json", *arguments(home), "--offline", status=None)
    assert report.status in (DONE, CHECK_FAILED)
    checks = {check["name"]: check for check in report.json["checks"]}
    if checks["settings"]["verdict"] == "failed":
        return None
    # Nothing listens on this proxy, and the error names the host.
    behind = pki.with_environment(HTTPS_PROXY="http://127.0.0.1:9")
    done = behind.run("creds", "--profile", "web", *arguments(home), "--attempts", "1", "--debug", status=69)
    return next(line.split()[-1] for line in done.stderr.splitlines() if "attempt 1: POST" in line)


@pytest.mark.parametrize("name", SETTINGS)
def test_d1_endpoints_are_botocores(home: Home, name: str) -> None:
    text, variables = SETTINGS[name]
    home.config.write_text(f"[profile web]\nregion = {REGION}\n{text}")
    pki = home.pki.with_environment(**variables)
    judge = subprocess.run(
        [sys.executable, "-c", ASK], env={**clean_environment(home.pki.home), **variables}, capture_output=True, timeout=60
    )
    mine = address(home, pki)
    if judge.returncode != 0:
        assert mine is None, judge.stderr.decode()[-300:]
        assert name == "services that are not there"
    else:
        assert mine is not None and mine.split("/")[2] == judge.stdout.decode().split("/")[2]


def test_d1_a_setting_of_the_credentials_file_goes_first(home: Home) -> None:
    home.config.write_text("[profile web]\nendpoint_url = https://a.example\n")
    home.credentials.write_text("[web]\nendpoint_url = https://b.example\n")
    assert address(home, home.pki).startswith("https://b.example/")


@pytest.mark.parametrize("variable", [True, False])
def test_d1_a_region_without_fips_is_an_error_that_names_the_setting(home: Home, variable: bool) -> None:
    home.config.write_text("[profile web]\n" + ("" if variable else "use_fips_endpoint = true\n"))
    pki = home.pki.with_environment(AWS_USE_FIPS_ENDPOINT="true") if variable else home.pki
    stderr = pki.refuse("creds", "--profile", "web", *arguments(home, "eu-west-1"), status=USAGE)
    assert ("AWS_USE_FIPS_ENDPOINT" if variable else f"use_fips_endpoint of web in {home.config}") in stderr
    # An option goes first.
    options = ("--profile", "web", *home.options())
    assert pki.run("creds", *options).json["Version"] == 1


def test_d1_ca_bundle_is_honoured(pki: Pki, ca: Path) -> None:
    with running_lab(pki, "--directory", ca, "--tls") as lab:
        home = Home(pki, lab, ca)
        bundle = lab.arguments[lab.arguments.index("--ca-bundle") + 1]
        options = home.options()
        del options[options.index("--ca-bundle") : options.index("--ca-bundle") + 2]
        pki.run("configure", "--profile", "web", *options)
        assert "pki: error: " in pki.refuse("creds", "--profile", "web", status=69)
        text = home.config.read_text()
        home.config.write_text(text + f"ca_bundle = {bundle}\n")
        assert pki.run("creds", "--profile", "web").json["Version"] == 1
        home.config.write_text(text + "ca_bundle = ~/absent.pem\n")
        stderr = pki.refuse("creds", "--profile", "web")
        assert f"ca_bundle of web in {home.config}" in stderr and "~" in stderr.split("hint: ")[1]
        # The variable goes first.
        assert pki.with_environment(AWS_CA_BUNDLE=str(bundle)).run("creds", "--profile", "web").json["Version"] == 1


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ROLESANYWHERE", None])
def test_d9_an_unencrypted_endpoint_is_told_with_where_it_comes_from(home: Home, variable: str | None) -> None:
    url = "http://localstack:4566"
    home.config.write_text("[profile web]\n" + ("" if variable else f"endpoint_url = {url}\n"))
    pki = home.pki.with_environment(**({variable: url} if variable else {}))
    stderr = pki.refuse("creds", "--profile", "web", *arguments(home), status=USAGE)
    origin = variable or f"endpoint_url of web in {home.config}"
    assert f"pki: error: {origin}: " in stderr and "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true" in stderr


def test_d10_an_empty_setting_is_unset(home: Home) -> None:
    home.configure("web")
    home.config.write_text(home.config.read_text() + "pki_intermediates =\npki_attempts =\n")
    home.pki.run("configure", "--profile", "web", "--session-duration", "900")
    assert home.pki.run("creds", "--profile", "web").json["Version"] == 1


def test_d10_a_tilde_has_a_hint(home: Home) -> None:
    for option in ("--certificate=~/x.pem", "--private-key=~/x.pem", "--intermediates=~/x.pem"):
        for command in ("creds", "configure"):
            stderr = home.pki.run(command, "--profile", "web", *home.options(), option, status=None).stderr
            assert "~" in stderr.split("hint: ")[1]


def test_d10_a_byte_order_mark_before_a_passphrase_is_told(home: Home) -> None:
    file = home.pki.home / "secret"
    file.write_bytes(b"\xef\xbb\xbfcorrect horse\n")
    file.chmod(0o600)
    stderr = home.pki.refuse("creds", *home.options(), "--passphrase-file", str(file))
    command = stderr.split("remove it: ")[1]
    subprocess.run(["sh", "-c", command], check=True)
    assert file.read_bytes() == b"correct horse\n"


def test_d10_blanks_around_an_arn_are_none_of_it(home: Home) -> None:
    options = [f" {word} " if word.startswith("arn:") else word for word in home.options()]
    assert home.pki.run("creds", *options).json["Version"] == 1
    home.pki.run("configure", "--profile", "web", *options)
    assert f"pki_role_arn = {home.lab.role_arn}\n" in home.config.read_text()


def test_the_settings_of_the_standard_profile_count_without_a_profile(home: Home) -> None:
    home.config.write_text("[default]\nendpoint_url = http://localstack:4566\n")
    assert str(home.config) in home.pki.refuse("creds", *arguments(home), status=USAGE)
    assert home.pki.run("creds", *home.options()).json["Version"] == 1


class TestRemoval:
    BEFORE = "# mine\n[default]\nregion = eu-west-1\n\n[profile x]\n# about x\noutput = json\n"

    @pytest.mark.parametrize("profile", ["web", "my web", "x", "default"])
    def test_what_configure_wrote_is_taken_out_and_nothing_else(self, home: Home, profile: str) -> None:
        home.config.write_text(self.BEFORE)
        home.configure(profile, "--session-duration", "900")
        home.pki.run("creds", "--profile", profile, "--cache")
        report = home.pki.run("configure", "--remove", "--profile", profile, "--format", "json").json
        assert home.config.read_text() == self.BEFORE
        assert "pki_certificate" in report["removed"] and "credential_process" in report["removed"]
        assert report["kept"] == {"x": ["output"], "default": ["region"]}.get(profile, [])
        assert len(report["cached"]) == 1 and Path(report["cached"][0]).exists()
        again = home.pki.run("configure", "--remove", "--profile", profile, "--format", "json").json
        assert again["removed"] == [] and home.config.read_text() == self.BEFORE

    def test_a_region_that_was_changed_stays(self, home: Home) -> None:
        home.configure("web")
        home.config.write_text(home.config.read_text().replace("\nregion = us-east-1", "\nregion = eu-west-1"))
        home.pki.run("configure", "--remove", "--profile", "web")
        assert home.config.read_text() == "[profile web]\nregion = eu-west-1\n"

    def test_another_programs_process_and_settings_stay(self, home: Home) -> None:
        text = "[profile web]\ncredential_process = /opt/other\npki_unknown = 1\n"
        home.config.write_text(text)
        home.pki.run("configure", "--remove", "--profile", "web")
        assert home.config.read_text() == text

    def test_units_and_keys_that_remain_are_named(self, home: Home) -> None:
        home.configure("web")
        home.pki.run("update", "--once", "--profile", "web")
        units = home.pki.home / ".config/systemd/user"
        (units / "pki-update.service.d").mkdir(parents=True)
        (units / "pki-serve.service").write_text("[Service]\nExecStart=pki serve --profile=web\n")
        (units / "pki-update.service.d/own.conf").write_text('Environment="PKI_PROFILES=--profile web"\n')
        (units / "pki-other.service").write_text("ExecStart=pki serve --profile web2\n")
        enabled = units / "default.target.wants"
        enabled.mkdir()
        for instance in ("web", "web2"):
            (enabled / f"pki-serve@{instance}.service").symlink_to(MISSING)
        report = home.pki.run("configure", "--remove", "--profile", "web", "--format", "json").json
        assert sorted(Path(unit).name for unit in report["units"]) == ["own.conf", "pki-serve.service", "pki-serve@web.service"]
        assert report["credentials"] == str(home.credentials)

    def test_without_a_file_nothing_is_made(self, home: Home) -> None:
        home.config.parent.rmdir()
        assert json.loads(home.pki.run("configure", "--remove", "--format", "json").stdout)["removed"] == []
        assert not home.config.parent.exists()
        home.pki.refuse("configure", "--remove", "--role-arn", "x", status=USAGE)
