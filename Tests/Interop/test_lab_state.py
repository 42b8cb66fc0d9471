# SPDX-License-Identifier: Apache-2.0
"""What `pki lab` remembers with `--state`, whatever happens to it; and what it can be told to do wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from aws import SECRET_ACCESS_KEY, client, creds, crl, refused
from peer import Identity, Reply, create_session, issue, pem, root_of
from program import DENIED, DONE, REFUSED, UNAVAILABLE, USAGE, Lab, Pki, clean_environment, lines_until, running_lab
from sampling import scaled
from test_damage import mount, open_folder, tiny_disk, unprivileged  # noqa: F401

AWS = Path(sys.executable).with_name("aws")


def take(lab: Lab, identity: Identity, **options: Any) -> Reply:
    made = create_session(identity, lab.address, lab.arns, region=lab.region, **options)
    return made.send(lab.endpoint)


def session_of(reply: Reply) -> dict[str, str]:
    """The credentials of an answer, as boto3 takes them."""
    assert reply.status == 201, reply
    given = reply.document["credentialSet"][0]["credentials"]
    return {
        "aws_access_key_id": given["accessKeyId"],
        "aws_secret_access_key": given["secretAccessKey"],
        "aws_session_token": given["sessionToken"],
    }


def caller(lab: Lab, session: dict[str, str] | None = None) -> dict[str, Any]:
    with client(lab, "sts", **(session or {})) as asked:
        answer = asked.get_caller_identity()
    answer.pop("ResponseMetadata")
    return answer


def state(lab: Lab) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=20)
    try:
        connection.request("GET", "/lab/state")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def profiles(lab: Lab) -> dict[str, dict[str, Any]]:
    with client(lab) as asked:
        pages = asked.get_paginator("list_profiles").paginate()
        return {one["profileId"]: one for page in pages for one in page["profiles"]}


class TestRemembers:
    def test_everything(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """One of each kind of thing, with all that can be set of it, is the same after a restart."""
        options = ("--directory", ca, "--state", tmp_path / "lab.db")
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        other = issue(None, "other", ca=True)

        with running_lab(pki, *options) as lab:
            first_arns = lab.arns
            with client(lab) as asked, client(lab, "iam") as iam:
                anchor = asked.create_trust_anchor(
                    name="kept",
                    source={
                        "sourceType": "CERTIFICATE_BUNDLE",
                        "sourceData": {"x509CertificateData": pem(other.certificate).decode()},
                    },
                    enabled=False,
                    aliasName="kept",
                    tags=[{"key": "k", "value": "v"}],
                    notificationSettings=[{"event": "CA_CERTIFICATE_EXPIRY", "enabled": False, "threshold": 7}],
                )["trustAnchor"]
                profile = asked.create_profile(
                    name="kept", roleArns=[lab.role_arn], durationSeconds=900, enabled=True, aliasName="kept",
                    managedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"], acceptRoleSessionName=True,
                    sessionPolicy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
                )["profile"]  # fmt: skip
                asked.put_attribute_mapping(
                    profileId=profile["profileId"], certificateField="x509Subject", mappingRules=[{"specifier": "CN"}]
                )
                profile = asked.update_profile(profileId=profile["profileId"], aliasName="again")["profile"]
                assert profile.pop("previousAliasName") == "kept"
                asked.disable_profile(profileId=lab.profile_arn)
                asked.enable_profile(profileId=lab.profile_arn)
                policy = {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "rolesanywhere.amazonaws.com"},
                            "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
                        }
                    ],
                }
                iam.create_role(RoleName="kept", Path="/a/b/", Description="d", AssumeRolePolicyDocument=json.dumps(policy))
                iam.put_role_policy(RoleName="kept", PolicyName="p", PolicyDocument=profile["sessionPolicy"])
                iam.attach_role_policy(RoleName="kept", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
                role = iam.get_role(RoleName="kept")["Role"]
                session = session_of(take(lab, leaf, body={"instanceProperties": {"host": "h"}}))
                [summary] = asked.list_subjects()["subjects"]
                asked.tag_resource(resourceArn=summary["subjectArn"], tags=[{"key": "s", "value": "t"}])
                subject = asked.get_subject(subjectId=summary["subjectId"])["subject"]
            who = caller(lab, session)
            sessions = state(lab)["sessions"]
            assert lab.stop() == DONE
        with running_lab(pki, *options) as lab:
            assert lab.arns == first_arns
            with client(lab) as asked, client(lab, "iam") as iam:
                assert asked.get_trust_anchor(trustAnchorId=anchor["trustAnchorId"])["trustAnchor"] == anchor
                assert asked.get_profile(profileId=profile["profileId"])["profile"] == profile
                kept = asked.list_tags_for_resource(resourceArn=anchor["trustAnchorArn"])["tags"]
                assert kept == [{"key": "k", "value": "v"}]
                assert asked.get_subject(subjectId=subject["subjectId"])["subject"] == subject
                assert asked.list_tags_for_resource(resourceArn=subject["subjectArn"])["tags"] == [{"key": "s", "value": "t"}]
                assert iam.get_role(RoleName="kept")["Role"] == role
                assert iam.list_role_policies(RoleName="kept")["PolicyNames"] == ["p"]
                assert len(iam.list_attached_role_policies(RoleName="kept")["AttachedPolicies"]) == 1
            assert caller(lab, session) == who
            assert state(lab)["sessions"] == sessions
            assert state(lab)["isPersistent"] is True

    def test_revocation_lists(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        options = ("--directory", ca, "--state", tmp_path / "lab.db")
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with running_lab(pki, *options) as lab, client(lab) as asked:
            made = asked.import_crl(
                name="kept", crlData=crl(root_of(ca), leaf.certificate.serial_number),
                trustAnchorArn=lab.trust_anchor_arn, enabled=True,
            )["crl"]  # fmt: skip
            assert take(lab, leaf).status == 403
        with running_lab(pki, *options) as lab, client(lab) as asked:
            assert asked.get_crl(crlId=made["crlId"])["crl"] == made
            assert take(lab, leaf).status == 403

    def test_what_was_changed_of_the_default_stays_changed(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        options = ("--directory", ca, "--state", tmp_path / "lab.db")
        with running_lab(pki, *options) as lab, client(lab) as asked:
            asked.disable_trust_anchor(trustAnchorId=lab.trust_anchor_arn)
            asked.update_profile(profileId=lab.profile_arn, name="renamed", durationSeconds=900)
        with running_lab(pki, *options) as lab, client(lab) as asked:
            assert asked.get_trust_anchor(trustAnchorId=lab.trust_anchor_arn)["trustAnchor"]["enabled"] is False
            profile = asked.get_profile(profileId=lab.profile_arn)["profile"]
            assert (profile["name"], profile["durationSeconds"]) == ("renamed", 900)

    def test_without_it_nothing(self, pki: Pki, ca: Path) -> None:
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with running_lab(pki, "--directory", ca) as lab, client(lab) as asked:
            asked.create_profile(name="lost", roleArns=[])
            session = session_of(take(lab, leaf))
        with running_lab(pki, "--directory", ca) as lab:
            assert len(profiles(lab)) == 1
            with refused("InvalidClientTokenId", 403):
                caller(lab, session)

    @pytest.mark.parametrize("umask", ["000", "022", "077"])
    def test_is_nobody_elses(self, pki: Pki, ca: Path, tmp_path: Path, umask: str) -> None:
        """The key that makes session credentials stands in it."""
        file = tmp_path / "lab.db"
        loose = pki.with_prefix("/bin/sh", "-c", f'umask {umask}; exec "$0" "$@"')
        with running_lab(loose, "--directory", ca, "--state", file) as lab:
            creds(pki, lab, ca)
            found = sorted(file.parent.glob("lab.db*"))
            assert file in found
            for path in found:
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@dataclass
class Acknowledged:
    """What the lab has said yes to, and what it was asked when it died."""

    names: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    sessions: list[dict[str, str]] = field(default_factory=list)


# What a client sees of a server that is killed.
CUT_OFF = (BotoCoreError, OSError, http.client.HTTPException)


def set_up(lab: Lab, kept: Acknowledged, number: int, stop: threading.Event) -> None:
    """Makes, renames and deletes profiles until the lab is gone."""
    with client(lab) as asked:
        for count in range(10_000):
            if stop.is_set():
                return
            try:
                identifier = asked.create_profile(name=f"made {number} {count}", roleArns=[])["profile"]["profileId"]
                kept.names[identifier] = f"made {number} {count}"
                kept.unsure.add(identifier)
                name = f"renamed {number} {count}"
                asked.update_profile(profileId=identifier, name=name)
                kept.names[identifier] = name
                if count % 3 or len(kept.names) > 150:
                    victim = identifier if count % 2 else next(iter(kept.names))
                    kept.unsure.add(victim)
                    asked.delete_profile(profileId=victim)
                    kept.gone.add(victim)
                    kept.names.pop(victim)
                    kept.unsure.discard(victim)
                kept.unsure.discard(identifier)
            except CUT_OFF:
                return


def be_seen(lab: Lab, kept: Acknowledged, root: Identity, number: int, stop: threading.Event) -> None:
    """Takes sessions under new names until the lab is gone."""
    key = issue(None).key
    for count in range(10_000):
        if stop.is_set():
            return
        identity = issue(root, f"client {number} {count}", key=key)
        try:
            reply = take(lab, identity)
        except CUT_OFF:
            return
        kept.sessions.append(session_of(reply))
        kept.subjects.add(f"CN=client {number} {count}")


def test_killed_at_any_moment(pki: Pki, ca: Path, tmp_path: Path) -> None:
    """Each time, what was acknowledged is there, and nothing that was deleted came back."""
    options = ("--directory", ca, "--state", tmp_path / "lab.db")
    root, chance, kept = root_of(ca), random.Random(3), Acknowledged()
    counts = []
    for number in range(scaled(30, 10)):
        with running_lab(pki, *options) as lab:
            if number:
                check(lab, kept)
            before = len(kept.names) + len(kept.gone) + len(kept.sessions)
            stop = threading.Event()
            with ThreadPoolExecutor() as pool:
                writers = [pool.submit(set_up, lab, kept, number, stop), pool.submit(be_seen, lab, kept, root, number, stop)]
                time.sleep(chance.uniform(0.02, 0.5))
                lab.process.kill()
                lab.process.wait()
                stop.set()
                for writer in writers:
                    writer.result()
            counts.append(len(kept.names) + len(kept.gone) + len(kept.sessions) - before)
    assert sum(1 for count in counts if count) > len(counts) / 6, f"it was killed before it had written anything: {counts}"
    with running_lab(pki, *options) as lab:
        check(lab, kept)


def check(lab: Lab, kept: Acknowledged) -> None:
    found = profiles(lab)
    for identifier, name in kept.names.items():
        if identifier not in kept.unsure:
            assert identifier in found, f"{name} is lost"
            assert found[identifier]["name"] == name
    assert not kept.gone & found.keys()
    with client(lab) as asked:
        pages = asked.get_paginator("list_subjects").paginate()
        seen = {one["x509Subject"] for page in pages for one in page["subjects"]}
    # The lab remembers a thousand subjects and two hundred sessions.
    if len(kept.subjects) < 900:
        assert kept.subjects <= seen
    recorded = {one["accessKeyId"] for one in state(lab)["sessions"]}
    assert {one["aws_access_key_id"] for one in kept.sessions[-190:]} <= recorded
    for session in (kept.sessions[:1] + kept.sessions[-1:]) if kept.sessions else []:
        assert ":assumed-role/" in caller(lab, session)["Arn"]
    # What was not certain is settled now: this is how it stays.
    for identifier in kept.unsure:
        if identifier in found:
            kept.names[identifier] = found[identifier]["name"]
        else:
            kept.names.pop(identifier, None)
            kept.gone.add(identifier)
    kept.unsure.clear()


def until_ready(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines that a lab prints until it has printed all, or has ended."""
    for line in lines_until(process, 25):
        yield line
        if line.startswith("export PKI_LAB_ROLE_ARN="):
            return
    process.wait(timeout=60)


