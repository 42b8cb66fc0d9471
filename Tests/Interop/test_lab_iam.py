# SPDX-License-Identifier: Apache-2.0
"""IAM and STS of `pki lab` before boto3: botocore parses every answer, and its models say what may stand in one."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import Shape

from program import Lab, Pki, running_lab

ADMINISTRATOR = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal: Any, *actions: str, **condition: Any) -> str:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": actions or ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    }
    if condition:
        statement["Condition"] = condition
    return document(statement)


def assert_shape(element: ElementTree.Element, shape: Shape, place: str) -> None:
    """Every child of an element is a member of the shape, stands once, and none that is required is missing."""
    if shape.type_name == "list":
        for child in element:
            assert child.tag.rpartition("}")[2] == "member", f"{place} holds {child.tag}"
            assert_shape(child, shape.member, f"{place}[]")
        return
    if shape.type_name != "structure":
        assert len(element) == 0, f"{place} holds elements"
        return
    names = [child.tag.rpartition("}")[2] for child in element]
    assert len(names) == len(set(names)), f"{place} has a member twice: {names}"
    assert set(names) <= set(shape.members), f"{place} has {set(names) - set(shape.members)}"
    assert set(shape.required_members) <= set(names), f"{place} lacks {set(shape.required_members) - set(names)}"
    for child, name in zip(element, names, strict=True):
        assert_shape(child, shape.members[name], f"{place}.{name}")


def client(service: str, lab: Lab, keys: tuple[str, ...] = ADMINISTRATOR) -> Any:
    """A client that sends what it is told, once, and looks at each answer's XML."""
    made = boto3.session.Session().client(
        service,
        endpoint_url=lab.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        aws_session_token=keys[2] if len(keys) > 2 else None,
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, proxies={}),
    )

    def check(operation_model: Any, response_dict: Any, **_: Any) -> None:
        root = ElementTree.fromstring(response_dict["body"])
        if response_dict["status_code"] >= 300:
            assert [child.tag.rpartition("}")[2] for child in root] == ["Error", "RequestId"]
            return
        name = operation_model.name
        assert root.tag.rpartition("}")[2] == f"{name}Response"
        assert root.tag[1:].startswith(operation_model.metadata["xmlNamespace"])
        shape = operation_model.output_shape
        children = {child.tag.rpartition("}")[2]: child for child in root}
        wrapped = {f"{name}Result"} if shape is not None else set()
        assert set(children) == wrapped | {"ResponseMetadata"}
        if shape is not None:
            assert_shape(children[f"{name}Result"], shape, name)

    made.meta.events.register("before-parse", check)
    return made


@dataclass(frozen=True)
class Place:
    lab: Lab
    pki: Pki
    ca: Path
    iam: Any
    sts: Any

    @property
    def account(self) -> str:
        return self.lab.role_arn.split(":")[4]

    def session(self) -> tuple[str, str, str]:
        """Credentials of the lab's role, as `pki creds` gets them for the client certificate."""
        folder = self.ca
        credentials = self.pki.run(
            "creds", "--certificate", folder / "client-cert.pem", "--private-key", folder / "client-key.pem",
            *self.lab.arguments,
        ).json  # fmt: skip
        return (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])

    def role(self, name: str, policy: str | None = None, **more: Any) -> dict[str, Any]:
        policy = policy or trust(self.account)
        return self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy, **more)["Role"]


