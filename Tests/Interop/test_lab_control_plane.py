# SPDX-License-Identifier: Apache-2.0
"""The control plane of `pki lab` before boto3, unmodified: every operation, every limit, every refusal."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from aws import SECRET_ACCESS_KEY, Answer, Wire, client, creds, crl, denied, refused, wire
from peer import Identity, create_session, issue, key_usage, pem, root_of
from program import Lab, Pki, running_lab
from tools import openssl

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


def source(*authorities: Identity, text: str | None = None, kind: str = "CERTIFICATE_BUNDLE") -> dict[str, Any]:
    bundle = text if text is not None else "".join(pem(one.certificate).decode() for one in authorities)
    return {"sourceType": kind, "sourceData": {"x509CertificateData": bundle}}


def some_uuid() -> str:
    return str(uuid.uuid4())


def name() -> str:
    return f"name {uuid.uuid4()}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control-plane")


@pytest.fixture(scope="module")
def shared(built: Path, home: Path) -> Iterator[tuple[Pki, Lab, Identity]]:
    """One lab for the tests that leave nothing behind that disturbs others, and its CA."""
    pki = Pki(home, built)
    pki.run("init-ca", "--directory", home / "ca")
    pki.run("issue-client", "--directory", home / "ca")
    with running_lab(pki, "--directory", home / "ca") as lab:
        yield pki, lab, Identity.load(home / "ca/root-cert.pem", home / "ca/root-key.pem")


@pytest.fixture(scope="module")
def plane(shared: tuple[Pki, Lab, Identity]) -> Iterator[Wire]:
    with wire(shared[1]) as kept:
        yield kept


@pytest.fixture(scope="module")
def careless(shared: tuple[Pki, Lab, Identity]) -> Iterator[Wire]:
    """A client that sends whatever it is given: the service has to find the fault."""
    with wire(shared[1], parameter_validation=False) as kept:
        yield kept


@pytest.fixture(scope="module")
def authority() -> Identity:
    return issue(None, "authority", ca=True)


@pytest.fixture
def anchor(careless: Wire, authority: Identity) -> Iterator[dict[str, Any]]:
    """A trust anchor that is gone after the test."""
    made = careless.client.create_trust_anchor(name=name(), source=source(authority), enabled=True)["trustAnchor"]
    yield made
    delete(careless.client.delete_trust_anchor, trustAnchorId=made["trustAnchorId"])


@pytest.fixture
def profile(careless: Wire, shared: tuple[Pki, Lab, Identity]) -> Iterator[dict[str, Any]]:
    """A profile that is gone after the test."""
    role = shared[1].role_arn
    made = careless.client.create_profile(name=name(), roleArns=[role], enabled=True)["profile"]
    yield made
    delete(careless.client.delete_profile, profileId=made["profileId"])


def delete(operation: Callable[..., Any], **arguments: str) -> None:
    """Deletes what may be gone already."""
    try:
        operation(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"


def assert_modelled(answer: Answer) -> None:
    assert answer.violations == [], answer.body


class TestEveryOperation:
    """All that the service's model knows, each answer held against the model, and one life of every kind of thing."""

    def test_there_are_thirty(self, plane: Wire) -> None:
        assert len(plane.client.meta.service_model.operation_names) == 30

    def test_all_of_them(self, pki: Pki, ca: Path) -> None:
        root = root_of(ca)
        with running_lab(pki, "--directory", ca) as lab, wire(lab) as kept:
            calls = road(kept.client, lab, root, lambda: creds(pki, lab, ca))
            for _ in calls:
                assert_modelled(kept.last)
                assert kept.last.status < 300
            operations = {answer.operation.name for answer in kept.answers}
        assert operations == set(kept.client.meta.service_model.operation_names)

    def test_each_of_them_refuses(self, careless: Wire) -> None:
        """One refusal of each, as its model has it. Every limit is a Swift test's (Tests/LabTests/ControlPlane)."""
        missing = some_uuid()
        calls: dict[str, tuple[dict[str, Any], str]] = {
            **{
                f"{verb}_{noun}": ({parameter: missing}, "ResourceNotFoundException")
                for noun, parameter in (("trust_anchor", "trustAnchorId"), ("profile", "profileId"), ("crl", "crlId"))
                for verb in ("get", "update", "enable", "disable", "delete")
            },
            **{
                f"list_{nouns}": ({"pageSize": "many"}, "ValidationException")
                for nouns in ("trust_anchors", "profiles", "crls", "subjects")
            },
            "create_trust_anchor": ({"name": "n"}, "ValidationException"),
            "create_profile": ({"name": "n"}, "ValidationException"),
            "import_crl": ({"name": "n"}, "ValidationException"),
            "get_subject": ({"subjectId": missing}, "ResourceNotFoundException"),
            "put_attribute_mapping": ({"profileId": missing, "certificateField": "x509Subject"}, "ValidationException"),
            "delete_attribute_mapping": (
                {"profileId": missing, "certificateField": "x509Subject"}, "ResourceNotFoundException",
            ),
            "put_notification_settings": (
                {"trustAnchorId": missing, "notificationSettings": []}, "ResourceNotFoundException",
            ),
            "reset_notification_settings": ({"trustAnchorId": missing}, "ValidationException"),
            "tag_resource": ({"resourceArn": "arn", "tags": []}, "ValidationException"),
            "untag_resource": ({"resourceArn": "arn", "tagKeys": []}, "ValidationException"),
            "list_tags_for_resource": ({"resourceArn": "arn"}, "ValidationException"),
        }  # fmt: skip
        before = len(careless.answers)
        for operation, (arguments, code) in calls.items():
            with refused(code, {"ValidationException": 400, "ResourceNotFoundException": 404}[code]):
                getattr(careless.client, operation)(**arguments)
            assert_modelled(careless.last)
        asked = {answer.operation.name for answer in careless.answers[before:]}
        assert asked == set(careless.client.meta.service_model.operation_names)

    def test_times_and_defaults_of_a_trust_anchor(self, plane: Wire, authority: Identity) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        made = plane.client.create_trust_anchor(name="fresh", source=source(authority))["trustAnchor"]
        assert made["enabled"] is False
        assert made["source"] == source(authority)
        assert before <= made["createdAt"] <= datetime.now(UTC) + timedelta(seconds=1)
        assert made["updatedAt"] == made["createdAt"]
        assert made["trustAnchorArn"].endswith(f":trust-anchor/{made['trustAnchorId']}")
        settings = {one["event"]: one for one in made["notificationSettings"]}
        assert settings.keys() == {"CA_CERTIFICATE_EXPIRY", "END_ENTITY_CERTIFICATE_EXPIRY"}
        for one in settings.values():
            assert (one["enabled"], one["threshold"], one["channel"]) == (True, 45, "ALL")
            assert one["configuredBy"] == "rolesanywhere.amazonaws.com"
        plane.client.delete_trust_anchor(trustAnchorId=made["trustAnchorId"])

    def test_times_and_defaults_of_a_profile(self, plane: Wire, shared: tuple[Pki, Lab, Identity]) -> None:
        lab = shared[1]
        made = plane.client.create_profile(name="fresh", roleArns=[lab.role_arn])["profile"]
        assert made["enabled"] is False and made["durationSeconds"] == 3600
        assert made["roleArns"] == [lab.role_arn] and made["acceptRoleSessionName"] is False
        mappings = {
            one["certificateField"]: {rule["specifier"] for rule in one["mappingRules"]}
            for one in made["attributeMappings"]
        }
        assert mappings == {"x509Subject": {"*"}, "x509Issuer": {"*"}, "x509SAN": {"DNS", "URI", "Name/*"}}
        plane.client.delete_profile(profileId=made["profileId"])

    def test_an_update_changes_what_it_names_and_the_time(self, plane: Wire, profile: dict[str, Any]) -> None:
        changed = plane.client.update_profile(profileId=profile["profileId"], durationSeconds=7200)["profile"]
        assert changed["updatedAt"] >= profile["updatedAt"]
        changed.pop("updatedAt")
        assert changed == {**{k: v for k, v in profile.items() if k != "updatedAt"}, "durationSeconds": 7200}

    def test_an_alias_stands_for_the_identifier(self, plane: Wire, anchor: dict[str, Any]) -> None:
        identifier, alias = anchor["trustAnchorId"], f"team/{anchor['trustAnchorId'][:8]}x"
        first = plane.client.update_trust_anchor(trustAnchorId=identifier, aliasName=alias)["trustAnchor"]
        assert_modelled(plane.last)
        assert first["aliasName"] == alias and first["aliasArn"].endswith(f":alias/trust-anchor/{alias}")
        found = plane.client.get_trust_anchor(trustAnchorId=first["aliasArn"])["trustAnchor"]
        assert found["trustAnchorId"] == identifier
        assert plane.client.get_trust_anchor(trustAnchorId=anchor["trustAnchorArn"])["trustAnchor"] == found
        assert "previousAliasName" not in first
        second = plane.client.update_trust_anchor(trustAnchorId=identifier, aliasName=f"{alias}2")["trustAnchor"]
        assert_modelled(plane.last)
        assert second["previousAliasName"] == alias
        # The service's model: only of an update that changed or removed one.
        for answer in (
            plane.client.get_trust_anchor(trustAnchorId=identifier),
            plane.client.update_trust_anchor(trustAnchorId=identifier, aliasName=f"{alias}2"),
            plane.client.update_trust_anchor(trustAnchorId=identifier, name="another"),
            plane.client.disable_trust_anchor(trustAnchorId=identifier),
        ):
            assert "previousAliasName" not in answer["trustAnchor"]
        third = plane.client.update_trust_anchor(trustAnchorId=identifier, aliasName="")["trustAnchor"]
        assert third["previousAliasName"] == f"{alias}2" and "aliasName" not in third and "aliasArn" not in third
        with refused("ResourceNotFoundException", 404):
            plane.client.get_trust_anchor(trustAnchorId=first["aliasArn"])

    def test_tags_replace_one_another_by_key(self, plane: Wire, profile: dict[str, Any]) -> None:
        arn = profile["profileArn"]
        plane.client.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        plane.client.tag_resource(resourceArn=arn, tags=[{"key": "b", "value": ""}, {"key": "A", "value": "3"}])
        assert tags(plane.client, arn) == {"a": "1", "b": "", "A": "3"}
        plane.client.untag_resource(resourceArn=arn, tagKeys=["a", "absent"])
        assert tags(plane.client, arn) == {"b": "", "A": "3"}

    def test_resetting_notifications_gives_back_the_services(self, plane: Wire, anchor: dict[str, Any]) -> None:
        identifier = anchor["trustAnchorId"]
        setting = {"event": "CA_CERTIFICATE_EXPIRY", "enabled": False, "threshold": 360, "channel": "ALL"}
        put = plane.client.put_notification_settings(trustAnchorId=identifier, notificationSettings=[setting])
        own = {one["event"]: one for one in put["trustAnchor"]["notificationSettings"]}["CA_CERTIFICATE_EXPIRY"]
        assert (own["enabled"], own["threshold"]) == (False, 360)
        assert own["configuredBy"] != "rolesanywhere.amazonaws.com"
        reset = plane.client.reset_notification_settings(
            trustAnchorId=identifier, notificationSettingKeys=[{"event": "CA_CERTIFICATE_EXPIRY"}]
        )
        assert reset["trustAnchor"]["notificationSettings"] == anchor["notificationSettings"]


