# SPDX-License-Identifier: Apache-2.0
"""`pki doctor` on the road to AWS: of everything that can be wrong, the one thing that is, and nothing else."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from peer import Identity, issue, root_of
from program import CHECK_FAILED, DONE, USAGE, Lab, Pki, running_lab

LOCAL = ["settings", "certificate", "key", "chain", "rules", "validity", "authority", "revocation", "signature"]
NETWORK = ["name", "endpoint", "clock", "session"]


def examine(pki: Pki, *arguments: str | Path, status: int = DONE) -> dict[str, dict[str, Any]]:
    """The checks of the road to AWS by their names; those of a CA's directory, which have others, stand before them."""
    report = pki.run("doctor", "--format", "json", *arguments, status=status).json
    names = [check["name"] for check in report["checks"]]
    road = report["checks"][names.index("settings") :]
    checks = {check["name"]: check for check in road}
    assert len(checks) == len(road)
    assert ("inventory" in names) == ("--directory" in arguments)
    return checks


def failures(checks: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, check in checks.items() if check["verdict"] == "failed"]


def verdicts(checks: dict[str, dict[str, Any]], *names: str) -> list[str]:
    return [checks[name]["verdict"] for name in names]


def identity_options(ca: Path, name: str = "client") -> list[str | Path]:
    return ["--certificate", ca / f"{name}-cert.pem", "--private-key", ca / f"{name}-key.pem"]


