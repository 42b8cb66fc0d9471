# SPDX-License-Identifier: Apache-2.0
"""A certificate's key and chain beside it, and the variables that stand between options and profiles."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from program import CHECK_FAILED, DENIED, DONE, USAGE, Lab, Pki, running_lab
from serving import serving


@pytest.fixture
def below(pki: Pki, tmp_path: Path) -> Path:
    """A CA's directory with an intermediate and a client below it, `web-3`, and one below the root, `web-1`."""
    here = ("--directory", tmp_path / "ca")
    pki.run("init-ca", *here)
    pki.run("issue-intermediate", "--name", "issuing-1", *here)
    pki.run("issue-client", "--name", "web-3", "--issuer", "issuing-1", *here)
    pki.run("issue-client", "--name", "web-1", *here)
    return tmp_path / "ca"


@pytest.fixture
def lab(pki: Pki, below: Path) -> Iterator[Lab]:
    with running_lab(pki, "--directory", below) as lab:
        yield lab


class TestB1TheChain:
    def test_every_command_finds_key_and_chain(self, pki: Pki, below: Path, lab: Lab) -> None:
        certificate = below / "web-3-cert.pem"
        given = ("--certificate", certificate, *lab.arguments)
        report = pki.run("configure", "--profile", "web-3", *given, "--format", "json").json
        assert report["privateKey"] == str(below / "web-3-key.pem")
        assert report["intermediates"] == str(below / "web-3-chain.pem")
        assert str(below / "web-3-chain.pem") in pki.run("configure", "--profile", "web-3", *given).stdout
        config = (pki.home / ".aws/config").read_text()
        assert "pki_private_key" not in config and "pki_intermediates" not in config
        pki = pki.with_environment(AWS_ENDPOINT_URL=lab.endpoint)
        for identity in (given, ("--profile", "web-3")):
            assert pki.run("creds", *identity).json["AccessKeyId"]
            assert "account" in pki.run("whoami", *identity).stdout
            assert pki.run("exec", *identity, "--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID").stdout.strip()
            checks = pki.run("doctor", *identity, "--offline", "--format", "json").json["checks"]
            found = {check["name"]: check["found"] for check in checks}
            assert str(below / "web-3-key.pem") in found["key"]
            assert str(below / "web-3-chain.pem") in found["chain"]
        pki.run("update", "--once", "--profile", "web-3")
        assert "aws_access_key_id" in (pki.home / ".aws/credentials").read_text()
        with serving(pki, profiles=("web-3",)) as served:
            assert served.container("web-3").status == 200

    def test_a_chain_of_another_certificate_is_not_used(self, pki: Pki, below: Path, lab: Lab) -> None:
        shutil.copy(below / "web-3-chain.pem", below / "web-1-chain.pem")
        given = ("--certificate", below / "web-1-cert.pem", *lab.arguments)
        assert pki.run("creds", *given).json["AccessKeyId"]
        assert pki.run("configure", "--profile", "web-1", *given, "--format", "json").json.get("intermediates") is None

    @pytest.mark.parametrize("content", ["no certificate", ""])
    def test_what_is_no_chain_is_not_used(self, pki: Pki, below: Path, lab: Lab, content: str) -> None:
        (below / "web-1-chain.pem").write_text(content)
        assert pki.run("creds", "--certificate", below / "web-1-cert.pem", *lab.arguments).json["AccessKeyId"]

    def test_a_pipe_is_not_waited_for(self, pki: Pki, below: Path, lab: Lab) -> None:
        os.mkfifo(below / "web-1-chain.pem")
        pki.run("creds", "--certificate", below / "web-1-cert.pem", *lab.arguments, timeout=10)

    def test_options_win(self, pki: Pki, below: Path, lab: Lab) -> None:
        certificate = below / "web-3-cert.pem"
        refused = pki.refuse("creds", "--certificate", certificate, "--private-key", below / "web-1-key.pem", *lab.arguments)
        assert "web-1-key.pem" in refused
        refused = pki.refuse("creds", "--certificate", certificate, "--intermediates", below / "none.pem", *lab.arguments)
        assert "none.pem" in refused

    def test_another_certificate_takes_its_own_key(self, pki: Pki, below: Path, lab: Lab) -> None:
        """A profile whose key was named explicitly is given another certificate."""
        profile = ("configure", "--profile", "web")
        old = ("--certificate", below / "web-1-cert.pem", "--private-key", below / "web-1-key.pem")
        pki.run(*profile, *old, *lab.arguments)
        pki.run(*profile, "--certificate", below / "web-3-cert.pem")
        assert pki.run("creds", "--profile", "web").json["AccessKeyId"]

    def test_the_hint_names_option_and_file(self, pki: Pki, below: Path, lab: Lab) -> None:
        (below / "web-3-chain.pem").unlink()
        given = ("--certificate", below / "web-3-cert.pem", *lab.arguments)
        option = f"--intermediates {below / 'web-3-chain.pem'}"
        assert option in pki.refuse("creds", *given, status=DENIED)
        assert option in pki.run("configure", "--profile", "web-3", *given).stdout
        checks = pki.run("doctor", "--profile", "web-3", "--offline", "--format", "json").json["checks"]
        assert option in next(check["found"] for check in checks if check["name"] == "chain")

    def test_aws_signing_helper_uses_what_it_is_given(self, pki: Pki, below: Path, lab: Lab) -> None:
        given = ("--certificate", below / "web-1-cert.pem", *lab.arguments)
        said = pki.refuse("credential-process", *given, status=1)
        assert "no private key was given" in said and "web-1-key.pem" not in said
        link = pki.home / "aws_signing_helper"
        link.symlink_to(pki.path)
        helper = Pki(pki.home, link, {"PKI_PRIVATE_KEY": str(below / "web-1-key.pem")})
        helper.refuse("credential-process", *given, status=1)
        key = ("--private-key", below / "web-3-key.pem")
        said = helper.refuse("credential-process", "--certificate", below / "web-3-cert.pem", *key, *lab.arguments, status=1)
        assert "Untrusted signing certificate" in said