def tags(client: BaseClient, arn: str) -> dict[str, str]:
    return {one["key"]: one["value"] for one in client.list_tags_for_resource(resourceArn=arn)["tags"]}


def road(client: BaseClient, lab: Lab, root: Identity, take_session: Callable[[], Any]) -> Iterator[Any]:
    """Every operation of the model at least once."""
    authority = issue(None, "of the road", ca=True)
    made = client.create_trust_anchor(
        name="road",
        source=source(authority),
        enabled=False,
        crlDpRevocationEnabled=False,
        tags=[{"key": "Stage", "value": "test"}],
        notificationSettings=[{"event": "CA_CERTIFICATE_EXPIRY", "enabled": True, "threshold": 30}],
        aliasName="road",
    )
    yield made
    anchor = made["trustAnchor"]
    identifier, arn = anchor["trustAnchorId"], anchor["trustAnchorArn"]
    yield client.get_trust_anchor(trustAnchorId=identifier)
    yield client.list_trust_anchors()
    assert client.enable_trust_anchor(trustAnchorId=identifier)["trustAnchor"]["enabled"] is True
    yield
    assert client.disable_trust_anchor(trustAnchorId=identifier)["trustAnchor"]["enabled"] is False
    yield
    other = issue(None, "other", ca=True)
    updated = client.update_trust_anchor(trustAnchorId=identifier, name="renamed", source=source(authority, other))
    assert updated["trustAnchor"]["name"] == "renamed"
    yield
    yield client.put_notification_settings(
        trustAnchorId=identifier,
        notificationSettings=[{"event": "END_ENTITY_CERTIFICATE_EXPIRY", "enabled": True, "threshold": 1}],
    )
    yield client.reset_notification_settings(
        trustAnchorId=identifier,
        notificationSettingKeys=[{"event": "END_ENTITY_CERTIFICATE_EXPIRY", "channel": "ALL"}],
    )
    yield client.tag_resource(resourceArn=arn, tags=[{"key": "More", "value": "one"}])
    assert tags(client, arn) == {"Stage": "test", "More": "one"}
    yield
    yield client.untag_resource(resourceArn=arn, tagKeys=["Stage"])
    assert tags(client, arn) == {"More": "one"}
    yield

    made = client.create_profile(
        name="road",
        roleArns=[lab.role_arn],
        managedPolicyArns=[READ_ONLY],
        sessionPolicy=POLICY,
        durationSeconds=900,
        enabled=True,
        requireInstanceProperties=False,
        acceptRoleSessionName=True,
        tags=[{"key": "Stage", "value": "test"}],
        aliasName="road",
    )
    yield
    profile = made["profile"]["profileId"]
    assert made["profile"]["sessionPolicy"] == POLICY and made["profile"]["enabled"] is True
    yield client.get_profile(profileId=profile)
    yield client.list_profiles()
    yield client.update_profile(profileId=profile, name="renamed", durationSeconds=43200, acceptRoleSessionName=False)
    yield client.disable_profile(profileId=profile)
    yield client.enable_profile(profileId=profile)
    yield client.put_attribute_mapping(
        profileId=profile, certificateField="x509Subject", mappingRules=[{"specifier": "CN"}, {"specifier": "OU"}]
    )
    yield client.delete_attribute_mapping(profileId=profile, certificateField="x509Subject", specifiers=["OU"])
    yield client.delete_attribute_mapping(profileId=profile, certificateField="x509Issuer")
    yield client.delete_profile(profileId=profile)

    take_session()
    subjects = client.list_subjects()["subjects"]
    yield
    assert len(subjects) == 1
    yield client.get_subject(subjectId=subjects[0]["subjectId"])

    made = client.import_crl(
        name="road",
        crlData=crl(root),
        trustAnchorArn=lab.trust_anchor_arn,
        enabled=True,
        tags=[{"key": "Stage", "value": "test"}],
        aliasName="road",
    )
    yield
    number = made["crl"]["crlId"]
    assert made["crl"]["enabled"] is True and made["crl"]["trustAnchorArn"] == lab.trust_anchor_arn
    yield client.get_crl(crlId=number)
    yield client.list_crls()
    newer = crl(root, 5)
    assert client.update_crl(crlId=number, name="renamed", crlData=newer)["crl"]["crlData"] == newer
    yield
    yield client.disable_crl(crlId=number)
    yield client.enable_crl(crlId=number)
    yield client.list_tags_for_resource(resourceArn=made["crl"]["crlArn"])
    yield client.delete_crl(crlId=number)
    yield client.delete_trust_anchor(trustAnchorId=identifier)