@pytest.fixture(scope="module")
def place(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("iam")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    pki.run("issue-client", "--directory", home / "ca")
    with running_lab(pki, "--directory", home / "ca") as lab:
        yield Place(lab, pki, home / "ca", client("iam", lab), client("sts", lab))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test gives its role."""
    return "r" + "".join(c for c in request.node.name if c.isalnum())[-40:] + str(time.monotonic_ns() % 10**9)


def refuse(call: Callable[..., Any], code: str, status: int, words: str = "", **arguments: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    response = refusal.value.response
    message = response["Error"]["Message"]
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), message
    assert words in message
    return message


def assumed(answer: dict[str, Any]) -> tuple[str, str, str]:
    credentials = answer["Credentials"]
    return (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


# Roles


def test_a_role_comes_and_goes(place: Place, name: str) -> None:
    tags = [{"Key": "Team", "Value": "a b"}, {"Key": "é", "Value": ""}]
    made = place.role(
        name,
        Path="/batch/jobs/",
        Description="naïve\nlines",
        MaxSessionDuration=7200,
        PermissionsBoundary=READ_ONLY,
        Tags=tags,
    )
    assert made["Arn"] == f"arn:aws:iam::{place.account}:role/batch/jobs/{name}"
    assert made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21
    assert made["Tags"] == tags
    shown = place.iam.get_role(RoleName=name)["Role"]
    assert shown.pop("RoleLastUsed") == {}
    assert shown == made
    assert (shown["Path"], shown["RoleName"], shown["MaxSessionDuration"]) == ("/batch/jobs/", name, 7200)
    assert shown["Description"] == "naïve\nlines"
    assert shown["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
        "PermissionsBoundaryArn": READ_ONLY,
    }
    assert place.iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    place.iam.delete_role(RoleName=name)
    refuse(place.iam.get_role, "NoSuchEntity", 404, f"The role with name {name} cannot be found.", RoleName=name)
    assert place.role(name)["RoleId"] != made["RoleId"], "a new role is another one"


def test_policies_come_back_byte_for_byte(place: Place, name: str) -> None:
    policy = '{ "Version":"2012-10-17",\r\n\t"Statement" :[{"Sid":"","Effect":"Allow",\n  "Principal":{"AWS":"*"},'
    policy += '"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"a+b %41&ÿ é\\u20ac"}}}]} '
    raw: list[bytes] = []
    iam = client("iam", place.lab)
    iam.meta.events.register("before-parse", lambda response_dict, **_: raw.append(response_dict["body"]))
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    iam.get_role(RoleName=name)
    namespace = {"i": "https://iam.amazonaws.com/doc/2010-05-08/"}
    for body in raw:
        element = ElementTree.fromstring(body).find(".//i:AssumeRolePolicyDocument", namespace)
        assert element is not None and element.text == quote(policy, safe="-._~")
        assert unquote(element.text) == policy
    inline = document(EVERYTHING) + "\n\n"
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=inline)
    iam.get_role_policy(RoleName=name, PolicyName="own")
    element = ElementTree.fromstring(raw[-1]).find(".//i:PolicyDocument", namespace)
    assert element is not None and element.text == quote(inline, safe="-._~")


def test_names_are_unique_in_whatever_case(place: Place, name: str) -> None:
    place.role(name)
    for other in (name, name.upper()):
        refuse(place.role, "EntityAlreadyExists", 409, f"Role with name {other} already exists.", name=other)


def test_roles_are_listed_by_pages_and_paths(place: Place, name: str) -> None:
    names = [f"{name}-{index}" for index in range(5)]
    for one in names:
        place.role(one, Path=f"/{name}/", Tags=[{"Key": "a", "Value": "b"}])
    found: list[str] = []
    marker: dict[str, str] = {}
    for size, truncated in ((2, True), (2, True), (2, False)):
        page = place.iam.list_roles(PathPrefix=f"/{name}", MaxItems=size, **marker)
        assert page["IsTruncated"] is truncated
        assert all("Tags" not in role and "RoleLastUsed" not in role for role in page["Roles"])
        found += [role["RoleName"] for role in page["Roles"]]
        marker = {"Marker": page["Marker"]} if truncated else {}
        assert ("Marker" in page) is truncated
    assert found == names
    assert place.iam.list_roles(PathPrefix="/nowhere/")["Roles"] == []
    everything = {role["RoleName"] for role in place.iam.list_roles()["Roles"]}
    assert {"lab-role", *names} <= everything
    refuse(place.iam.list_roles, "ValidationError", 400, "Marker", Marker="nonsense")
    refuse(place.iam.list_roles, "ValidationError", 400, "'maxItems'", MaxItems=1001)
    refuse(place.iam.list_roles, "ValidationError", 400, "'pathPrefix'", PathPrefix="batch")


def test_a_role_is_updated(place: Place, name: str) -> None:
    place.role(name, Description="old")
    place.iam.update_role(RoleName=name, MaxSessionDuration=43200)
    assert place.iam.get_role(RoleName=name)["Role"]["Description"] == "old"
    place.iam.update_role(RoleName=name, Description="new")
    assert place.iam.update_role_description(RoleName=name, Description="newer")["Role"]["Description"] == "newer"
    role = place.iam.get_role(RoleName=name)["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("newer", 43200)
    policy = trust("111122223333")
    place.iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy)
    assert place.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == json.loads(policy)
    place.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=READ_ONLY)
    boundary = place.iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryArn"] == READ_ONLY
    assert place.iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["PermissionsBoundaryUsageCount"] >= 1
    place.iam.delete_role_permissions_boundary(RoleName=name)
    assert "PermissionsBoundary" not in place.iam.get_role(RoleName=name)["Role"]
    refuse(place.iam.delete_role_permissions_boundary, "NoSuchEntity", 404, RoleName=name)


def test_the_longest_of_everything_is_taken(place: Place) -> None:
    name = "n" * 64
    tags = [{"Key": f"{index:03}" + "k" * 125, "Value": "v" * 256} for index in range(50)]
    path = "/" + "p" * 510 + "/"
    made = place.role(name, Path=path, Description="d" * 1000, MaxSessionDuration=43200, Tags=tags)
    assert (made["Path"], made["RoleName"], len(made["Description"]), made["Tags"]) == (path, name, 1000, tags)
    place.iam.delete_role(RoleName=name)


def test_what_is_missing_is_named(place: Place, name: str) -> None:
    refuse(place.iam.get_role, "ValidationError", 400, "Value null at 'roleName'")
    refuse(place.iam.create_role, "ValidationError", 400, "'assumeRolePolicyDocument'", RoleName=name)


def test_trust_policies_have_2048_characters_without_blanks(place: Place, name: str) -> None:
    frame = len(trust("*", StringEquals={"sts:ExternalId": ""}).replace(" ", ""))
    longest = trust("*", StringEquals={"sts:ExternalId": "x" * (2048 - frame)})
    place.role(name, longest + " " * 500)
    longer = longest.replace("x", "xx", 1)
    update = place.iam.update_assume_role_policy
    refuse(update, "LimitExceeded", 409, "ACLSizePerRole: 2048", RoleName=name, PolicyDocument=longer)
    assert place.iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == json.loads(longest)


# Policies


def test_inline_policies(place: Place, name: str) -> None:
    place.role(name)
    for policy in ("b", "a", "c"):
        text = document({"Sid": policy, **EVERYTHING})
        place.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
    got = place.iam.get_role_policy(RoleName=name, PolicyName="a")
    assert (got["RoleName"], got["PolicyName"], got["PolicyDocument"]["Statement"][0]["Sid"]) == (name, "a", "a")
    page = place.iam.list_role_policies(RoleName=name, MaxItems=2)
    assert (page["PolicyNames"], page["IsTruncated"]) == (["a", "b"], True)
    page = place.iam.list_role_policies(RoleName=name, Marker=page["Marker"])
    assert (page["PolicyNames"], page["IsTruncated"]) == (["c"], False)
    words = "Cannot delete entity, must delete policies first."
    refuse(place.iam.delete_role, "DeleteConflict", 409, words, RoleName=name)
    for policy in ("a", "b", "c"):
        place.iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for call in (place.iam.get_role_policy, place.iam.delete_role_policy):
        refuse(call, "NoSuchEntity", 404, "policy with name a cannot be found", RoleName=name, PolicyName="a")
    place.iam.delete_role(RoleName=name)


def test_inline_policies_keep_their_limits(place: Place, name: str) -> None:
    place.role(name)
    put = place.iam.put_role_policy
    frame = len(document({**EVERYTHING, "Resource": "arn:aws:s3:::"}).replace(" ", ""))
    half = document({**EVERYTHING, "Resource": "arn:aws:s3:::" + "x" * (5120 - frame)})
    put(RoleName=name, PolicyName="one", PolicyDocument=half)
    put(RoleName=name, PolicyName="two", PolicyDocument=half + "\n" * 100)
    put(RoleName=name, PolicyName="two", PolicyDocument=half)
    longer = half.replace("x", "xx", 1)
    words = f"Maximum policy size of 10240 bytes exceeded for role {name}"
    refuse(put, "LimitExceeded", 409, words, RoleName=name, PolicyName="two", PolicyDocument=longer)
    refuse(put, "ValidationError", 400, "'policyName'", RoleName=name, PolicyName="a/b", PolicyDocument=half)
    refuse(put, "ValidationError", 400, "128", RoleName=name, PolicyName="p" * 129, PolicyDocument=half)
    wrong = document({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})
    refuse(put, "MalformedPolicyDocument", 400, "principal", RoleName=name, PolicyName="x", PolicyDocument=wrong)
    refuse(put, "MalformedPolicyDocument", 400, "Json", RoleName=name, PolicyName="x", PolicyDocument="x")


def test_managed_policies(place: Place, name: str) -> None:
    place.role(name)
    arns = [f"arn:aws:iam::aws:policy/service-role/P{index}" for index in range(9)] + [READ_ONLY]
    for arn in (*arns, READ_ONLY):
        place.iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    attached = place.iam.list_attached_role_policies(RoleName=name)
    assert {"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY} in attached["AttachedPolicies"]
    assert len(attached["AttachedPolicies"]) == 10
    some = place.iam.list_attached_role_policies(RoleName=name, PathPrefix="/service-role/")
    assert len(some["AttachedPolicies"]) == 9
    attach, other = place.iam.attach_role_policy, "arn:aws:iam::aws:policy/Eleventh"
    refuse(attach, "LimitExceeded", 409, "Cannot exceed quota for PoliciesPerRole: 10", RoleName=name, PolicyArn=other)
    foreign = f"arn:aws:iam::{place.account}:policy/mine"
    refuse(attach, "NoSuchEntity", 404, "not attachable", RoleName=name, PolicyArn=foreign)
    refuse(attach, "InvalidInput", 400, "is not valid", RoleName=name, PolicyArn="x" * 20)
    refuse(attach, "ValidationError", 400, "'policyArn'", RoleName=name, PolicyArn="x" * 19)
    words = "Cannot delete entity, must detach all policies first."
    refuse(place.iam.delete_role, "DeleteConflict", 409, words, RoleName=name)
    policy = place.iam.get_policy(PolicyArn=READ_ONLY)["Policy"]
    assert (policy["Arn"], policy["Path"], policy["DefaultVersionId"]) == (READ_ONLY, "/", "v1")
    assert policy["AttachmentCount"] >= 1
    version = place.iam.get_policy_version(PolicyArn=READ_ONLY, VersionId="v1")["PolicyVersion"]
    assert version["Document"]["Statement"]["Effect"] == "Allow"
    refuse(place.iam.get_policy_version, "NoSuchEntity", 404, PolicyArn=READ_ONLY, VersionId="v2")
    for arn in arns:
        place.iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    refuse(place.iam.detach_role_policy, "NoSuchEntity", 404, "was not found", RoleName=name, PolicyArn=READ_ONLY)
    place.iam.delete_role(RoleName=name)


def test_tags(place: Place, name: str) -> None:
    place.role(name, Tags=[{"Key": "Team", "Value": "a"}])
    place.iam.tag_role(RoleName=name, Tags=[{"Key": "team", "Value": "b"}, {"Key": "x", "Value": "y"}])
    page = place.iam.list_role_tags(RoleName=name, MaxItems=1)
    assert (page["Tags"], page["IsTruncated"]) == ([{"Key": "team", "Value": "b"}], True)
    rest = place.iam.list_role_tags(RoleName=name, Marker=page["Marker"])
    assert rest["Tags"] == [{"Key": "x", "Value": "y"}]
    long = [{"Key": letter + "日" * 127, "Value": ""} for letter in "ab"]
    place.iam.tag_role(RoleName=name, Tags=long)
    page = place.iam.list_role_tags(RoleName=name, MaxItems=1)
    page = place.iam.list_role_tags(RoleName=name, MaxItems=1, Marker=page["Marker"])
    assert page["Tags"] == long[1:]
    place.iam.untag_role(RoleName=name, TagKeys=[tag["Key"] for tag in long])
    many = [{"Key": f"k{index}", "Value": ""} for index in range(49)]
    words = "The number of tags has reached the maximum limit."
    refuse(place.iam.tag_role, "LimitExceeded", 409, words, RoleName=name, Tags=many)
    twice = [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}]
    refuse(place.iam.tag_role, "InvalidInput", 400, "Duplicate tag keys", RoleName=name, Tags=twice)
    reserved = [{"Key": "aws:k", "Value": "1"}]
    refuse(place.iam.tag_role, "InvalidInput", 400, "aws:", RoleName=name, Tags=reserved)
    place.iam.untag_role(RoleName=name, TagKeys=["TEAM", "absent"])
    assert place.iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "x", "Value": "y"}]


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("get_role", {}),
        ("delete_role", {}),
        ("update_role", {}),
        ("update_role_description", {"Description": ""}),
        ("update_assume_role_policy", {"PolicyDocument": trust("*")}),
        ("put_role_policy", {"PolicyName": "p", "PolicyDocument": document(EVERYTHING)}),
        ("get_role_policy", {"PolicyName": "p"}),
        ("delete_role_policy", {"PolicyName": "p"}),
        ("list_role_policies", {}),
        ("attach_role_policy", {"PolicyArn": READ_ONLY}),
        ("detach_role_policy", {"PolicyArn": READ_ONLY}),
        ("list_attached_role_policies", {}),
        ("list_instance_profiles_for_role", {}),
        ("tag_role", {"Tags": [{"Key": "a", "Value": ""}]}),
        ("untag_role", {"TagKeys": ["a"]}),
        ("list_role_tags", {}),
        ("put_role_permissions_boundary", {"PermissionsBoundary": READ_ONLY}),
        ("delete_role_permissions_boundary", {}),
    ],
)
def test_an_absent_role_is_absent_for_all(place: Place, operation: str, arguments: dict[str, Any]) -> None:
    call, words = getattr(place.iam, operation), "name absent cannot be found"
    refuse(call, "NoSuchEntity", 404, words, RoleName="absent", **arguments)


def test_what_the_lab_does_not_play_is_refused(place: Place) -> None:
    refuse(place.iam.list_users, "InvalidAction", 400)
    refuse(place.sts.get_session_token, "InvalidAction", 400)


# Who asks


def test_who_am_i(place: Place) -> None:
    identity = place.sts.get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{place.account}:user/lab-admin"
    assert identity["Account"] == place.account
    assert place.sts.get_access_key_info(AccessKeyId=ADMINISTRATOR[0])["Account"] == place.account
    identity = client("sts", place.lab, place.session()).get_caller_identity()
    assert identity["Arn"].startswith(f"arn:aws:sts::{place.account}:assumed-role/lab-role/")
    role = place.iam.get_role(RoleName="lab-role")["Role"]
    assert identity["UserId"].startswith(f"{role['RoleId']}:")
    assert role["RoleLastUsed"]["Region"] == place.lab.trust_anchor_arn.split(":")[3]


def test_altered_credentials_are_refused(place: Place) -> None:
    key, secret, token = place.session()
    altered = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    other = place.session()
    cases = [
        ((key, secret + "x", token), "SignatureDoesNotMatch"),
        ((ADMINISTRATOR[0], "wrong"), "SignatureDoesNotMatch"),
        ((key, secret, altered), "InvalidClientTokenId"),
        ((key, secret, other[2]), "InvalidClientTokenId"),
        ((key, secret), "InvalidClientTokenId"),
        (("AKIAIOSFODNN7NOBODY0", ADMINISTRATOR[1]), "InvalidClientTokenId"),
    ]
    for keys, code in cases:
        for service, operation in (("sts", "get_caller_identity"), ("iam", "list_roles")):
            refuse(getattr(client(service, place.lab, keys), operation), code, 403)


# Role chaining


@pytest.fixture
def own(place: Place) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Gives the lab's role a policy for one test."""

    def put(*statements: dict[str, Any]) -> None:
        policy = document(*statements)
        place.iam.put_role_policy(RoleName="lab-role", PolicyName="own", PolicyDocument=policy)

    yield put
    if "own" in place.iam.list_role_policies(RoleName="lab-role")["PolicyNames"]:
        place.iam.delete_role_policy(RoleName="lab-role", PolicyName="own")


def test_the_administrator_takes_a_role(place: Place, name: str) -> None:
    role = place.role(name, Path="/deep/", MaxSessionDuration=7200)
    answer = place.sts.assume_role(RoleArn=role["Arn"], RoleSessionName="job@1", DurationSeconds=7200)
    arn = f"arn:aws:sts::{place.account}:assumed-role/{name}/job@1"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role['RoleId']}:job@1", "Arn": arn}
    assert "PackedPolicySize" not in answer and "SourceIdentity" not in answer
    left = answer["Credentials"]["Expiration"].timestamp() - time.time()
    assert 7200 - 60 < left <= 7200
    assert client("sts", place.lab, assumed(answer)).get_caller_identity()["Arn"] == arn
    foreign = place.role(name + "x", trust("111122223333"))
    message = refuse(place.sts.assume_role, "AccessDenied", 403, RoleArn=foreign["Arn"], RoleSessionName="job")
    user = f"arn:aws:iam::{place.account}:user/lab-admin"
    assert message == f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {foreign['Arn']}"


