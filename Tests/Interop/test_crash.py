# SPDX-License-Identifier: Apache-2.0
"""The power goes: processes killed at any moment, and many at once, leave an authority that is whole."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from moments import KILLED, KillMoments
from peer import load
from program import DONE, REFUSED, Pki
from sampling import scaled
from tools import openssl_verify


def certificate_with_its_key(folder: Path, name: str) -> x509.Certificate:
    certificate = load(folder / f"{name}-cert.pem")
    key = load_pem_private_key((folder / f"{name}-key.pem").read_bytes(), None)
    assert key.public_key() == certificate.public_key(), name
    return certificate


def test_killed_while_issuing(pki: Pki, ca: Path) -> None:
    moments = KillMoments.of(lambda: pki.run("issue-client", "--directory", ca, "--name", "warm"), 2026)
    reported: dict[str, str] = {}
    killed = []
    for number in range(scaled(200, 60)):
        name = f"client-{number}"
        status, output, _ = moments.kill(pki.popen("issue-client", "--directory", ca, "--name", name, "--format", "json"))
        if status == DONE:
            reported[name] = json.loads(output)["serialNumber"]
        else:
            assert status == KILLED
            killed.append(name)
    moments.assert_spread()

    serials = set()
    for name, serial in reported.items():
        certificate = certificate_with_its_key(ca, name)
        assert certificate.serial_number == int(serial, 16)
        serials.add(certificate.serial_number)
    assert len(serials) == len(reported)

    # A certificate that was not reported may be there all the same: then it is whole, and has its key.
    for path in ca.glob("*-cert.pem"):
        certificate_with_its_key(ca, path.name.removesuffix("-cert.pem"))
    for name in killed:
        again = pki.run("issue-client", "--directory", ca, "--name", name, status=None)
        if again.status != DONE:
            assert again.status == REFUSED and f"{name}-" in again.stderr, again.describe()
            pki.run("issue-client", "--directory", ca, "--name", name, "--force")
        certificate_with_its_key(ca, name)
    openssl_verify(ca / "root-cert.pem", ca / f"{killed[-1]}-cert.pem")


def test_killed_while_forcing(pki: Pki, ca: Path) -> None:
    """Whatever the moment, no key is lost: every one that was reported is in its place or in the archive."""
    moments = KillMoments.of(lambda: pki.run("issue-client", "--directory", ca, "--force"), 4711, earliest=0.3)
    keys = {(ca / "client-key.pem").read_bytes()}
    for _ in range(scaled(60, 30)):
        status, *_ = moments.kill(pki.popen("issue-client", "--directory", ca, "--force", "--format", "json"))
        if status == DONE:
            keys.add((ca / "client-key.pem").read_bytes())
    moments.assert_spread()
    there = {path.read_bytes() for path in ca.rglob("client-key*.pem")}
    assert keys <= there
    pki.run("issue-client", "--directory", ca, "--force")
    certificate_with_its_key(ca, "client")


def test_killed_while_making_a_ca(pki: Pki, tmp_path: Path) -> None:
    moments = KillMoments.of(lambda: pki.run("init-ca", "--directory", tmp_path / "warm"), 42)
    for number in range(scaled(40, 20)):
        folder = tmp_path / f"ca-{number}"
        status, *_ = moments.kill(pki.popen("init-ca", "--directory", folder, "--format", "json"))
        if status != DONE:
            again = pki.run("init-ca", "--directory", folder, status=None)
            if again.status != DONE:
                assert again.status == REFUSED and "root-" in again.stderr, again.describe()
                pki.run("init-ca", "--directory", folder, "--force")
        certificate_with_its_key(folder, "root")
        pki.run("issue-client", "--directory", folder)
    moments.assert_spread()


def test_forty_at_once(pki: Pki, ca: Path) -> None:
    processes = [pki.popen("issue-client", "--directory", ca, "--name", f"at-once-{n}", "--format", "json") for n in range(40)]
    serials = set()
    for number, process in enumerate(processes):
        output, errors = process.communicate(timeout=120)
        assert process.returncode == DONE, errors.decode()
        certificate = certificate_with_its_key(ca, f"at-once-{number}")
        assert int(json.loads(output)["serialNumber"], 16) == certificate.serial_number
        serials.add(certificate.serial_number)
    assert len(serials) == 40
    pki.run("issue-client", "--directory", ca, "--name", "after")


def test_one_name_for_all(pki: Pki, ca: Path) -> None:
    """Twelve want the same name: one gets it, and the others are told so."""
    processes = [pki.popen("issue-client", "--directory", ca, "--name", "wanted", "--format", "json") for _ in range(12)]
    outcomes = [(process.communicate(timeout=120), process.returncode) for process in processes]
    winners = [output for (output, _), status in outcomes if status == DONE]
    assert sorted(status for _, status in outcomes) == [DONE] + [REFUSED] * 11
    assert int(json.loads(winners[0])["serialNumber"], 16) == certificate_with_its_key(ca, "wanted").serial_number


def test_one_folder_for_all(pki: Pki, tmp_path: Path) -> None:
    processes = [pki.popen("init-ca", "--directory", tmp_path / "ca", "--format", "json") for _ in range(12)]
    outcomes = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert sorted(status for _, status in outcomes) == [DONE] + [REFUSED] * 11
    certificate_with_its_key(tmp_path / "ca", "root")


def test_force_by_many_keeps_every_key(pki: Pki, ca: Path) -> None:
    processes = [pki.popen("issue-client", "--directory", ca, "--force", "--format", "json") for _ in range(12)]
    outcomes = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert [status for _, status in outcomes] == [DONE] * 12
    certificate_with_its_key(ca, "client")
    serials = {int(json.loads(output)["serialNumber"], 16) for (output, _), _ in outcomes}
    kept = {
        load(path).serial_number for path in ca.rglob("client-cert*.pem")
    }
    assert serials <= kept
    assert len({path.read_bytes() for path in ca.rglob("client-key*.pem")}) == 13