class TestPages:
    @pytest.mark.parametrize("size", [1, 3, 7, 8, 100])
    def test_every_size_gives_the_whole(self, plane: Wire, shared: tuple[Pki, Lab, Identity], size: int) -> None:
        made = [
            plane.client.create_profile(name=f"page {number}", roleArns=[])["profile"]["profileId"] for number in range(7)
        ]
        try:
            pages = list(plane.client.get_paginator("list_profiles").paginate(pageSize=size))
            for answer in plane.answers[-len(pages) :]:
                assert_modelled(answer)
        finally:
            for identifier in made:
                plane.client.delete_profile(profileId=identifier)
        if "nextToken" in pages[0]:
            for operation in (plane.client.list_trust_anchors, plane.client.list_crls, plane.client.list_subjects):
                with refused("ValidationException", 400, "nextToken"):
                    operation(nextToken=pages[0]["nextToken"])
        seen = [one["profileId"] for page in pages for one in page["profiles"]]
        assert all(len(page["profiles"]) == size for page in pages[:-1]) and 1 <= len(pages[-1]["profiles"]) <= size
        assert len(seen) == len(set(seen)) == 8, "seven, and the one that the lab began with"
        assert set(made) < set(seen)

    def test_what_comes_and_goes_between_pages(self, pki: Pki, ca: Path) -> None:
        """What stays is seen once, whatever happens around it."""
        with running_lab(pki, "--directory", ca) as lab, client(lab) as asked:

            def make(number: int) -> str:
                return asked.create_profile(name=f"n{number}", roleArns=[])["profile"]["profileId"]

            made = [make(number) for number in range(12)]
            first = asked.list_profiles(pageSize=5)
            seen = [one["profileId"] for one in first["profiles"]]
            gone = {seen[-1], seen[1], made[6], made[9]}
            for identifier in gone:
                asked.delete_profile(profileId=identifier)
            made.append(make(12))
            token = first["nextToken"]
            while token:
                page = asked.list_profiles(pageSize=3, nextToken=token)
                seen += [one["profileId"] for one in page["profiles"]]
                token = page.get("nextToken")
        assert len(seen) == len(set(seen))
        assert set(made) - gone <= set(seen)
        assert not {made[6], made[9]} & set(seen), "what was gone before its page came"

    @pytest.mark.parametrize(
        ("operation", "member"),
        [
            ("list_trust_anchors", "trustAnchors"),
            ("list_profiles", "profiles"),
            ("list_crls", "crls"),
            ("list_subjects", "subjects"),
        ],
    )
    def test_an_empty_page(self, tmp_path: Path, built: Path, operation: str, member: str) -> None:
        pki = Pki(tmp_path, built)
        pki.run("init-ca", "--directory", tmp_path / "ca")
        with running_lab(pki, "--directory", tmp_path / "ca") as lab, wire(lab) as kept:
            if operation == "list_trust_anchors":
                kept.client.delete_trust_anchor(trustAnchorId=lab.trust_anchor_arn)
            if operation == "list_profiles":
                kept.client.delete_profile(profileId=lab.profile_arn)
            answer = getattr(kept.client, operation)(pageSize=5)
            assert answer[member] == [] and "nextToken" not in answer
            assert_modelled(kept.last)

    def test_of_subjects(self, built: Path, tmp_path: Path) -> None:
        pki = Pki(tmp_path, built)
        pki.run("init-ca", "--directory", tmp_path / "ca")
        root = Identity.load(tmp_path / "ca/root-cert.pem", tmp_path / "ca/root-key.pem")
        with running_lab(pki, "--directory", tmp_path / "ca") as lab, client(lab) as asked:
            for number in range(7):
                assert take(lab, issue(root, f"subject {number}")).status == 201
            pages = list(asked.get_paginator("list_subjects").paginate(pageSize=3))
        assert [len(page["subjects"]) for page in pages] == [3, 3, 1]
        assert {one["x509Subject"] for page in pages for one in page["subjects"]} == {
            f"CN=subject {number}" for number in range(7)
        }


def take(lab: Lab, identity: Identity, **options: Any):
    """Asks for a session with the lab's own anchor, profile and role, or others."""
    arns = {
        "trustAnchorArn": options.pop("anchor", lab.trust_anchor_arn),
        "profileArn": options.pop("profile", lab.profile_arn),
        "roleArn": options.pop("role", lab.role_arn),
    }
    request = create_session(identity, lab.address, arns, region=lab.region, **options)
    return request.send(lab.endpoint)


def tag_list(count: int) -> list[dict[str, str]]:
    return [{"key": f"k{number}", "value": "v"} for number in range(count)]