class TestFiles:
    @pytest.fixture
    def file(self, pki: Pki, ca: Path, tmp_path: Path) -> Path:
        """A state file with something in it, closed in good order."""
        file = tmp_path / "lab.db"
        with running_lab(pki, "--directory", ca, "--state", file) as lab:
            creds(pki, lab, ca)
            assert lab.stop() == DONE
        return file

    def refuse(self, pki: Pki, ca: Path, file: Path, *words: str, options: tuple[str, ...] = ()) -> str:
        started = time.monotonic()
        stderr = pki.refuse("lab", "--port", "0", "--directory", ca, "--state", file, *options, timeout=30)
        for word in (str(file), *words):
            assert word in stderr, stderr
        assert time.monotonic() - started < 25
        return stderr

    @pytest.mark.parametrize(
        ("options", "words"),
        [(("--region", "eu-west-1"), ("us-east-1", "--region")), (("--account", "210987654321"), ("123456789012", "--account"))],
    )
    def test_of_another_place(self, pki: Pki, ca: Path, file: Path, options: tuple[str, ...], words: tuple[str, ...]) -> None:
        before = file.read_bytes()
        self.refuse(pki, ca, file, *words, options=options)
        assert file.read_bytes() == before

    def test_of_a_newer_pki(self, pki: Pki, ca: Path, file: Path) -> None:
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA user_version = 999")
        self.refuse(pki, ca, file, "newer")

    @pytest.mark.parametrize("damage", ["random", "text", "truncated", "zeroed", "header", "page"])
    def test_damaged(self, pki: Pki, ca: Path, file: Path, damage: str) -> None:
        content = bytearray(file.read_bytes())
        chance = random.Random(7)
        match damage:
            case "random":
                content = bytearray(chance.randbytes(len(content)))
            case "text":
                content = bytearray(b"This is no database.\n" * 300)
            case "truncated":
                content = content[: len(content) // 2 + 100]
            case "zeroed":
                content = bytearray(len(content))
            case "header":
                content[0:16] = b"SQLite format 4\0"
            case "page":
                for start in range(4096, len(content), 4096):
                    content[start : start + 200] = chance.randbytes(200)
        for path in file.parent.glob("lab.db*"):
            path.unlink()
        file.write_bytes(content)
        file.chmod(0o600)
        self.refuse(pki, ca, file)
        assert file.read_bytes() == content, "what is damaged is left as it is: someone may want to mend it"

    @pytest.mark.parametrize("kind", ["trust-anchor", "profile", "role", "subject"])
    @pytest.mark.parametrize("body", [b"", b"{}", b"\xff\x00", b'{"identifier":5}'])
    def test_a_damaged_row(self, pki: Pki, ca: Path, file: Path, kind: str, body: bytes) -> None:
        with contextlib.closing(sqlite3.connect(file)) as database:
            changed = database.execute("UPDATE resource SET body = ? WHERE kind = ?", (body, kind)).rowcount
            database.commit()
        assert changed
        self.refuse(pki, ca, file)

    def test_somebody_elses_database(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """A database of another program is not taken over."""
        file = tmp_path / "other.db"
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE customer (name TEXT)")
            database.execute("INSERT INTO customer VALUES ('one')")
            database.commit()
        before = file.read_bytes()
        self.refuse(pki, ca, file)
        with contextlib.closing(sqlite3.connect(file)) as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        assert tables == {"customer"}
        assert len(file.read_bytes()) == len(before)

    def test_an_empty_file_is_a_new_one(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        file = tmp_path / "lab.db"
        file.touch(mode=0o600)
        with running_lab(pki, "--directory", ca, "--state", file) as lab:
            creds(pki, lab, ca)

    def test_a_folder(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        self.refuse(pki, ca, tmp_path / "folder")

    def test_a_folder_that_is_not_there(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        self.refuse(pki, ca, tmp_path / "absent/lab.db")
        assert not (tmp_path / "absent").exists()

    def test_a_name_with_everything_in_it(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        file = tmp_path / "lab ?mode=memory&x=%20#ü'\".db"
        with running_lab(pki, "--directory", ca, "--state", file) as lab:
            creds(pki, lab, ca)
        assert file.stat().st_size > 0
        assert not list(tmp_path.glob("lab "))

    def test_two_labs_on_one_file(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """Either both work, and what both acknowledged is there afterwards, or the second is told why not."""
        options = ("--directory", ca, "--state", tmp_path / "lab.db")
        with running_lab(pki, *options) as first:
            with pki.start("lab", "--port", "0", *options) as second:
                said = list(until_ready(second))
                if second.poll() is not None:
                    assert second.returncode == REFUSED
                    [complaint] = [path.read_text() for path in pki.home.glob("background-*.log") if "error" in path.read_text()]
                    assert "lab.db" in complaint and "another" in complaint
                    with client(first) as asked:
                        asked.create_profile(name="first", roleArns=[])
                    return
                exported = dict(re.findall(r"^export (\w+)=(.*)$", "\n".join(said), re.MULTILINE))
                other = Lab(second, exported["PKI_LAB_ENDPOINT"], first.trust_anchor_arn, first.profile_arn, first.role_arn, None, exported)
                made = []
                for number in range(5):
                    for lab in (first, other):
                        with client(lab) as asked:
                            made.append(asked.create_profile(name=f"n{number}", roleArns=[])["profile"]["profileId"])
                        creds(pki, lab, ca)
                other.stop()
        with running_lab(pki, *options) as lab:
            assert set(made) <= profiles(lab).keys()

    def test_a_folder_that_cannot_be_written(self, unprivileged: Pki) -> None:  # noqa: F811
        folder = unprivileged.home / "state"
        unprivileged.run("init-ca", "--directory", unprivileged.home / "ca")
        folder.mkdir()
        folder.chmod(0o555)
        stderr = unprivileged.refuse(
            "lab", "--port", "0", "--directory", unprivileged.home / "ca", "--state", folder / "lab.db", timeout=30
        )
        assert str(folder / "lab.db") in stderr
        folder.chmod(0o755)

    def test_a_file_that_cannot_be_written(self, unprivileged: Pki) -> None:  # noqa: F811
        ca, file = unprivileged.home / "ca", unprivileged.home / "lab.db"
        unprivileged.run("init-ca", "--directory", ca)
        with running_lab(unprivileged, "--directory", ca, "--state", file):
            pass
        file.chmod(0o400)
        unprivileged.home.chmod(0o555)
        try:
            stderr = unprivileged.refuse("lab", "--port", "0", "--directory", ca, "--state", file, timeout=30)
        finally:
            unprivileged.home.chmod(0o755)
        assert str(file) in stderr


class TestFullDisk:
    def test_says_so_and_goes_on(self, pki: Pki, ca: Path, tiny_disk: tuple[Path, None]) -> None:  # noqa: F811
        folder = tiny_disk[0]
        mount(folder, "size=600k")
        file = folder / "lab.db"
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*" }]})
        policy = policy[:-1] + " " * 30_000 + "}"
        made: dict[str, str] = {}
        with running_lab(pki, "--directory", ca, "--state", file) as lab:
            with client(lab) as asked:
                with pytest.raises(ClientError) as caught:
                    for number in range(200):
                        profile = asked.create_profile(name=f"n{number}", roleArns=[], sessionPolicy=policy)["profile"]
                        made[profile["profileId"]] = profile["name"]
                error = caught.value.response
                assert error["ResponseMetadata"]["HTTPStatusCode"] == 500, error
                assert str(file) in error["Error"]["Message"]
                assert made, "the first one had room"
                # What was refused is not there, and everything else is still answered.
                assert {identifier: one["name"] for identifier, one in profiles(lab).items() if one["name"] != "lab-profile"} == made
                assert asked.get_profile(profileId=lab.profile_arn)["profile"]["enabled"] is True
            reply = take(lab, leaf)
            assert reply.status in (201, 500)
            if reply.status == 500:
                assert str(file) in reply.document["message"]
            assert str(file) in lab.said
            # Room is made, and it goes on.
            subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
            with client(lab) as asked:
                profile = asked.create_profile(name="with room", roleArns=[])["profile"]
                made[profile["profileId"]] = "with room"
            assert take(lab, leaf).status == 201
            assert lab.stop() == DONE
        with running_lab(pki, "--directory", ca, "--state", file) as lab:
            assert made.items() <= {identifier: one["name"] for identifier, one in profiles(lab).items()}.items()

    def test_no_room_to_begin(self, pki: Pki, ca: Path, tiny_disk: tuple[Path, None]) -> None:  # noqa: F811
        folder = tiny_disk[0]
        mount(folder, "size=4k")
        (folder / "filler").write_bytes(b"x" * 4096)
        stderr = pki.refuse("lab", "--port", "0", "--directory", ca, "--state", folder / "lab.db", timeout=30)
        assert str(folder / "lab.db") in stderr


# MARK: Faults that it is told to have


def traces(pki: Pki, lab: Lab) -> list[dict[str, Any]]:
    told = ("--ca-bundle", lab.ca_bundle) if lab.ca_bundle else ()
    text = pki.run("lab", "log", "--endpoint", lab.endpoint, "--format", "json", *told).stdout
    return [json.loads(line) for line in text.splitlines()]


class TestFaults:
    def test_delay(self, pki: Pki, ca: Path) -> None:
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with running_lab(pki, "--directory", ca, "--delay", "0.7") as lab:
            calls = [lambda: take(lab, leaf), lambda: caller(lab), lambda: profiles(lab)]
            for call in calls:
                started = time.monotonic()
                call()
                assert time.monotonic() - started >= 0.7
            # One who waits does not make the others wait.
            started = time.monotonic()
            with ThreadPoolExecutor(20) as pool:
                assert {reply.status for reply in pool.map(lambda _: take(lab, leaf), range(20))} == {201}
            assert time.monotonic() - started < 10 < 20 * 0.7

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_failing_next_and_trying_again(self, pki: Pki, ca: Path, status: int) -> None:
        with running_lab(pki, "--directory", ca, "--fail-next", "2", "--fail-status", str(status)) as lab:
            assert creds(pki, lab, ca).json["AccessKeyId"].startswith("ASIA")
            seen = traces(pki, lab)
        assert [trace["status"] for trace in seen] == [status, status, 201]
        assert [trace["checks"][-1]["check"] for trace in seen[:2]] == ["fault", "fault"]
        assert all("--fail-next" in trace["checks"][-1]["hint"] for trace in seen[:2])

    def test_failing_next_and_giving_up(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--fail-next", "3") as lab:
            creds(pki, lab, ca, "client", "--attempts", "2", status=UNAVAILABLE)
            assert creds(pki, lab, ca, "client", "--attempts", "2").json["AccessKeyId"].startswith("ASIA")

    @pytest.mark.parametrize(("status", "code"), [(400, "ValidationException"), (403, "AccessDeniedException"), (404, "ResourceNotFoundException")])
    def test_failing_for_good(self, pki: Pki, ca: Path, status: int, code: str) -> None:
        """What is not worth another attempt gets none."""
        with running_lab(pki, "--directory", ca, "--fail-next", "1", "--fail-status", str(status)) as lab:
            assert code in creds(pki, lab, ca, status=DENIED).stderr
            assert len(traces(pki, lab)) == 1

    def test_failing_counts_every_service(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--fail-next", "3") as lab:
            for service, operation in (("rolesanywhere", "list_profiles"), ("sts", "get_caller_identity"), ("iam", "list_roles")):
                with client(lab, service) as asked, pytest.raises(ClientError) as caught:
                    getattr(asked, operation)()
                assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert caller(lab)["Account"] == lab.account

    def test_boto3_tries_again_too(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--fail-next", "2") as lab, client(lab, attempts=4) as asked:
            answer = asked.list_profiles()
        assert answer["ResponseMetadata"]["RetryAttempts"] == 2

    def test_throttling(self, pki: Pki, ca: Path) -> None:
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with running_lab(pki, "--directory", ca, "--throttle", "2") as lab:
            requests = [create_session(leaf, lab.address, lab.arns) for _ in range(30)]
            started = time.monotonic()
            with ThreadPoolExecutor(10) as pool:
                replies = list(pool.map(lambda request: request.send(lab.endpoint), requests))
            seconds = time.monotonic() - started
            statuses = [reply.status for reply in replies]
            assert set(statuses) == {201, 429}
            assert statuses.count(201) <= 2 * (seconds + 2), (statuses, seconds)
            throttled = next(reply for reply in replies if reply.status == 429)
            assert throttled.code == "ThrottlingException"
            # Only CreateSession is.
            for _ in range(10):
                assert caller(lab)["Account"] == lab.account
            with ThreadPoolExecutor(6) as pool:
                done = list(pool.map(lambda _: creds(pki, lab, ca, "client", "--attempts", "10"), range(6)))
            assert {one.status for one in done} == {DONE}
            failed = [trace for trace in traces(pki, lab) if trace["status"] == 429]
        assert failed and all(trace["checks"][-1]["check"] == "rate" for trace in failed)

    @pytest.mark.parametrize("offset", [-7200, 7200, 80_000])
    def test_a_clock_that_is_off_is_corrected_once(self, pki: Pki, tmp_path: Path, offset: int) -> None:
        folder = tmp_path / "old"
        folder.mkdir()
        times = {"not_before": datetime.now(UTC) - timedelta(days=10), "not_after": datetime.now(UTC) + timedelta(days=10)}
        root = issue(None, "old root", ca=True, **times)
        root.write(folder, "root")
        issue(root, "client", **times).write(folder, "client")
        with running_lab(pki, "--trust-anchor", folder / "root-cert.pem", f"--clock-offset={offset}") as lab:
            given = creds(pki, lab, folder).json
            seen = traces(pki, lab)
        assert [trace["status"] for trace in seen] == [403, 201]
        assert seen[0]["checks"][-1]["check"] == "date" and "clock" in seen[0]["checks"][-1]["hint"]
        ahead = datetime.fromisoformat(given["Expiration"]) - datetime.now(UTC)
        assert abs(ahead - timedelta(seconds=3600 + offset)) < timedelta(minutes=2)

    @pytest.mark.parametrize("offset", [86_400, -34_560_000])
    def test_a_clock_that_is_off_is_no_fault_of_the_connection(self, pki: Pki, ca: Path, offset: int) -> None:
        with running_lab(pki, "--directory", ca, "--tls", f"--clock-offset={offset}") as lab:
            said = creds(pki, lab, ca, status=None).stderr
            seen = traces(pki, lab)
        assert seen and seen[0]["checks"][-1]["check"] == "date", said

    def test_expiry(self, pki: Pki, ca: Path) -> None:
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with running_lab(pki, "--directory", ca, "--expires-in", "4") as lab:
            reply = take(lab, leaf)
            session = session_of(reply)
            end = datetime.fromisoformat(reply.document["credentialSet"][0]["credentials"]["expiration"])
            assert end - datetime.now(UTC) <= timedelta(seconds=5)
            assert ":assumed-role/" in caller(lab, session)["Arn"]
            while datetime.now(UTC) < end:
                time.sleep(0.1)
            with refused("ExpiredToken", 403):
                caller(lab, session)
            assert traces(pki, lab)[-1]["checks"][-1]["check"] == "credentials"
            # A new session, and the old one stays ended.
            assert ":assumed-role/" in caller(lab, session_of(take(lab, leaf)))["Arn"]
            with refused("ExpiredToken", 403):
                caller(lab, session)

    @pytest.mark.parametrize(
        "options",
        [
            ("--delay", "-1"),
            ("--delay", "soon"),
            ("--fail-next", "-1"),
            ("--fail-status", "399"),
            ("--fail-status", "600"),
            ("--throttle", "0"),
            ("--expires-in", "0"),
            ("--expires-in", "43201"),
            ("--clock-offset", "late"),
            ("--account", "12345"),
            ("--account", "12345678901x"),
            ("--region", "here"),
            ("--region", "US-EAST-1"),
            ("--port", "65536"),
            ("--port", "-1"),
            ("--tls-ca-file", "ca.pem"),
            ("--admin-access-key", "AKIAOWNOWNOWNOWNOWNO"),
            ("--admin-secret-file", "secret"),
            ("--listen", "nowhere.invalid"),
            ("--listen", ""),
        ],
        ids=" ".join,
    )
    def test_options_that_make_no_sense(self, pki: Pki, ca: Path, options: tuple[str, ...]) -> None:
        done = pki.run("lab", "--directory", ca, "--port", "0", *options, status=None, timeout=30)
        assert done.status in (USAGE, REFUSED) and done.stdout == "" and done.stderr, done.describe()


# MARK: TLS, the administrator, the address, region and account


class TestTLS:
    def test_every_service(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            assert lab.endpoint.startswith("https://")
            assert lab.exports["AWS_CA_BUNDLE"] == lab.ca_bundle == lab.exports["PKI_LAB_CA_BUNDLE"]
            for name in ("ROLESANYWHERE", "IAM", "STS"):
                assert lab.exports[f"AWS_ENDPOINT_URL_{name}"] == lab.endpoint
            given = creds(pki, lab, ca).json
            session = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
            assert ":assumed-role/" in caller(lab, session)["Arn"]
            with client(lab) as asked:
                assert len(asked.list_profiles()["profiles"]) == 1
            with client(lab, "iam") as asked:
                assert len(asked.list_roles()["Roles"]) == 1
            assert caller(lab)["Account"] == lab.account

    def test_the_aws_cli_with_what_was_exported(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            environment = {**clean_environment(tmp_path), **lab.exports, "AWS_EC2_METADATA_DISABLED": "true"}
            for arguments in (("sts", "get-caller-identity"), ("iam", "list-roles"), ("rolesanywhere", "list-trust-anchors")):
                done = subprocess.run(
                    [AWS, *arguments, "--output", "json"], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL,
                    capture_output=True, text=True, timeout=60, check=False,
                )  # fmt: skip
                assert done.returncode == 0, done.stderr
                assert lab.account in done.stdout
            unaware = {name: value for name, value in environment.items() if name != "AWS_CA_BUNDLE"}
            done = subprocess.run(
                [AWS, "sts", "get-caller-identity"], env=unaware, cwd=tmp_path, stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode != 0 and "SSL" in done.stderr

    def test_plain_http_on_the_same_port(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--tls") as lab:
            connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=20)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/lab/state")
                assert connection.getresponse().status >= 400
            connection.close()
            creds(pki, lab, ca)


class TestAdministrator:
    KEY, SECRET = "AKIAOWNOWNOWNOWNOWNO", "own/secret+with=signs"

    def test_an_own_pair(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text(f"{self.SECRET}\n")
        options = ("--admin-access-key", self.KEY, "--admin-secret-file", tmp_path / "secret")
        with running_lab(pki, "--directory", ca, *options) as lab:
            assert lab.exports["AWS_ACCESS_KEY_ID"] == self.KEY
            assert "AWS_SECRET_ACCESS_KEY" not in lab.exports
            assert self.SECRET not in lab.said
            own = {"aws_access_key_id": self.KEY, "aws_secret_access_key": self.SECRET}
            with client(lab, **own) as asked:
                assert asked.create_profile(name="own", roleArns=[])["profile"]["name"] == "own"
            with client(lab, "sts", **own) as asked:
                assert asked.get_caller_identity()["Account"] == lab.account
            with client(lab, **{**own, "aws_secret_access_key": SECRET_ACCESS_KEY}) as asked:
                with refused("InvalidSignatureException", 403):
                    asked.list_profiles()
            documented = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": SECRET_ACCESS_KEY}
            with client(lab, **documented) as asked, refused("UnrecognizedClientException", 403):
                asked.list_profiles()
            # Nothing of it is on the page, in the log, or to be read from the process.
            seen = json.dumps(state(lab)) + Path(f"/proc/{lab.process.pid}/cmdline").read_text()
            assert self.SECRET not in seen

    @pytest.mark.parametrize(("key", "secret"), [("AKIAOWN", SECRET), ("ASIAOWNOWNOWNOWNOWNO", SECRET), ("AKIA OWN OWN OWN OWN", SECRET), (KEY, ""), (KEY, "short"), (KEY, None)])
    def test_a_pair_that_is_none(self, pki: Pki, ca: Path, tmp_path: Path, key: str, secret: str | None) -> None:
        if secret is not None:
            (tmp_path / "secret").write_text(secret)
        done = pki.run(
            "lab", "--port", "0", "--directory", ca, "--admin-access-key", key, "--admin-secret-file", tmp_path / "secret",
            status=None, timeout=30,
        )  # fmt: skip
        assert done.status in (USAGE, REFUSED) and done.stdout == "", done.describe()
        if secret:
            assert secret not in done.stderr


class TestAddress:
    def test_loopback_is_no_reason_to_warn(self, pki: Pki, ca: Path) -> None:
        with running_lab(pki, "--directory", ca, "--listen", "127.0.0.2") as lab:
            assert lab.endpoint.startswith("http://127.0.0.2:")
            creds(pki, lab, ca)
            assert "warning" not in lab.said

    def test_the_network_is(self, pki: Pki, ca: Path) -> None:
        """Every address of this machine, for the moment that the test needs."""
        with running_lab(pki, "--directory", ca, "--listen", "0.0.0.0") as lab:
            said = lab.said
            # It cannot be connected to; what is printed can.
            assert lab.endpoint.startswith("http://127.0.0.1:")
            creds(pki, lab, ca)
            assert traces(pki, lab)[0]["status"] == 201
        assert "warning" in said and "0.0.0.0" in said

    def test_clients_by_ipv4_are_known_by_it(self, pki: Pki, ca: Path) -> None:
        """Whatever the socket that took them: aws:SourceIp is compared with networks of IPv4."""
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with running_lab(pki, "--directory", ca, "--listen", "::") as lab:
            assert lab.endpoint.startswith("http://[::1]:")
            with client(lab, "iam") as asked:
                name = lab.role_arn.rsplit("/", 1)[1]
                policy = asked.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
                for statement in policy["Statement"]:
                    statement.setdefault("Condition", {})["IpAddress"] = {"aws:SourceIp": "127.0.0.0/8"}
                asked.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(policy))
            assert take(lab, leaf).status == 403
            assert take(replace(lab, endpoint=f"http://127.0.0.1:{lab.port}"), leaf).status == 201


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-north-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_region_and_account_are_everywhere(pki: Pki, ca: Path, region: str, partition: str) -> None:
    account = "210987654321"
    leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
    with running_lab(pki, "--directory", ca, "--region", region, "--account", account) as lab:
        assert (lab.region, lab.account) == (region, account)
        with client(lab) as asked:
            asked.create_profile(name="more", roleArns=[lab.role_arn], aliasName="more")
            reply = take(lab, leaf)
            texts = [json.dumps(lab.exports | {"x": reply.body.decode()})]
            texts += [json.dumps(asked.list_profiles(), default=str), json.dumps(asked.list_subjects(), default=str)]
            texts.append(json.dumps(asked.list_trust_anchors(), default=str))
        who = caller(lab, session_of(reply))
        with client(lab, "iam") as asked:
            texts.append(json.dumps(asked.list_roles(), default=str))
        texts += [json.dumps(state(lab)), json.dumps(who)]
    assert who["Account"] == account and who["Arn"].startswith(f"arn:{partition}:sts::{account}:assumed-role/lab-role/")
    found = {arn for text in texts for arn in re.findall(r"arn:[a-z-]+:[a-z]+:[^\"\\\s,]*", text)}
    assert len(found) >= 8
    for arn in found:
        _, its_partition, service, its_region, its_account, _ = arn.split(":", 5)
        assert (its_partition, its_account) == (partition, account), arn
        assert its_region == (region if service == "rolesanywhere" else ""), arn