class TestB2TheMissingKey:
    def test_it_is_looked_for_before_the_mode_is_judged(self, pki: Pki, below: Path, lab: Lab) -> None:
        (below / "web-1-key.pem").rename(below / "elsewhere.pem")
        (below / "web-1-cert.pem").chmod(0o644)
        for command in (("creds",), ("configure", "--profile", "x")):
            said = pki.refuse(*command, "--certificate", below / "web-1-cert.pem", *lab.arguments)
            assert "no private key was given" in said and str(below / "web-1-key.pem") in said
            assert "--private-key" in said and "chmod" not in said

    def test_a_key_in_the_certificates_file_goes_first(self, pki: Pki, below: Path, lab: Lab) -> None:
        both = below / "web-1-cert.pem"
        both.write_text(both.read_text() + (below / "web-1-key.pem").read_text())
        shutil.copy(below / "web-3-key.pem", below / "web-1-key.pem")
        both.chmod(0o600)
        pki.run("creds", "--certificate", both, *lab.arguments)
        both.chmod(0o644)
        assert "0644" in pki.refuse("creds", "--certificate", both, *lab.arguments)

    def test_a_key_beside_that_others_can_read_is_refused(self, pki: Pki, below: Path, lab: Lab) -> None:
        (below / "web-1-key.pem").chmod(0o644)
        assert "web-1-key.pem" in pki.refuse("creds", "--certificate", below / "web-1-cert.pem", *lab.arguments)


class TestA4WhatTheDirectoryKnows:
    def doctor(self, pki: Pki, *arguments: str | Path, status: int = DONE) -> dict[str, str]:
        checks = pki.run("doctor", *arguments, "--offline", "--format", "json", status=status).json["checks"]
        return next(check for check in checks if check["name"] == "revocation")

    def given(self, below: Path, lab: Lab, name: str = "web-1") -> tuple[str | Path, ...]:
        return ("configure", "--profile", "w", "--certificate", below / f"{name}-cert.pem", *lab.arguments)

    @pytest.mark.parametrize(("option", "word"), [("--reason=keyCompromise", "keyCompromise"), ("--hold", "on hold")])
    def test_revoked_or_on_hold(self, pki: Pki, below: Path, lab: Lab, option: str, word: str) -> None:
        pki.run(*self.given(below, lab))
        assert self.doctor(pki, "--profile", "w")["verdict"] == "ok"
        pki.run("revoke", "web-1", option, "--directory", below)
        assert word in pki.run(*self.given(below, lab)).stderr
        check = self.doctor(pki, "--profile", "w", status=CHECK_FAILED)
        assert check["verdict"] == "failed" and word in check["found"]

    def test_an_intermediate(self, pki: Pki, below: Path, lab: Lab) -> None:
        pki.run(*self.given(below, lab, "web-3"))
        pki.run("revoke", "issuing-1", "--directory", below)
        assert "issuing-1" in self.doctor(pki, "--profile", "w", status=CHECK_FAILED)["found"]

    def test_the_crl_beside_it(self, pki: Pki, below: Path, lab: Lab, tmp_path: Path) -> None:
        """A host that has the certificate and the CRL, and no inventory."""
        pki.run("revoke", "web-1", "--directory", below)
        pki.run("crl", "--directory", below)
        host = tmp_path / "host"
        host.mkdir(mode=0o700)
        for name in ("web-1-cert.pem", "web-1-key.pem", "root-crl.pem"):
            shutil.copy2(below / name, host)
        said = pki.run(*self.given(host, lab))
        assert "revoked" in said.stderr and "root-crl.pem" in said.stderr
        assert self.doctor(pki, "--profile", "w", status=CHECK_FAILED)["verdict"] == "failed"
        assert "root-crl.pem" in pki.run(
            "verify", host / "web-1-cert.pem", "--directory", self.with_root(below, host), status=CHECK_FAILED
        ).stdout  # fmt: skip

    def with_root(self, below: Path, host: Path) -> Path:
        shutil.copy2(below / "root-cert.pem", host)
        return host

    def test_replaced(self, pki: Pki, below: Path, lab: Lab, tmp_path: Path) -> None:
        old = tmp_path / "old"
        old.mkdir(mode=0o700)
        for name in ("web-1-cert.pem", "web-1-key.pem"):
            shutil.copy2(below / name, old)
        pki.run("renew", "web-1", "--directory", below)
        shutil.copy2(below / "inventory.sqlite", old)
        assert "replaced" in pki.run(*self.given(old, lab)).stderr
        assert self.doctor(pki, "--profile", "w")["verdict"] == "warning"

    def test_a_damaged_inventory_is_said(self, pki: Pki, below: Path, lab: Lab) -> None:
        (below / "inventory.sqlite").write_bytes(b"x" * 4096)
        assert "not known" in pki.run(*self.given(below, lab)).stderr