def roles(count: int) -> list[str]:
    return [f"arn:aws:iam::123456789012:role/r{number}" for number in range(count)]


def policies(count: int) -> list[str]:
    return [f"arn:aws:iam::123456789012:policy/p{number}" for number in range(count)]


def policy_of(length: int) -> str:
    """A session policy of so many characters."""
    rest = length - len(POLICY)
    return POLICY.replace('"Action":"*"', '"Action":"*"' + " " * rest)


def padded(identity: Identity, length: int) -> str:
    """A bundle of so many characters: what stands between certificates does not count."""
    text = pem(identity.certificate).decode()
    return "\n" * (length - len(text)) + text


class TestLimitsOfTrustAnchors:
    """What is just allowed; what is not is a Swift test's."""

    def test_what_is_just_allowed(self, careless: Wire, authority: Identity) -> None:
        made = careless.client.create_trust_anchor(
            name="a" * 251 + " -_9",
            source=source(text=padded(authority, 204_800)),
            tags=tag_list(198) + [{"key": "k" * 128, "value": "v" * 256}, {"key": " aZ9_.:/=+@-", "value": ""}],
            aliasName="a" * 254 + "/b",
            notificationSettings=[
                {"event": "CA_CERTIFICATE_EXPIRY", "enabled": True, "threshold": 1},
                {"event": "END_ENTITY_CERTIFICATE_EXPIRY", "enabled": True, "threshold": 360},
            ],
        )["trustAnchor"]
        assert_modelled(careless.last)
        assert len(tags(careless.client, made["trustAnchorArn"])) == 200
        with refused("TooManyTagsException", 400):
            careless.client.tag_resource(resourceArn=made["trustAnchorArn"], tags=[{"key": "one more", "value": ""}])
        assert_modelled(careless.last)
        careless.client.tag_resource(resourceArn=made["trustAnchorArn"], tags=[{"key": "k0", "value": "instead"}])
        careless.client.delete_trust_anchor(trustAnchorId=made["trustAnchorId"])

def sha1_authority(folder: Path) -> str:
    """A CA that is signed with SHA-1: Python's cryptography makes none."""
    openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha1", "-days", "30", "-subj", "/CN=old",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", folder / "sha1-key.pem", "-out", folder / "sha1-cert.pem",
    )  # fmt: skip
    return (folder / "sha1-cert.pem").read_text()


def test_an_authority_that_is_signed_with_sha1(careless: Wire, tmp_path: Path) -> None:
    with refused("ValidationException", 400, "CN=old", "SHA1"):
        careless.client.create_trust_anchor(name="bundle", source=source(text=sha1_authority(tmp_path)))
    assert_modelled(careless.last)


class TestLimitsOfProfiles:
    @pytest.mark.parametrize("seconds", [900, 43_200])
    def test_what_is_just_allowed(self, careless: Wire, seconds: int) -> None:
        made = careless.client.create_profile(
            name="n" * 255,
            roleArns=roles(249) + ["arn:aws:iam::123456789012:role/path/" + "r" * 64],
            managedPolicyArns=policies(49) + ["arn:aws:iam::123456789012:policy/" + "p" * 128],
            sessionPolicy=policy_of(100_000),
            durationSeconds=seconds,
            tags=tag_list(200),
            aliasName="A",
        )["profile"]
        assert_modelled(careless.last)
        assert len(made["roleArns"]) == 250 and len(made["managedPolicyArns"]) == 50
        assert len(made["sessionPolicy"]) == 100_000
        careless.client.delete_profile(profileId=made["profileId"])


class TestRevocationLists:
    def test_says_of_which_authority_it_speaks(self, pki: Pki, ca: Path, tmp_path: Path) -> None:
        """An anchor of two CAs, and a list of one of them: nothing is known of what the other has revoked."""
        pki.run("init-ca", "--directory", tmp_path / "two", "--subject", "CN=two")
        pki.run("issue-client", "--directory", tmp_path / "two")
        other = Identity.load(tmp_path / "two/root-cert.pem", tmp_path / "two/root-key.pem")
        with running_lab(pki, "--directory", ca) as lab, client(lab) as asked:
            root = root_of(ca)
            asked.update_trust_anchor(trustAnchorId=lab.trust_anchor_arn, source=source(root, other))
            asked.import_crl(name="of-two", crlData=crl(other), trustAnchorArn=lab.trust_anchor_arn, enabled=True)
            creds(pki, lab, ca)
            creds(pki, lab, tmp_path / "two")
            text = pki.run("lab", "log", "--endpoint", lab.endpoint, "--format", "json").stdout
        said = [
            next(check["detail"] for check in json.loads(line)["checks"] if check["check"] == "revocation")
            for line in text.splitlines()
            if '"revocation"' in line
        ]
        assert said == ["the CRL of-two is of CN=two, which issued none of these certificates", "not in the CRL of-two"]

    def test_revokes_while_it_is_enabled(self, shared: tuple[Pki, Lab, Identity], plane: Wire) -> None:
        _, lab, root = shared
        leaf = issue(root, "revoked")
        made = plane.client.import_crl(
            name="revokes", crlData=crl(root, leaf.certificate.serial_number), trustAnchorArn=lab.trust_anchor_arn
        )["crl"]
        assert made["enabled"] is False
        assert take(lab, leaf).status == 201
        plane.client.enable_crl(crlId=made["crlId"])
        reply = take(lab, leaf)
        assert (reply.status, reply.code) == (403, "AccessDeniedException")
        assert "revoked" in reply.document["message"]
        assert take(lab, issue(root, "another")).status == 201
        plane.client.update_crl(crlId=made["crlId"], crlData=crl(root))
        assert take(lab, leaf).status == 201
        plane.client.update_crl(crlId=made["crlId"], crlData=crl(root, leaf.certificate.serial_number))
        plane.client.delete_crl(crlId=made["crlId"])
        assert take(lab, leaf).status == 201