def the_only_failure(checks: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    assert failures(checks) == [name], checks
    assert checks[name]["hint"], "a failure without a hint"
    return checks[name]


@pytest.mark.smoke
def test_all_is_well(pki: Pki, ca: Path) -> None:
    with running_lab(pki, "--directory", ca, "--tls") as lab:
        options = [*lab.arguments, *identity_options(ca), "--directory", ca, "--session"]
        checks = examine(pki, *options)
        assert list(checks) == [*LOCAL, "environment", *NETWORK]
        assert {check["verdict"] for check in checks.values()} == {"ok"}
        assert "AWS4-X509-ECDSA-SHA256" in checks["signature"]["found"]
        assert "its TLS certificate was verified" in checks["endpoint"]["found"]
        assert "assumed-role" in checks["session"]["found"]
        assert "127.0.0.1" in checks["name"]["found"]
        text = pki.run("doctor", *options).stdout.splitlines()
        for line, name in zip(text[-len(checks) :], checks, strict=True):
            assert line.split()[:2] == ["ok", name]


def test_no_session_is_made_unless_asked_for(pki: Pki, ca: Path, lab: Lab) -> None:
    checks = examine(pki, *lab.arguments, *identity_options(ca))
    assert checks["session"]["verdict"] == "skipped"
    assert "authority" not in checks
    log = pki.run("lab", "log", "--format", "json", "--endpoint", lab.endpoint).stdout
    assert "CreateSession" not in log


@pytest.mark.parametrize(
    ("offset", "verdict"), [(-400, "failed"), (400, "failed"), (-100, "warning"), (100, "warning"), (20, "ok")]
)
def test_the_clock(pki: Pki, ca: Path, offset: int, verdict: str) -> None:
    with running_lab(pki, "--directory", ca, "--clock-offset", str(offset)) as lab:
        status = CHECK_FAILED if verdict == "failed" else DONE
        # A session is had all the same, because its signature is dated by the service's clock; but not by a service for
        # which the certificate is of the future.
        session = ["--session"] if offset > -300 else []
        checks = examine(pki, *lab.arguments, *identity_options(ca), *session, status=status)
        assert checks["clock"]["verdict"] == verdict
        if verdict != "ok":
            assert ("behind" if offset > 0 else "ahead") in checks["clock"]["found"]
        others = {check["verdict"] for name, check in checks.items() if name != "clock"}
        assert others == ({"ok"} if session else {"ok", "skipped"})


def test_a_closed_port(pki: Pki, ca: Path, lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        options = [*lab.arguments, *identity_options(ca), "--endpoint", f"http://127.0.0.1:{taken.getsockname()[1]}"]
        options.remove(lab.endpoint)
        options.remove("--endpoint")
        checks = examine(pki, *options, "--session", status=CHECK_FAILED)
    the_only_failure(checks, "endpoint")
    assert verdicts(checks, "clock", "session") == ["skipped", "skipped"]


def test_a_name_without_an_address(pki: Pki, ca: Path, lab: Lab) -> None:
    options = [*lab.arguments, *identity_options(ca)]
    options[options.index(lab.endpoint)] = "https://nowhere.invalid"
    checks = examine(pki, *options, status=CHECK_FAILED)
    assert failures(checks) == ["name", "endpoint"]
    assert verdicts(checks, *LOCAL[:6], "signature") == ["ok"] * 7


def test_offline(pki: Pki, ca: Path, lab: Lab) -> None:
    options = [*lab.arguments, *identity_options(ca), "--offline"]
    options[options.index(lab.endpoint)] = "https://nowhere.invalid"
    checks = examine(pki, *options)
    assert verdicts(checks, *NETWORK) == ["skipped"] * 4
    assert checks["signature"]["verdict"] == "ok"
    pki.refuse("doctor", *options, "--session", status=USAGE)


def test_a_server_that_cannot_prove_who_it_is(pki: Pki, ca: Path) -> None:
    with running_lab(pki, "--directory", ca, "--tls") as lab:
        options = [*lab.arguments, *identity_options(ca)]
        place = options.index("--ca-bundle")
        del options[place : place + 2]
        the_only_failure(examine(pki, *options, status=CHECK_FAILED), "endpoint")
        run = pki.run("doctor", "--format", "json", *options, "--no-verify-ssl")
        (check,) = [check for check in run.json["checks"] if check["verdict"] != "ok" and check["name"] != "session"]
        assert (check["name"], check["verdict"]) == ("endpoint", "warning")
        assert run.stderr.count("warning") == 1


@pytest.mark.parametrize("which", ["--trust-anchor-arn", "--profile-arn", "--role-arn"])
def test_an_arn_that_is_none(pki: Pki, ca: Path, lab: Lab, which: str) -> None:
    options = [*lab.arguments, *identity_options(ca)]
    options[options.index(which) + 1] = "arn:aws:iam::123:role/x"
    check = examine(pki, *options, status=CHECK_FAILED)
    assert failures(check) == ["settings"]
    assert "not twelve digits" in check["settings"]["found"]
    assert verdicts(check, "certificate", "key", "chain", "rules", "validity", "endpoint", "clock") == ["ok"] * 7
    assert check["signature"]["verdict"] == "skipped"


def test_arns_that_do_not_go_together(pki: Pki, ca: Path, lab: Lab) -> None:
    def with_other(old: str, new: str, which: str) -> list[str | Path]:
        options = [*lab.arguments, *identity_options(ca)]
        place = options.index(which) + 1
        assert old in str(options[place])
        options[place] = str(options[place]).replace(old, new)
        return options

    for options, words in [
        (with_other("us-east-1", "eu-west-1", "--profile-arn"), "the profile is in eu-west-1"),
        (with_other("arn:aws:", "arn:aws-cn:", "--role-arn"), "different partitions"),
        (with_other("123456789012", "210987654321", "--role-arn"), "different accounts"),
    ]:
        checks = examine(pki, *options, status=CHECK_FAILED)
        assert words in the_only_failure(checks, "settings")["found"]


def test_another_region(pki: Pki, ca: Path, lab: Lab) -> None:
    options = [str(option).replace("us-east-1", "eu-west-1") for option in lab.arguments]
    checks = examine(pki, *options, *identity_options(ca), "--session", status=CHECK_FAILED)
    the_only_failure(checks, "session")


def test_what_the_service_says_is_told_with_what_mends_it(pki: Pki, ca: Path, lab: Lab, tmp_path: Path) -> None:
    other = tmp_path / "other"
    pki.run("init-ca", "--directory", other)
    pki.run("issue-client", "--directory", other)
    checks = examine(pki, *lab.arguments, *identity_options(other), "--session", status=CHECK_FAILED)
    check = the_only_failure(checks, "session")
    assert "AccessDeniedException" in check["found"]
    assert "not under this trust anchor" in check["hint"]
    # With the directory named it is known before anybody is asked.
    checks = examine(pki, *lab.arguments, *identity_options(other), "--directory", ca, status=CHECK_FAILED)
    the_only_failure(checks, "authority")


@pytest.mark.smoke
def test_a_foreign_key(pki: Pki, ca: Path, lab: Lab, tmp_path: Path) -> None:
    _, key = issue(None).write(tmp_path, "foreign")
    options = [*lab.arguments, "--certificate", ca / "client-cert.pem", "--private-key", key, "--directory", ca]
    checks = examine(pki, *options, status=CHECK_FAILED)
    assert "is not" in the_only_failure(checks, "key")["found"]
    assert verdicts(checks, "chain", "signature") == ["skipped", "skipped"]
    assert verdicts(checks, "rules", "validity", "authority", "endpoint", "clock") == ["ok"] * 5


def test_a_key_that_others_can_read(pki: Pki, ca: Path, lab: Lab) -> None:
    (ca / "client-key.pem").chmod(0o640)
    checks = examine(pki, *lab.arguments, *identity_options(ca), status=CHECK_FAILED)
    assert "0640" in the_only_failure(checks, "key")["found"]
    assert failures(examine(pki, *lab.arguments, *identity_options(ca), "--insecure-permissions")) == []


def test_files_that_cannot_be_read(pki: Pki, ca: Path, lab: Lab) -> None:
    (ca / "client-key.pem").unlink()
    checks = examine(pki, *lab.arguments, *identity_options(ca), status=CHECK_FAILED)
    assert failures(checks) == ["key"]
    (ca / "client-key.pem").mkdir()
    assert failures(examine(pki, *lab.arguments, *identity_options(ca), status=CHECK_FAILED)) == ["key"]
    (ca / "client-cert.pem").write_text("nothing")
    checks = examine(pki, *lab.arguments, *identity_options(ca), status=CHECK_FAILED)
    assert failures(checks) == ["certificate"]
    assert verdicts(checks, "key", "chain", "rules", "validity", "signature") == ["skipped"] * 5


@pytest.fixture
def root(ca: Path) -> Identity:
    return root_of(ca)


def test_an_expired_certificate(pki: Pki, ca: Path, lab: Lab, root: Identity, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for name, start, end, verdict in [
        ("over", now - timedelta(days=9), now - timedelta(days=2), "failed"),
        ("early", now + timedelta(days=1), now + timedelta(days=90), "failed"),
        ("soon", now - timedelta(days=80), now + timedelta(days=10), "warning"),
        ("short", now - timedelta(hours=1), now + timedelta(hours=23), "ok"),
    ]:
        issue(root, not_before=start, not_after=end).write(tmp_path, name)
        options = [*lab.arguments, *identity_options(tmp_path, name), "--directory", ca, "--session"]
        status = CHECK_FAILED if verdict == "failed" else DONE
        checks = examine(pki, *options, status=status)
        assert checks["validity"]["verdict"] == verdict
        assert failures(checks) == (["validity"] if verdict == "failed" else [])
        assert checks["session"]["verdict"] == ("skipped" if verdict == "failed" else "ok")
    checks = examine(pki, *lab.arguments, *identity_options(tmp_path, "over"), status=CHECK_FAILED)
    assert "expired 2 days ago" in checks["validity"]["found"]


def test_a_certificate_that_breaks_the_rules(pki: Pki, ca: Path, lab: Lab, root: Identity, tmp_path: Path) -> None:
    issue(root, ca=True).write(tmp_path, "authority")
    checks = examine(
        pki, *lab.arguments, *identity_options(tmp_path, "authority"), "--session", status=CHECK_FAILED
    )  # fmt: skip
    found = the_only_failure(checks, "rules")["found"]
    assert "CA:TRUE" in found
    assert "digitalSignature" in found
    assert checks["session"]["verdict"] == "skipped"


def test_a_chain_with_a_gap(pki: Pki, ca: Path, lab: Lab, root: Identity, tmp_path: Path) -> None:
    upper = issue(root, "upper", ca=True)
    leaf = issue(upper, "leaf")
    leaf.write(tmp_path, "leaf", [upper])
    options = [*lab.arguments, *identity_options(tmp_path, "leaf"), "--directory", ca]
    checks = examine(pki, *options, "--session")
    assert "CN=upper" in checks["chain"]["found"]
    leaf.write(tmp_path, "leaf")
    the_only_failure(examine(pki, *options, status=CHECK_FAILED), "authority")
    lowest = issue(issue(upper, "lower", ca=True), "lowest")
    lowest.write(tmp_path, "lowest", [upper])
    checks = examine(pki, *lab.arguments, *identity_options(tmp_path, "lowest"), status=CHECK_FAILED)
    assert "gap" in the_only_failure(checks, "chain")["found"]
    assert verdicts(checks, "key", "signature") == ["ok", "skipped"]


def test_a_profile(pki: Pki, ca: Path, lab: Lab, tmp_path: Path) -> None:
    pki.run("configure", "--profile", "web", *lab.arguments, *identity_options(ca))
    checks = examine(pki, "--profile", "web", "--session")
    assert {check["verdict"] for check in checks.values()} == {"ok"}
    assert "calls pki" in checks["profile"]["found"]
    for home in (pki, pki.with_environment(AWS_PROFILE="web")):
        (tmp_path / ".aws/credentials").write_text("[web]\naws_access_key_id = AKIA\naws_secret_access_key = x\n")
        arguments = ("--profile", "web") if home is pki else ("--session",)
        checks = examine(home, *arguments)
        assert checks["profile"]["verdict"] == "warning"
        assert "aws_access_key_id of web" in checks["profile"]["found"] and "aws_access_key_id" in checks["profile"]["hint"]
    config = tmp_path / ".aws/config"
    config.write_text(config.read_text().replace("credential_process", "#credential_process"))
    (tmp_path / ".aws/credentials").unlink()
    profile = examine(pki, "--profile", "web")["profile"]
    assert "no credential_process" in profile["found"] and profile["hint"] == "pki configure --profile web writes it"
    config.write_text(config.read_text().replace("#credential_process = ", "credential_process = /usr/bin/other "))
    assert "--force" in examine(pki, "--profile", "web")["profile"]["hint"]
    pki.run("configure", "--profile", "web", "--force")
    assert examine(pki, "--profile", "web")["profile"]["verdict"] == "ok"
    checks = examine(pki, "--profile", "nobody", status=CHECK_FAILED)
    assert failures(checks) == ["settings", "profile"]
    assert {check["verdict"] for name, check in checks.items() if name not in ("settings", "profile", "environment")} == {
        "skipped"
    }


def test_variables_that_take_the_place_of_settings(pki: Pki, ca: Path, lab: Lab) -> None:
    options = [*lab.arguments, *identity_options(ca)]
    for name, value in [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_ENDPOINT_URL", "https://nowhere.invalid")]:
        checks = examine(pki.with_environment(**{name: value}), *options)
        assert checks["environment"]["verdict"] == "warning"
        assert name in checks["environment"]["found"]
        assert failures(checks) == []
    checks = examine(pki.with_environment(AWS_PROFILE="x"), *options)
    assert checks["environment"]["found"].endswith("AWS_PROFILE")


def test_a_proxy_is_named_without_its_password(pki: Pki, ca: Path, lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        options = [*lab.arguments, *identity_options(ca)]
        options[options.index(lab.endpoint)] = "https://service.invalid"
        behind = pki.with_environment(HTTPS_PROXY=f"http://user:geheim@127.0.0.1:{port}")
        run = behind.run("doctor", *options, status=CHECK_FAILED)
    assert f"127.0.0.1:{port} looks it up" in run.stdout
    assert "geheim" not in run.stdout + run.stderr
    exempt = behind.with_environment(NO_PROXY=".invalid")
    assert failures(examine(exempt, *options, status=CHECK_FAILED)) == ["name", "endpoint"]


def test_an_encrypted_key_without_its_passphrase(pki: Pki, ca: Path, lab: Lab, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim-1234\n")
    secret.chmod(0o600)
    pki.run("issue-client", "--directory", ca, "--name", "locked", "--key-passphrase-file", secret)
    options = [*lab.arguments, *identity_options(ca, "locked")]
    the_only_failure(examine(pki, *options, status=CHECK_FAILED), "key")
    secret.write_text("wrong\n")
    the_only_failure(examine(pki, *options, "--passphrase-file", secret, status=CHECK_FAILED), "key")
    secret.write_text("geheim-1234\n")
    assert failures(examine(pki, *options, "--passphrase-file", secret)) == []


def test_the_folder_alone_and_both(pki: Pki, ca: Path, lab: Lab) -> None:
    def names(*arguments: str | Path) -> list[str]:
        return [check["name"] for check in pki.run("doctor", "--format", "json", *arguments).json["checks"]]

    folder = names("--directory", ca)
    assert "inventory" in folder
    assert not {"settings", *NETWORK} & set(folder)
    road = names(*lab.arguments, *identity_options(ca))
    assert not {"inventory", "authority"} & set(road)
    both = names(*lab.arguments, *identity_options(ca), "--directory", ca)
    assert [name for name in both if name != "authority"] == folder + [name for name in road if name != "software"]
    pki.refuse("doctor", "--repair", "--profile", "web", status=USAGE)
