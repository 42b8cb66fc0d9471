# SPDX-License-Identifier: Apache-2.0
"""A CA over the years, on a clock that the tests set: what its handbook tells to do, and what happens when nobody does it.

The program is the same as everywhere; libfaketime tells it the time. OpenSSL judges every path at that time.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from peer import load
from program import CHECK_FAILED, REFUSED, Pki
from tools import openssl


def clock(pki: Pki, moment: datetime) -> Pki:
    """The same program at another time, which goes on from there. Times of files are left as they are."""
    faketime = shutil.which("faketime", path="/usr/bin")
    if faketime is None:
        pytest.skip("there is no faketime: run script/bootstrap")
    told = pki.with_environment(NO_FAKE_STAT="1", TZ="UTC")
    return told.with_prefix(faketime, "--exclude-monotonic", "-f", f"@{moment:%Y-%m-%d %H:%M:%S}")


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def verdict(folder: Path, name: str, moment: datetime, *, roots: Path | None = None, lists: Path | None = None) -> int:
    """What OpenSSL says of a path at a moment: 0 when it holds."""
    arguments: list[str | Path] = ["-x509_strict", "-attime", str(int(moment.timestamp())), "-purpose", "sslclient"]
    arguments += ["-CAfile", roots or folder / "root-cert.pem"]
    if (chain := folder / f"{name}-chain.pem").exists():
        arguments += ["-untrusted", chain]
    if lists:
        arguments += ["-crl_check", "-CRLfile", lists]
    return openssl("verify", *arguments, folder / f"{name}-cert.pem", status=None).status


def ends_in_generalized_time(certificate: Path) -> bool:
    """Whether the end is written with four digits of the year: OpenSSL shows the kinds of both times."""
    kinds = [kind for line in openssl("asn1parse", "-in", certificate).stdout.splitlines() for kind in line.split() if "TIME" in kind]
    assert len(kinds) == 2, kinds
    return kinds[1].startswith("GENERALIZEDTIME")


def test_twelve_years(pki: Pki, tmp_path: Path) -> None:
    """Two intermediates, four clients, lists and renewals twice a year, and a new root before the old one ends."""
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    start = day("2043-03-01")
    at = clock(pki, start)
    at.run("init-ca", *here, "--subject", "CN=Root 2043", "--days", "3650")
    for name in ("blue", "green"):
        at.run("issue-intermediate", *here, "--name", name, "--days", "1500")
        at.run("issue-client", *here, "--name", f"{name}-long", "--issuer", name)
        at.run("issue-client", *here, "--name", f"{name}-short", "--issuer", name, "--days", "300", "--dns", f"{name}.example.org")
    clients = ("blue-long", "blue-short", "green-long", "green-short")
    forms = set()
    rotated = None
    previous: dict[str, x509.Certificate] = {}
    lives = {"blue": 1500, "green": 1500} | dict.fromkeys(clients, 365) | {"blue-short": 300, "green-short": 300}
    for half in range(1, 25):
        now = start + timedelta(days=182 * half)
        at = clock(pki, now)
        root = load(folder / "root-cert.pem")
        if root.not_valid_after_utc - now < timedelta(days=400) and not rotated:
            at.run("rotate-ca", *here, "--subject", f"CN=Root {now.year}", "--days", "5000")
            at.run("renew", "--all", "--issuer", "root-previous", *here)
            rotated = now
        at.run("renew", "--all", "--if-expires-within", "210d", *here, status=None)
        if rotated and now - rotated > timedelta(days=360):
            at.run("rotate-ca", "--finish", *here, status=None)
        for name in ("blue", "green"):
            at.run("crl", "--issuer", name, *here)
        for name in clients:
            lists = folder / f"{name.split('-')[0]}-crl.pem"
            assert verdict(folder, name, now, lists=lists) == 0, (name, now)
            # It holds until the next time, and a while longer.
            assert verdict(folder, name, now + timedelta(days=200)) == 0, (name, now)
            certificate = load(folder / f"{name}-cert.pem")
            assert certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
            chain = x509.load_pem_x509_certificates((folder / f"{name}-chain.pem").read_bytes())
            ends = [one.not_valid_after_utc for one in (certificate, *chain)]
            assert ends == sorted(ends) or ends[0] == ends[1], "nothing ends after its CA"
            has_long_form = ends_in_generalized_time(folder / f"{name}-cert.pem")
            assert has_long_form == (certificate.not_valid_after_utc.year >= 2050), (name, now)
            forms.add(has_long_form)
        for name, days in lives.items():
            certificate = load(folder / f"{name}-cert.pem")
            if name in previous and previous[name] != certificate:
                # It keeps its key and gets a whole new life, however short its CA had cut the last one.
                assert previous[name].public_key() == certificate.public_key()
                above = load(folder / ("root-cert.pem" if "-" not in name else f"{name.split('-')[0]}-cert.pem"))
                end = min(now + timedelta(days=days), above.not_valid_after_utc)
                assert timedelta(0) <= certificate.not_valid_after_utc - end < timedelta(minutes=1), (name, now)
            previous[name] = certificate
    assert rotated and forms == {False, True}
    assert not (folder / "root-previous-cert.pem").exists() and "Root 205" in load(folder / "root-cert.pem").subject.rfc4514_string()
    assert at.run("doctor", *here).status == 0
    serials = [line["serialNumber"] for line in at.run("list", "--all", "--format", "json", *here).json]
    assert len(serials) == len(set(serials)) > 40


def test_an_intermediate_that_nobody_renewed(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    at = clock(pki, day("2027-01-01"))
    at.run("init-ca", *here)
    at.run("issue-intermediate", *here, "--name", "issuing", "--days", "100")
    at.run("issue-client", *here, "--name", "web", "--issuer", "issuing")
    # A client ends with its CA, however long the template says.
    assert load(folder / "web-cert.pem").not_valid_after_utc == load(folder / "issuing-cert.pem").not_valid_after_utc
    later = day("2027-06-01")
    at = clock(pki, later)
    said = at.refuse("issue-client", *here, "--name", "late", "--issuer", "issuing")
    assert "expired at 2027-04-11" in said and "pki renew issuing" in said and not (folder / "late-cert.pem").exists()
    status = {one["name"]: one["status"] for one in at.run("list", *here, "--format", "json").json}
    assert status == {"root": "valid", "issuing": "expired", "web": "expired"}
    failed = at.run("verify", folder / "web-cert.pem", *here, status=None)
    assert failed.status in (CHECK_FAILED, REFUSED) and "expired" in failed.stdout + failed.stderr
    assert verdict(folder, "web", later) != 0
    # Its hint works, and everything is as before.
    at.run("renew", "issuing", *here)
    at.run("renew", "web", *here)
    at.run("issue-client", *here, "--name", "late", "--issuer", "issuing")
    for name in ("web", "late"):
        assert verdict(folder, name, later) == 0
        at.run("verify", folder / f"{name}-cert.pem", *here)


def test_a_root_that_ended(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    at = clock(pki, day("2027-01-01"))
    at.run("init-ca", *here, "--days", "400")
    at.run("issue-client", *here, "--name", "web")
    warned = clock(pki, day("2027-12-01")).run("doctor", *here)
    assert "pki rotate-ca" in warned.stdout
    at = clock(pki, day("2028-06-01"))
    before = {path.name: path.read_bytes() for path in folder.glob("*.pem")}
    assert "expired at 2028-02-05" in at.refuse("issue-client", *here, "--name", "late")
    assert "expired at" in at.refuse("renew", "web", *here)
    doctor = at.run("doctor", *here, status=None)
    assert doctor.status != 0 and "the CA root expired at 2028-02-05" in doctor.stdout
    assert {path.name: path.read_bytes() for path in folder.glob("*.pem")} == before
    # Revoking needs no CA that is good.
    at.run("revoke", "web", *here)
    at.run("init-ca", "--force", *here)
    at.run("issue-client", *here, "--name", "web", "--force")
    assert verdict(folder, "web", day("2028-06-02")) == 0


def test_nothing_ends_after_its_root(pki: Pki, tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    at = clock(pki, day("2027-01-01"))
    at.run("init-ca", *here, "--days", "365")
    clamped = at.run("issue-intermediate", *here, "--name", "issuing")
    root = load(folder / "root-cert.pem")
    assert load(folder / "issuing-cert.pem").not_valid_after_utc == root.not_valid_after_utc
    assert "warning: " in clamped.stderr
    said = at.refuse("issue-intermediate", *here, "--name", "longer", "--days", "366")
    assert "--days 364" in said or "--days 365" in said
    said = at.refuse("issue-client", *here, "--name", "longer", "--issuer", "issuing", "--not-after", "2029-01-01")
    assert "2029-01-01" in said and not list(folder.glob("longer*"))


def test_the_first_minutes(pki: Pki, tmp_path: Path) -> None:
    """What is issued is good five minutes ago, for clocks that are behind, but never before its CA is."""
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    start = day("2030-01-01")
    clock(pki, start).run("init-ca", *here)
    root = load(folder / "root-cert.pem").not_valid_before_utc
    clock(pki, start + timedelta(minutes=1)).run("issue-client", *here, "--name", "early")
    clock(pki, start + timedelta(hours=1)).run("issue-client", *here, "--name", "late")
    assert load(folder / "early-cert.pem").not_valid_before_utc >= root
    begins = load(folder / "late-cert.pem").not_valid_before_utc
    assert timedelta(0) <= begins - (start + timedelta(minutes=55)) < timedelta(seconds=30)
    said = clock(pki, start - timedelta(days=1)).refuse("issue-client", *here, "--name", "never")
    assert "is not valid before" in said and "clock" in said


def test_lists_end(pki: Pki, tmp_path: Path) -> None:
    """A list that was not made again is told by doctor and by verify, and its successor has the next number."""
    folder = tmp_path / "ca"
    here = ("--directory", folder)
    start = day("2049-12-20")
    at = clock(pki, start)
    at.run("init-ca", *here)
    at.run("issue-client", *here, "--name", "web")
    at.run("issue-client", *here, "--name", "gone", "--days", "20")
    at.run("revoke", "gone", *here)
    at.run("crl", *here)
    crl = folder / "root-crl.pem"
    assert verdict(folder, "web", start, lists=crl) == 0 and verdict(folder, "gone", start, lists=crl) != 0
    later = start + timedelta(days=60)
    assert verdict(folder, "web", later, lists=crl) != 0
    at = clock(pki, later)
    assert "expired at 2050-01-" in at.run("doctor", *here, status=None).stdout
    numbers = []
    for _ in range(2):
        at.run("crl", *here)
        made = x509.load_pem_x509_crl(crl.read_bytes())
        numbers.append(made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        assert verdict(folder, "web", later, lists=crl) == 0
    assert numbers == [2, 3]
    # What was over when the list before was made need not stand in lists any more (RFC 5280 §3.3).
    assert len(made) == 0
    shown = openssl("asn1parse", "-in", crl).stdout
    assert "GENERALIZEDTIME" in shown and "UTCTIME" not in shown