class TestSignatures:
    def test_a_wrong_secret(self, shared: tuple[Pki, Lab, Identity]) -> None:
        with wire(shared[1], aws_secret_access_key="x" * 40) as kept:
            with refused("InvalidSignatureException", 403):
                kept.client.list_profiles()
            assert_modelled(kept.last)

    def test_an_unknown_key(self, shared: tuple[Pki, Lab, Identity]) -> None:
        with wire(shared[1], aws_access_key_id="AKIAAAAAAAAAAAAAAAAA") as kept:
            with refused("UnrecognizedClientException", 403):
                kept.client.list_profiles()
            assert_modelled(kept.last)

    def test_a_token_that_nobody_gave_out(self, shared: tuple[Pki, Lab, Identity]) -> None:
        with wire(shared[1], aws_session_token="IQoJb3JpZ2luX2Vjxxxx") as kept:
            with refused("UnrecognizedClientException", 403):
                kept.client.list_profiles()

    @pytest.mark.parametrize("seconds", [-301, 301, -3600, 3600])
    def test_a_clock_that_is_off(self, pki: Pki, ca: Path, seconds: int) -> None:
        """Up to five minutes are granted; the slack of two seconds is the test's."""
        seconds += 2 if seconds > 0 else -2
        with running_lab(pki, "--directory", ca, f"--clock-offset={seconds}") as lab, wire(lab) as kept:
            with refused("InvalidSignatureException", 403):
                kept.client.list_profiles()
            assert_modelled(kept.last)

    @pytest.mark.parametrize("seconds", [-280, 280])
    def test_a_clock_that_is_off_by_less(self, pki: Pki, ca: Path, seconds: int) -> None:
        with running_lab(pki, "--directory", ca, f"--clock-offset={seconds}") as lab, client(lab) as asked:
            assert len(asked.list_profiles()["profiles"]) == 1

    def tampered(self, lab: Lab, tamper: Callable[[Any], None], code: str, operation: str = "create_profile") -> None:
        with wire(lab) as kept:
            kept.client.meta.events.register("before-send.rolesanywhere.*", lambda request, **_: tamper(request))
            arguments = {"name": "tampered", "roleArns": []} if operation == "create_profile" else {"pageSize": 10}
            with refused(code, 403):
                getattr(kept.client, operation)(**arguments)
            assert_modelled(kept.last)
        with client(lab) as asked:
            pages = asked.get_paginator("list_profiles").paginate()
            assert "tampered" not in {one["name"] for page in pages for one in page["profiles"]}

    def test_an_altered_body(self, shared: tuple[Pki, Lab, Identity]) -> None:
        def tamper(request: Any) -> None:
            body = request.body if isinstance(request.body, bytes) else request.body.encode()
            request.body = body.replace(b"tampered", b"Tampered")

        self.tampered(shared[1], tamper, "InvalidSignatureException")

    def test_an_altered_query(self, shared: tuple[Pki, Lab, Identity]) -> None:
        def tamper(request: Any) -> None:
            assert "pageSize=10" in request.url
            request.url = request.url.replace("pageSize=10", "pageSize=11")

        self.tampered(shared[1], tamper, "InvalidSignatureException", "list_profiles")

    def test_an_altered_method(self, shared: tuple[Pki, Lab, Identity]) -> None:
        def tamper(request: Any) -> None:
            request.method = "GET"

        self.tampered(shared[1], tamper, "InvalidSignatureException")

    def test_no_authorization(self, shared: tuple[Pki, Lab, Identity]) -> None:
        def tamper(request: Any) -> None:
            del request.headers["Authorization"]

        self.tampered(shared[1], tamper, "MissingAuthenticationTokenException")

    @pytest.mark.parametrize("value", ["Bearer token", "AWS4-HMAC-SHA256 Credential=a", "AWS4-HMAC-SHA256", ""])
    def test_a_malformed_authorization(self, shared: tuple[Pki, Lab, Identity], value: str) -> None:
        def tamper(request: Any) -> None:
            del request.headers["Authorization"]
            request.headers["Authorization"] = value

        with wire(shared[1]) as kept:
            kept.client.meta.events.register("before-send.rolesanywhere.*", lambda request, **_: tamper(request))
            with pytest.raises(ClientError) as caught:
                kept.client.list_profiles()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert caught.value.response["Error"]["Code"] in (
            "IncompleteSignatureException",
            "MissingAuthenticationTokenException",
        )

    def test_another_region(self, shared: tuple[Pki, Lab, Identity]) -> None:
        with wire(shared[1], region_name="eu-west-1") as kept:
            with refused("InvalidSignatureException", 403):
                kept.client.list_profiles()

    def test_an_arn_in_the_path_is_signed_encoded_twice(self, plane: Wire, shared: tuple[Pki, Lab, Identity]) -> None:
        arn = shared[1].profile_arn
        assert plane.client.get_profile(profileId=arn)["profile"]["profileArn"] == arn

    def test_a_query_with_everything_in_it(self, plane: Wire) -> None:
        with refused("ValidationException", 400, "resourceArn"):
            plane.client.list_tags_for_resource(resourceArn="a b+c/d?e=f&g%20ü~*'()")