def test_a_role_trusted_by_name_needs_no_policy(place: Place, name: str, own: Any) -> None:
    target = place.role(name, trust(place.lab.role_arn))
    sts = client("sts", place.lab, place.session())
    answer = sts.assume_role(RoleArn=target["Arn"], RoleSessionName="chained")
    assert answer["SourceIdentity"], "the certificate's name is handed on"
    arn = client("sts", place.lab, assumed(answer)).get_caller_identity()["Arn"]
    assert arn.endswith(f":assumed-role/{name}/chained")
    longer = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    place.iam.update_role(RoleName=name, MaxSessionDuration=7200)
    arguments = {"RoleArn": target["Arn"], "RoleSessionName": "chained"}
    refuse(sts.assume_role, "ValidationError", 400, longer, **arguments, DurationSeconds=3601)
    own({"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": target["Arn"]})
    refuse(sts.assume_role, "AccessDenied", 403, "with an explicit deny in an identity-based policy", **arguments)


def test_a_role_trusted_through_its_account_needs_a_policy(place: Place, name: str, own: Any) -> None:
    target = place.role(name, trust(f"arn:aws:iam::{place.account}:root"))
    sts = client("sts", place.lab, place.session())
    arguments = {"RoleArn": target["Arn"], "RoleSessionName": "chained"}
    words = "because no identity-based policy allows the sts:AssumeRole action"
    refuse(sts.assume_role, "AccessDenied", 403, words, **arguments)
    own({"Effect": "Allow", "Action": "sts:*", "Resource": target["Arn"] + "-other"})
    refuse(sts.assume_role, "AccessDenied", 403, words, **arguments)
    own({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": target["Arn"]})
    words = "because no identity-based policy allows the sts:SetSourceIdentity action"
    refuse(sts.assume_role, "AccessDenied", 403, words, **arguments)
    own({"Effect": "Allow", "Action": "sts:*", "Resource": target["Arn"]})
    sts.assume_role(**arguments)


def test_the_trust_policy_decides(place: Place, name: str) -> None:
    sts = client("sts", place.lab, place.session())
    target = place.role(name, trust(place.lab.role_arn, "sts:AssumeRole"))
    arguments = {"RoleArn": target["Arn"], "RoleSessionName": "chained"}
    # The session of a certificate has a source identity, and every role of the chain must agree to it.
    refuse(sts.assume_role, "AccessDenied", 403, "to perform: sts:SetSourceIdentity on", **arguments)
    actions = ["sts:AssumeRole", "sts:SetSourceIdentity"]

    def rely_on(*more: str, **condition: Any) -> None:
        policy = trust(place.lab.role_arn, *actions, *more, **condition)
        place.iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy)

    rely_on()
    identity = sts.assume_role(**arguments)["SourceIdentity"]
    refuse(sts.assume_role, "AccessDenied", 403, "cannot be changed", **arguments, SourceIdentity="another")
    tags = {"Tags": [{"Key": "job", "Value": "7"}]}
    refuse(sts.assume_role, "AccessDenied", 403, "to perform: sts:TagSession on", **arguments, **tags)
    rely_on("sts:TagSession", StringEquals={"aws:RequestTag/job": "7"})
    assert sts.assume_role(**arguments, **tags)["PackedPolicySize"] > 0
    refuse(sts.assume_role, "AccessDenied", 403, "sts:AssumeRole", **arguments)
    rely_on(StringEquals={"sts:ExternalId": "secret/1", "sts:RoleSessionName": "chained"})
    sts.assume_role(**arguments, ExternalId="secret/1")
    refuse(sts.assume_role, "AccessDenied", 403, "sts:AssumeRole", **arguments, ExternalId="secret/2")
    rely_on(IpAddress={"aws:SourceIp": "127.0.0.1"}, ArnEquals={"aws:PrincipalArn": place.lab.role_arn})
    sts.assume_role(**arguments)
    rely_on(IpAddress={"aws:SourceIp": "192.0.2.0/24"})
    refuse(sts.assume_role, "AccessDenied", 403, "sts:AssumeRole", **arguments)
    rely_on(DateLessThan={"aws:CurrentTime": "2020-01-01T00:00:00Z"})
    refuse(sts.assume_role, "AccessDenied", 403, "sts:AssumeRole", **arguments)
    rely_on(StringEquals={"aws:PrincipalTag/x509Subject/CN": identity.removeprefix("CN=")})
    sts.assume_role(**arguments)
    absent = target["Arn"] + "-absent"
    refuse(sts.assume_role, "AccessDenied", 403, absent, RoleArn=absent, RoleSessionName="chained")


def test_a_source_identity_stays(place: Place, name: str) -> None:
    first = place.role(name)
    second = place.role(name + "2", trust(first["Arn"], StringEquals={"sts:SourceIdentity": "alice"}))
    arguments = {"RoleArn": second["Arn"], "RoleSessionName": "second"}

    def after(**identity: str) -> Any:
        answer = place.sts.assume_role(RoleArn=first["Arn"], RoleSessionName="first", **identity)
        assert answer.get("SourceIdentity") == identity.get("SourceIdentity")
        return client("sts", place.lab, assumed(answer))

    alice = after(SourceIdentity="alice")
    assert alice.assume_role(**arguments)["SourceIdentity"] == "alice"
    assert alice.assume_role(**arguments, SourceIdentity="alice")["SourceIdentity"] == "alice"
    refuse(alice.assume_role, "AccessDenied", 403, "cannot be changed", **arguments, SourceIdentity="bob")
    nobody = after()
    refuse(nobody.assume_role, "AccessDenied", 403, "sts:AssumeRole", **arguments)
    assert nobody.assume_role(**arguments, SourceIdentity="alice")["SourceIdentity"] == "alice"
    refuse(after(SourceIdentity="bob").assume_role, "AccessDenied", 403, "sts:AssumeRole", **arguments)


def test_transitive_tags_go_on(place: Place, name: str) -> None:
    first = place.role(name)
    second = place.role(name + "2", trust(first["Arn"], StringEquals={"aws:RequestTag/kept": "1"}))
    tags = [{"Key": "kept", "Value": "1"}, {"Key": "lost", "Value": "2"}]
    keys = {"RoleArn": first["Arn"], "RoleSessionName": "first", "Tags": tags}
    chain = {"RoleArn": second["Arn"], "RoleSessionName": "second"}
    without = client("sts", place.lab, assumed(place.sts.assume_role(**keys)))
    refuse(without.assume_role, "AccessDenied", 403, "sts:AssumeRole", **chain)
    kept = client("sts", place.lab, assumed(place.sts.assume_role(**keys, TransitiveTagKeys=["kept"])))
    kept.assume_role(**chain)
    conflict = [{"Key": "Kept", "Value": "3"}]
    refuse(kept.assume_role, "InvalidParameterValue", 400, "conflicts", **chain, Tags=conflict)


def test_sessions_end_when_the_lab_is_told(pki: Pki, ca: Path) -> None:
    with running_lab(pki, "--directory", ca, "--expires-in", "7") as lab:
        own = client("sts", lab)
        trusted = trust(own.get_caller_identity()["Account"])
        role = client("iam", lab).create_role(RoleName="short", AssumeRolePolicyDocument=trusted)["Role"]
        given = own.assume_role(RoleArn=role["Arn"], RoleSessionName="job", DurationSeconds=3600)["Credentials"]
    assert given["Expiration"] - datetime.now(UTC) <= timedelta(seconds=7)


def test_permissions_of_a_session(place: Place, name: str) -> None:
    role = place.role(name)
    place.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(EVERYTHING))
    arguments = {"RoleArn": role["Arn"], "RoleSessionName": "job"}

    def iam(**limits: Any) -> Any:
        return client("iam", place.lab, assumed(place.sts.assume_role(**arguments, **limits)))

    iam().get_role(RoleName=name)
    only = document({"Effect": "Allow", "Action": "iam:GetRole", "Resource": role["Arn"]})
    words = "because no session policy allows the iam:ListRoles action"
    for limited in (iam(Policy=only), iam(Policy=only, PolicyArns=[])):
        limited.get_role(RoleName=name)
        refuse(limited.list_roles, "AccessDenied", 403, words)
        refuse(limited.get_role, "AccessDenied", 403, "session policy", RoleName="lab-role")
    # What policies know of a request (Service Authorization Reference; IAM is asked in the partition's first region).
    place.iam.tag_role(RoleName=name, Tags=[{"Key": "team", "Value": "blue"}])
    for condition, operation, parameters, is_allowed in [
        ({"StringEquals": {"aws:ResourceTag/team": "blue"}}, "get_role", {"RoleName": name}, True),
        ({"StringEquals": {"iam:ResourceTag/team": "blue"}}, "get_role", {"RoleName": "lab-role"}, False),
        ({"StringEquals": {"aws:RequestTag/team": "red"}}, "tag_role", {"Tags": [{"Key": "team", "Value": "red"}]}, True),
        ({"StringEquals": {"aws:RequestTag/team": "red"}}, "tag_role", {"Tags": [{"Key": "team", "Value": "x"}]}, False),
        ({"StringEquals": {"aws:TagKeys": "team"}}, "untag_role", {"TagKeys": ["team"]}, True),
        ({"StringEquals": {"aws:TagKeys": "team"}}, "untag_role", {"TagKeys": ["other"]}, False),
        ({"ArnEquals": {"iam:PolicyARN": READ_ONLY}}, "attach_role_policy", {"PolicyArn": READ_ONLY}, True),
        ({"ArnNotEquals": {"iam:PolicyARN": READ_ONLY}}, "detach_role_policy", {"PolicyArn": READ_ONLY}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.1"}}, "list_roles", None, True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1"}}, "list_roles", None, False),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, "list_roles", None, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, "list_roles", None, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, "list_roles", None, True),
    ]:
        conditional = document({"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": condition})
        call = getattr(iam(Policy=conditional), operation)
        parameters = {} if parameters is None else {"RoleName": name, **parameters}
        if is_allowed:
            call(**parameters)
        else:
            refuse(call, "AccessDenied", 403, "session policy", **parameters)
    place.iam.detach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    reader = iam(PolicyArns=[{"arn": READ_ONLY}])
    reader.list_roles()
    refuse(reader.delete_role, "AccessDenied", 403, "session policy", RoleName=name)
    place.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=READ_ONLY)
    bounded = iam()
    bounded.list_roles()
    refuse(bounded.delete_role, "AccessDenied", 403, "no permissions boundary allows", RoleName=name)
    place.iam.delete_role_policy(RoleName=name, PolicyName="all")
    refuse(bounded.list_roles, "AccessDenied", 403, "because no identity-based policy allows the iam:ListRoles action")
    place.iam.delete_role(RoleName=name)
    refuse(bounded.list_roles, "AccessDenied", 403, "is no more")
    place.role(name)
    refuse(bounded.list_roles, "AccessDenied", 403, "is no more")