class TestVariables:
    def variables(self, below: Path, lab: Lab, name: str = "web-1") -> dict[str, str]:
        return {
            "PKI_CERTIFICATE": str(below / f"{name}-cert.pem"), "PKI_TRUST_ANCHOR_ARN": lab.trust_anchor_arn,
            "PKI_PROFILE_ARN": lab.profile_arn, "PKI_ROLE_ARN": lab.role_arn,
            "AWS_ENDPOINT_URL": lab.endpoint,
        }  # fmt: skip

    def test_they_name_identity_and_session(self, pki: Pki, below: Path, lab: Lab) -> None:
        web = pki.with_environment(**self.variables(below, lab))
        assert web.run("creds").json["AccessKeyId"]
        assert "account" in web.run("whoami").stdout
        web.run("configure", "--profile", "written")
        assert "pki_role_arn" in (pki.home / ".aws/config").read_text()

    def test_option_then_variable_then_profile(self, pki: Pki, below: Path, lab: Lab) -> None:
        pki.run("configure", "--profile", "p", "--certificate", below / "web-3-cert.pem", *lab.arguments)

        def subject(*arguments: str | Path, **variables: str) -> str:
            run = pki.with_environment(**variables).run("doctor", *arguments, "--offline", "--format", "json", status=None)
            return next(check["found"] for check in run.json["checks"] if check["name"] == "certificate")

        web_1 = str(below / "web-1-cert.pem")
        assert "CN=web-3" in subject("--profile", "p")
        assert "CN=web-1" in subject("--profile", "p", PKI_CERTIFICATE=web_1)
        assert "CN=web-3" in subject("--profile", "p", PKI_CERTIFICATE="")
        assert "CN=web-3" in subject("--profile", "p", "--certificate", below / "web-3-cert.pem", PKI_CERTIFICATE=web_1)
        named = pki.with_environment(PKI_PROFILE="p", AWS_PROFILE="none")
        assert named.run("creds").json["AccessKeyId"]
        assert "none" in named.refuse("creds", "--profile", "none", status=USAGE)

    def test_a_wrong_value_is_named(self, pki: Pki, below: Path, lab: Lab) -> None:
        web = pki.with_environment(**self.variables(below, lab), PKI_SESSION_DURATION="an hour")
        assert "PKI_SESSION_DURATION" in web.refuse("creds")

    def test_no_child_gets_them(self, pki: Pki, below: Path, lab: Lab) -> None:
        web = pki.with_environment(**self.variables(below, lab), PKI_DIRECTORY=str(below), PKI_OTHER="kept")
        left = web.run("exec", "--", "sh", "-c", "env | grep ^PKI_ | sort").stdout.split()
        assert left == [f"PKI_DIRECTORY={below}", "PKI_OTHER=kept"]

    def test_the_directory_of_every_command(self, pki: Pki, tmp_path: Path) -> None:
        here = pki.with_environment(PKI_DIRECTORY=str(tmp_path / "mine"))
        here.run("init-ca")
        here.run("issue-client", "--name", "web-1")
        assert (tmp_path / "mine/web-1-cert.pem").exists() and not (tmp_path / "credential-process-data").exists()
        assert json.loads(here.run("list", "--format", "json").stdout)[0]["name"]
        for command in ("crl", "tree", "audit", "print-bundle", "doctor"):
            here.run(command)
        here.run("verify", tmp_path / "mine/web-1-cert.pem")
        here.run("renew", "web-1")
        here.run("revoke", "web-1")
        here.run("init-ca", "--directory", tmp_path / "other")
        assert (tmp_path / "other/root-cert.pem").exists()
        empty = pki.with_environment(PKI_DIRECTORY="")
        assert "credential-process-data" in empty.refuse("list")

    def test_the_help_names_them(self, pki: Pki) -> None:
        text = " ".join(pki.run("creds", "--help").stdout.split())
        for name in (
            "CERTIFICATE", "PRIVATE_KEY", "INTERMEDIATES", "CERTIFICATE_STORE", "CERT_SELECTOR", "PASSPHRASE_FILE",
            "TRUST_ANCHOR_ARN", "PROFILE_ARN", "ROLE_ARN", "SESSION_DURATION", "ROLE_SESSION_NAME", "PROFILE",
        ):  # fmt: skip
            assert f"PKI_{name}" in text, name
        assert "PKI_DIRECTORY" in pki.run("list", "--help").stdout