class TestSessionsOnTheControlPlane:
    def session(self, pki: Pki, lab: Lab, folder: Path) -> dict[str, str]:
        given = creds(pki, lab, folder).json
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def test_may_not_write(self, shared: tuple[Pki, Lab, Identity], home: Path, authority: Identity) -> None:
        pki, lab, _ = shared
        with wire(lab, **self.session(pki, lab, home / "ca")) as kept:
            writes: list[tuple[str, dict[str, Any]]] = [
                ("create_trust_anchor", {"name": "session", "source": source(authority)}),
                ("create_profile", {"name": "session", "roleArns": []}),
                ("delete_trust_anchor", {"trustAnchorId": lab.trust_anchor_arn}),
                ("disable_profile", {"profileId": lab.profile_arn}),
                ("update_profile", {"profileId": lab.profile_arn, "name": "session"}),
                ("tag_resource", {"resourceArn": lab.profile_arn, "tags": [{"key": "k", "value": "v"}]}),
            ]
            for operation, arguments in writes:
                with refused("AccessDeniedException", 403, "assumed-role", "not authorized"):
                    getattr(kept.client, operation)(**arguments)
                assert_modelled(kept.last)

    def test_keeps_the_limits_that_it_was_made_with(self, pki: Pki, ca: Path) -> None:
        """Session policies are part of a session: neither another policy nor the end of the profile widens it."""
        with running_lab(pki, "--directory", ca) as lab, client(lab) as asked, client(lab, "iam") as roles:
            roles.attach_role_policy(
                RoleName=lab.role_arn.rsplit("/", 1)[1], PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
            )
            narrow = POLICY.replace('"Action":"*"', '"Action":"iam:ListRoles"')
            asked.update_profile(profileId=lab.profile_arn, sessionPolicy=narrow, managedPolicyArns=[])
            given = self.session(pki, lab, ca)
            with wire(lab, **given) as kept:
                for change in (
                    lambda: None,
                    lambda: asked.update_profile(profileId=lab.profile_arn, sessionPolicy=POLICY),
                    lambda: asked.delete_profile(profileId=lab.profile_arn),
                ):
                    change()
                    with refused("AccessDeniedException", 403, "no session policy allows"):
                        kept.client.list_profiles()

    @pytest.mark.parametrize(
        ("statements", "allowed", "refused_ones"),
        [
            (
                [("rolesanywhere:*Profile", "{profile}", {}), ("iam:PassRole", "*", {})],
                [
                    ("get_profile", {"profileId": "{profile}"}),
                    ("get_profile", {"profileId": "{alias}"}),
                    ("disable_profile", {"profileId": "{profile}"}),
                    ("enable_profile", {"profileId": "{profile}"}),
                    ("update_profile", {"profileId": "{profile}", "durationSeconds": 900}),
                ],
                [
                    ("get_profile", {"profileId": "{other}"}),
                    ("delete_profile", {"profileId": "{other}"}),
                    ("get_profile", {"profileId": "00000000-0000-4000-8000-000000000000"}),
                    ("create_profile", {"name": "n", "roleArns": []}),
                    ("list_profiles", {}),
                ],
            ),
            (
                [("rolesanywhere:Get*", "*", {"StringEquals": {"aws:ResourceTag/team": "blue"}})],
                [("get_profile", {"profileId": "{profile}"})],
                [("get_profile", {"profileId": "{other}"}), ("get_trust_anchor", {"trustAnchorId": "{anchor}"})],
            ),
            (
                [
                    ("rolesanywhere:TagResource", "{profile}", {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}),
                    ("rolesanywhere:UntagResource", "{profile}", {"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}),
                ],
                [
                    ("tag_resource", {"resourceArn": "{profile}", "tags": [{"key": "a", "value": "1"}]}),
                    ("untag_resource", {"resourceArn": "{profile}", "tagKeys": ["a"]}),
                ],
                [
                    ("tag_resource", {"resourceArn": "{profile}", "tags": [{"key": "c", "value": "1"}]}),
                    ("tag_resource", {"resourceArn": "{other}", "tags": [{"key": "a", "value": "1"}]}),
                    ("untag_resource", {"resourceArn": "{profile}", "tagKeys": ["a", "b"]}),
                ],
            ),
            (
                [("rolesanywhere:CreateProfile", "*", {}), ("iam:PassRole", "{role}", {})],
                [("create_profile", {"name": "n", "roleArns": ["{role}"]}), ("create_profile", {"name": "n", "roleArns": []})],
                [
                    ("create_profile", {"name": "n", "roleArns": ["{role}", "{taken}"]}),
                    ("create_profile", {"name": "n", "roleArns": [], "tags": [{"key": "k", "value": "v"}]}),
                ],
            ),
            (
                [
                    ("rolesanywhere:CreateProfile", "*", {"StringEquals": {"aws:RequestTag/team": "blue"}}),
                    ("rolesanywhere:TagResource", "{account}:profile/*", {}),
                ],
                [("create_profile", {"name": "n", "roleArns": [], "tags": [{"key": "team", "value": "blue"}]})],
                [
                    ("create_profile", {"name": "n", "roleArns": [], "tags": [{"key": "team", "value": "red"}]}),
                    ("create_profile", {"name": "n", "roleArns": []}),
                ],
            ),
            (
                [
                    ("rolesanywhere:UpdateProfile", "*", {}),
                    ("rolesanywhere:EnableProfile", "*", {}),
                    ("iam:PassRole", "*", {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
                ],
                [("update_profile", {"profileId": "{profile}", "name": "another"})],
                [
                    ("update_profile", {"profileId": "{profile}", "roleArns": ["{role}"]}),
                    ("enable_profile", {"profileId": "{profile}"}),
                ],
            ),
            (
                [
                    (
                        "rolesanywhere:List*",
                        "*",
                        {
                            "IpAddress": {"aws:SourceIp": "127.0.0.0/8"},
                            "Bool": {"aws:SecureTransport": "true"},
                            "StringEquals": {"aws:RequestedRegion": "{region}"},
                            "DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"},
                        },
                    )
                ],
                [("list_profiles", {}), ("list_tags_for_resource", {"resourceArn": "{profile}"})],
                [],
            ),
            ([("rolesanywhere:List*", "*", {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}})], [], [("list_profiles", {})]),
            ([("rolesanywhere:List*", "*", {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}})], [], [("list_crls", {})]),
            (
                [("rolesanywhere:PutNotificationSettings", "{anchor}", {}), ("rolesanywhere:GetTrustAnchor", "{anchor}", {})],
                [
                    ("get_trust_anchor", {"trustAnchorId": "{anchor}"}),
                    ("put_notification_settings", {"trustAnchorId": "{anchor_id}", "notificationSettings": []}),
                ],
                [("reset_notification_settings", {"trustAnchorId": "{anchor_id}", "notificationSettingKeys": []})],
            ),
        ],
    )
    def test_policies_are_asked_for_resources_and_keys(
        self, pki: Pki, lab: Lab, statements: list[Any], allowed: list[Any], refused_ones: list[Any]
    ) -> None:
        """Service Authorization Reference, "Actions, resources, and condition keys for … Roles Anywhere"."""
        account = lab.profile_arn.split(":")[4]
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}],
        }
        with client(lab) as asked, client(lab, "iam") as roles, client(lab, "sts") as tokens:
            taken = roles.create_role(RoleName="taken", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
            roles.attach_role_policy(RoleName="taken", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
            asked.tag_resource(resourceArn=lab.profile_arn, tags=[{"key": "team", "value": "blue"}])
            profile = asked.update_profile(profileId=lab.profile_arn, aliasName="mine")["profile"]
            other = asked.create_profile(name="other", roleArns=[])["profile"]["profileArn"]
            words = {
                "{profile}": lab.profile_arn, "{other}": other, "{alias}": profile["aliasArn"], "{role}": lab.role_arn,
                "{anchor}": lab.trust_anchor_arn, "{anchor_id}": lab.trust_anchor_arn.split("/")[1],
                "{taken}": taken, "{region}": lab.region, "{account}": f"arn:aws:rolesanywhere:{lab.region}:{account}",
            }  # fmt: skip

            def filled(value: Any) -> Any:
                text = json.dumps(value)
                for word, meaning in words.items():
                    text = text.replace(word, meaning)
                return json.loads(text)

            policy = {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": keys} if keys else {})}
                    for action, resource, keys in filled(statements)
                ],
            }
            given = tokens.assume_role(RoleArn=taken, RoleSessionName="job", Policy=json.dumps(policy))["Credentials"]
            session = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
            with wire(lab, **session) as kept:
                for operation, arguments in filled(allowed):
                    getattr(kept.client, operation)(**arguments)
                    assert_modelled(kept.last)
                for operation, arguments in filled(refused_ones):
                    with refused("AccessDeniedException", 403, "no session policy allows"):
                        getattr(kept.client, operation)(**arguments)
                    assert_modelled(kept.last)

    def test_an_altered_token(self, shared: tuple[Pki, Lab, Identity], home: Path) -> None:
        pki, lab, _ = shared
        session = self.session(pki, lab, home / "ca")
        token = session["aws_session_token"]
        for place in (5, 40, len(token) // 2, len(token) - 3):
            altered = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            with client(lab, **{**session, "aws_session_token": altered}) as asked:
                with refused("UnrecognizedClientException", 403):
                    asked.list_profiles()

    def test_without_its_token(self, shared: tuple[Pki, Lab, Identity], home: Path) -> None:
        pki, lab, _ = shared
        session = self.session(pki, lab, home / "ca")
        session.pop("aws_session_token")
        with client(lab, **session) as asked, refused("UnrecognizedClientException", 403):
            asked.list_profiles()

    def test_with_the_administrators_secret(self, shared: tuple[Pki, Lab, Identity], home: Path) -> None:
        pki, lab, _ = shared
        session = self.session(pki, lab, home / "ca") | {"aws_secret_access_key": SECRET_ACCESS_KEY}
        with client(lab, **session) as asked, refused("InvalidSignatureException", 403):
            asked.list_profiles()

    def test_after_its_end(self, ca: Path, pki: Pki) -> None:
        """The session is asked for without `pki creds`, which a machine under load may start after its second is over."""
        with running_lab(pki, "--directory", ca, "--expires-in", "1") as lab:
            reply = take(lab, Identity.load(ca / "client-cert.pem", ca / "client-key.pem"))
            given = reply.document["credentialSet"][0]["credentials"]
            session = {
                "aws_access_key_id": given["accessKeyId"],
                "aws_secret_access_key": given["secretAccessKey"],
                "aws_session_token": given["sessionToken"],
            }
            with wire(lab, **session) as kept:
                end = time.monotonic() + 60
                code = ""
                while code != "ExpiredTokenException" and time.monotonic() < end:
                    with pytest.raises(ClientError) as caught:
                        kept.client.list_profiles()
                    code = caught.value.response["Error"]["Code"]
                assert code == "ExpiredTokenException"
                assert_modelled(kept.last)


class TestWhatItDoesToSessions:
    """The control plane and CreateSession know of one another, and `pki creds` shows it."""

    @pytest.mark.parametrize("kind", ["trust_anchor", "profile"])
    def test_disabled_and_enabled(self, pki: Pki, ca: Path, lab: Lab, kind: str) -> None:
        arn = {"trust_anchor": lab.trust_anchor_arn, "profile": lab.profile_arn}[kind]
        parameter = {"trust_anchor": "trustAnchorId", "profile": "profileId"}[kind]
        with client(lab) as asked:
            getattr(asked, f"disable_{kind}")(**{parameter: arn})
            stderr = denied(pki, lab, ca)
            assert "ResourceNotFoundException" in stderr and "404" in stderr
            getattr(asked, f"enable_{kind}")(**{parameter: arn})
            assert creds(pki, lab, ca).json["AccessKeyId"].startswith("ASIA")
            getattr(asked, f"delete_{kind}")(**{parameter: arn})
        assert "ResourceNotFoundException" in denied(pki, lab, ca)

    def test_a_new_anchor_and_profile_start_disabled(self, pki: Pki, ca: Path, lab: Lab) -> None:
        root = root_of(ca)
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with client(lab) as asked:
            anchor = asked.create_trust_anchor(name="new", source=source(root))["trustAnchor"]
            profile = asked.create_profile(name="new", roleArns=[lab.role_arn])["profile"]
            arns = {"anchor": anchor["trustAnchorArn"], "profile": profile["profileArn"]}
            assert take(lab, leaf, **arns).status == 404
            asked.enable_trust_anchor(trustAnchorId=anchor["trustAnchorId"])
            assert take(lab, leaf, **arns).status == 404
            asked.enable_profile(profileId=profile["profileId"])
            assert take(lab, leaf, **arns).status == 201

    def test_the_aliases_arns_open_a_session_too(self, ca: Path, lab: Lab) -> None:
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with client(lab) as asked:
            anchor = asked.update_trust_anchor(trustAnchorId=lab.trust_anchor_arn, aliasName="prod/ca")["trustAnchor"]
            profile = asked.update_profile(profileId=lab.profile_arn, aliasName="prod")["profile"]
        assert take(lab, leaf, anchor=anchor["aliasArn"], profile=profile["aliasArn"]).status == 201

    def test_another_bundle(self, pki: Pki, ca: Path, lab: Lab) -> None:
        """An anchor's CA is exchanged: the old one's clients are strangers from then on."""
        other = issue(None, "successor", ca=True)
        old = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        root = root_of(ca)
        with client(lab) as asked:
            assert take(lab, old).status == 201
            assert take(lab, issue(other, "new")).status == 403
            asked.update_trust_anchor(trustAnchorId=lab.trust_anchor_arn, source=source(root, other))
            assert take(lab, old).status == 201 and take(lab, issue(other, "new")).status == 201
            asked.update_trust_anchor(trustAnchorId=lab.trust_anchor_arn, source=source(other))
        assert take(lab, issue(other, "new")).status == 201
        reply = take(lab, old)
        assert reply.status == 403 and "Untrusted signing certificate" in reply.document["message"]

    def test_a_role_outside_the_profile(self, pki: Pki, ca: Path, lab: Lab) -> None:
        with client(lab) as asked:
            asked.update_profile(profileId=lab.profile_arn, roleArns=["arn:aws:iam::123456789012:role/other"])
        assert "Unable to assume role" in denied(pki, lab, ca)

    def test_the_profiles_duration_is_the_most(self, pki: Pki, ca: Path, lab: Lab) -> None:
        with client(lab) as asked:
            asked.update_profile(profileId=lab.profile_arn, durationSeconds=900)
        expiration = datetime.fromisoformat(creds(pki, lab, ca).json["Expiration"])
        assert timedelta(seconds=840) < expiration - datetime.now(UTC) <= timedelta(seconds=901)

    def test_longer_than_the_role_allows(self, pki: Pki, ca: Path, lab: Lab) -> None:
        with client(lab) as asked:
            asked.update_profile(profileId=lab.profile_arn, durationSeconds=43_200)
        assert "Unable to assume role" in denied(pki, lab, ca, "client", "--session-duration", "43200")

    def test_naming_a_session(self, pki: Pki, ca: Path, lab: Lab) -> None:
        naming = ("--role-session-name", "build-17")
        with client(lab) as asked:
            asked.update_profile(profileId=lab.profile_arn, acceptRoleSessionName=False)
            assert "Not authorized to set roleSessionName" in denied(pki, lab, ca, "client", *naming)
            asked.update_profile(profileId=lab.profile_arn, acceptRoleSessionName=True)
        shown = creds(pki, lab, ca, "client", "--format", "json", *naming)
        assert "/build-17" in shown.stdout

    def test_requiring_instance_properties_is_kept_and_unused(self, ca: Path, lab: Lab) -> None:
        """The model: "Unused, saved for future use"."""
        leaf = Identity.load(ca / "client-cert.pem", ca / "client-key.pem")
        with client(lab) as asked:
            made = asked.create_profile(
                name="strict", roleArns=[lab.role_arn], enabled=True, requireInstanceProperties=True
            )["profile"]
        assert made["requireInstanceProperties"] is True
        assert take(lab, leaf, profile=made["profileArn"]).status == 201


def state(lab: Lab) -> dict[str, Any]:
    import http.client
    import json

    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=20)
    try:
        connection.request("GET", "/lab/state")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def rich(root: Identity) -> Identity:
    """A certificate with something in every part that can become a tag."""
    key = issue(None).key
    now = datetime.now(UTC).replace(microsecond=0)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "outer"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "inner"),
            x509.NameAttribute(NameOID.COMMON_NAME, "rich, and more"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "Köln"),
        ]
    )
    directory = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alternative")])
    names = [
        x509.DNSName("first.example.com"),
        x509.DNSName("second.example.com"),
        x509.UniformResourceIdentifier("spiffe://example.com/one"),
        x509.UniformResourceIdentifier("spiffe://example.com/two"),
        x509.DirectoryName(directory),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(root.key, hashes.SHA256())
    )
    return Identity(certificate, key)


class TestAttributeMappings:
    def made(self, lab: Lab, identity: Identity) -> dict[str, str]:
        """The tags of the session that this certificate gets."""
        assert take(lab, identity).status == 201
        return state(lab)["sessions"][-1]["tags"]

    def test_the_defaults(self, ca: Path, lab: Lab) -> None:
        """The first name of each kind; repeated attributes joined; a comma drops the CN."""
        root = root_of(ca)
        issuer = {
            f"x509Issuer/{one.rfc4514_attribute_name}": one.value for one in root.certificate.subject
        }
        assert self.made(lab, rich(root)) == {
            "x509Subject/C": "DE",
            "x509Subject/O": "Example",
            "x509Subject/OU": "outer/inner",
            "x509Subject/L": "Köln",
            "x509SAN/DNS": "first.example.com",
            "x509SAN/URI": "spiffe://example.com/one",
            "x509SAN/Name/CN": "alternative",
            **issuer,
        }

    def test_changed(self, ca: Path, lab: Lab) -> None:
        root = root_of(ca)
        leaf = rich(root)
        with wire(lab) as kept:
            asked, profile = kept.client, lab.profile_arn
            asked.delete_attribute_mapping(profileId=profile, certificateField="x509Subject")
            assert_modelled(kept.last)
            asked.delete_attribute_mapping(profileId=profile, certificateField="x509Issuer")
            tags = self.made(lab, leaf)
            assert tags.keys() == {"x509SAN/DNS", "x509SAN/URI", "x509SAN/Name/CN"}
            asked.delete_attribute_mapping(
                profileId=profile, certificateField="x509SAN", specifiers=["DNS", "Name/*"]
            )
            assert self.made(lab, leaf).keys() == {"x509SAN/URI"}
            asked.put_attribute_mapping(
                profileId=profile, certificateField="x509Subject", mappingRules=[{"specifier": "O"}, {"specifier": "OU"}]
            )
            assert_modelled(kept.last)
            assert self.made(lab, leaf).keys() == {"x509SAN/URI", "x509Subject/O", "x509Subject/OU"}
            asked.put_attribute_mapping(
                profileId=profile, certificateField="x509SAN", mappingRules=[{"specifier": "Name/CN"}]
            )
            shown = asked.get_profile(profileId=profile)["profile"]["attributeMappings"]
        mappings = {one["certificateField"]: [rule["specifier"] for rule in one["mappingRules"]] for one in shown}
        assert mappings == {"x509SAN": ["URI", "Name/CN"], "x509Subject": ["O", "OU"]}
        assert self.made(lab, leaf)["x509SAN/Name/CN"] == "alternative"

    def test_none_at_all(self, ca: Path, lab: Lab) -> None:
        root = root_of(ca)
        with client(lab) as asked:
            for part in ("x509Subject", "x509Issuer", "x509SAN"):
                asked.delete_attribute_mapping(profileId=lab.profile_arn, certificateField=part)
            assert asked.get_profile(profileId=lab.profile_arn)["profile"]["attributeMappings"] == []
        assert self.made(lab, rich(root)) == {}


class TestSubjects:
    def test_records_who_was_there(self, ca: Path, lab: Lab) -> None:
        root = root_of(ca)
        first, second = issue(root, "seen"), issue(root, "seen")
        properties = {"host": "h-1", "zone": "z"}
        replies = [
            take(lab, first, body={"instanceProperties": properties}),
            take(lab, second),
            take(lab, first, body={"instanceProperties": {"host": "h-2"}}),
        ]
        assert {reply.status for reply in replies} == {201}
        [arn] = {reply.document["subjectArn"] for reply in replies}
        with wire(lab) as kept:
            [summary] = kept.client.list_subjects()["subjects"]
            assert_modelled(kept.last)
            subject = kept.client.get_subject(subjectId=summary["subjectId"])["subject"]
            assert_modelled(kept.last)
            kept.client.tag_resource(resourceArn=arn, tags=[{"key": "k", "value": "v"}])
            assert_modelled(kept.last)
            assert tags(kept.client, arn) == {"k": "v"}
        assert summary["subjectArn"] == subject["subjectArn"] == arn
        assert subject["x509Subject"] == "CN=seen" and subject["enabled"] is True
        assert subject["createdAt"] <= subject["lastSeenAt"]
        assert len(subject["credentials"]) == 2
        for credential in subject["credentials"]:
            kept_certificate = x509.load_pem_x509_certificate(credential["x509CertificateData"].encode())
            assert kept_certificate in (first.certificate, second.certificate)
            assert int(credential["serialNumber"], 16) == kept_certificate.serial_number
            assert credential["failed"] is False and credential["enabled"] is True
        assert [one["properties"] for one in subject["instanceProperties"]] == [{"host": "h-2"}, properties]

    def test_records_who_was_refused(self, ca: Path, lab: Lab) -> None:
        root = root_of(ca)
        with client(lab) as asked:
            asked.update_profile(profileId=lab.profile_arn, roleArns=[])
            body = {"instanceProperties": {"host": "h"}}
            assert take(lab, issue(root, "refused"), body=body).status == 403
            assert take(lab, issue(issue(None, "elsewhere", ca=True), "stranger")).status == 403
            [summary] = asked.list_subjects()["subjects"]
            subject = asked.get_subject(subjectId=summary["subjectId"])["subject"]
        assert subject["x509Subject"] == "CN=refused"
        assert [one["failed"] for one in subject["credentials"]] == [True]
        assert [one["failed"] for one in subject["instanceProperties"]] == [True]

    @pytest.mark.parametrize(
        "properties",
        [{f"k{number}": "v" for number in range(51)}, {"k" * 201: "v"}, {"k": "v" * 201}, {"": "v"}, {"k": ""}, {"k": 5}],
        ids=["51", "key-of-201", "value-of-201", "empty-key", "empty-value", "number"],
    )
    def test_limits_of_instance_properties(
        self, shared: tuple[Pki, Lab, Identity], properties: dict[str, Any]
    ) -> None:
        _, lab, root = shared
        reply = take(lab, issue(root, "limits"), body={"instanceProperties": properties})
        assert (reply.status, reply.code) == (400, "ValidationException"), reply
        assert "instanceproperties" in reply.document["message"].lower()
