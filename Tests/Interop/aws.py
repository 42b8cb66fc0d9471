# SPDX-License-Identifier: Apache-2.0
"""AWS's own Python client before the lab, unmodified, and botocore's models held against the bytes that came back."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel, Shape
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from peer import Identity
from program import DENIED, DONE, Lab, Pki, Result

# The pair of AWS's documentation, which is a secret to nobody.
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

# What every service of AWS may answer, though no model says so.
COMMON_ERRORS = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ThrottlingException",
    "UnrecognizedClientException",
    "ValidationException",
}


def violations(shape: Shape, value: Any, place: str = "$") -> Iterator[str]:
    """Where a JSON value is not what a model says of it."""
    match shape.type_name:
        case "structure":
            if not isinstance(value, dict):
                yield f"{place} is {value!r}, not an object"
                return
            for name in getattr(shape, "required_members", []):
                if name not in value:
                    yield f"{place}.{name} is required and absent"
            for name, member in value.items():
                if name not in shape.members:
                    yield f"{place}.{name} is not in the model"
                else:
                    yield from violations(shape.members[name], member, f"{place}.{name}")
            if getattr(shape, "is_tagged_union", False) and len(value) != 1:
                yield f"{place} is a union and has {len(value)} members"
        case "list":
            if not isinstance(value, list):
                yield f"{place} is {value!r}, not an array"
                return
            yield from size_violations(shape, len(value), place)
            for index, element in enumerate(value):
                yield from violations(shape.member, element, f"{place}[{index}]")
        case "map":
            if not isinstance(value, dict):
                yield f"{place} is {value!r}, not an object"
                return
            yield from size_violations(shape, len(value), place)
            for name, element in value.items():
                yield from violations(shape.key, name, f"{place} key")
                yield from violations(shape.value, element, f"{place}[{name!r}]")
        case "string":
            if not isinstance(value, str):
                yield f"{place} is {value!r}, not a string"
                return
            yield from size_violations(shape, len(value), place)
            enumeration = getattr(shape, "enum", [])
            if enumeration and value not in enumeration:
                yield f"{place} is {value!r}, not one of {enumeration}"
            pattern = shape.metadata.get("pattern")
            if pattern and not re.fullmatch(pattern, value):
                yield f"{place} is {value!r}, which {pattern} does not match"
        case "blob":
            try:
                base64.b64decode(value, validate=True)
            except (TypeError, binascii.Error):
                yield f"{place} is {value!r}, not base64"
        case "timestamp":
            if shape.serialization.get("timestampFormat") != "iso8601":
                yield f"{place} has a format that nobody here knows"
            elif not isinstance(value, str) or not TIMESTAMP.fullmatch(value):
                yield f"{place} is {value!r}, not a timestamp of ISO 8601"
        case "boolean":
            if not isinstance(value, bool):
                yield f"{place} is {value!r}, not a boolean"
        case "integer" | "long":
            if not isinstance(value, int) or isinstance(value, bool):
                yield f"{place} is {value!r}, not a whole number"
            else:
                yield from size_violations(shape, value, place)
        case other:
            yield f"{place} is of the type {other}, which nobody here knows"


def size_violations(shape: Shape, size: int, place: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{place} has the size {size}, not {least} to {most}"


@dataclass(frozen=True)
class Answer:
    """What came back, before botocore made something of it."""

    operation: OperationModel
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def violations(self) -> list[str]:
        """Where the answer departs from the model of its operation, with its status and, for an error, its code."""
        found = []
        if self.headers.get("content-type", "").split(";")[0] != "application/json":
            found.append(f"the content type is {self.headers.get('content-type')}")
        if not self.headers.get("x-amzn-requestid"):
            found.append("there is no x-amzn-RequestId")
        if self.status < 300:
            wanted = self.operation.http.get("responseCode", 200)
            if self.status != wanted:
                found.append(f"the status is {self.status}, not {wanted}")
            return [*found, *violations(self.operation.output_shape, self.document)]
        code = self.headers.get("x-amzn-errortype", "")
        shapes = {shape.name: shape for shape in self.operation.error_shapes}
        if code in shapes:
            wanted = shapes[code].metadata["error"]["httpStatusCode"]
            if self.status != wanted:
                found.append(f"{code} has the status {self.status}, not {wanted}")
            found += violations(shapes[code], self.document)
        elif code not in COMMON_ERRORS:
            found.append(f"{self.operation.name} knows no {code}")
        if not self.document.get("message"):
            found.append("the error has no message")
        return found


@dataclass
class Wire:
    """A client, and every answer that it got."""

    client: BaseClient
    answers: list[Answer] = field(default_factory=list)

    def note(self, http_response: Any, model: OperationModel, **_: Any) -> None:
        headers = {name.lower(): value for name, value in http_response.headers.items()}
        self.answers.append(Answer(model, http_response.status_code, headers, http_response.content))

    @property
    def last(self) -> Answer:
        return self.answers[-1]


def credentials(lab: Lab) -> dict[str, str]:
    """The administrator's, as boto3 takes them."""
    return {
        "aws_access_key_id": lab.exports["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": lab.exports.get("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
    }


@contextmanager
def client(lab: Lab, service: str = "rolesanywhere", *, attempts: int = 1, **options: Any) -> Iterator[BaseClient]:
    """A client of boto3 that asks the lab and sees nothing of this machine's own configuration."""
    settings: dict[str, Any] = {"proxies": {}, "retries": {"total_max_attempts": attempts, "mode": "standard"}}
    for name in ("parameter_validation", "user_agent_extra"):
        if name in options:
            settings[name] = options.pop(name)
    arguments = {
        "endpoint_url": lab.endpoint,
        "region_name": lab.region,
        "verify": lab.ca_bundle,
        "config": Config(**settings),
        **credentials(lab),
        **options,
    }
    made = boto3.session.Session().client(service, **arguments)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def wire(lab: Lab, **options: Any) -> Iterator[Wire]:
    """A client of the control plane whose answers are kept as they came."""
    with client(lab, **options) as made:
        kept = Wire(made)
        made.meta.events.register("after-call.rolesanywhere.*", kept.note)
        yield kept


@contextmanager
def refused(code: str, status: int | None = None, *words: str) -> Iterator[None]:
    """Expects what is done in the block to be refused with a code, and the message to hold words."""
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response
    if status is not None:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status, response
    for word in words:
        assert word.lower() in response["Error"]["Message"].lower(), response


def crl(issuer: Identity, *revoked: int) -> bytes:
    """A revocation list in PEM."""
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - timedelta(minutes=1))
        .next_update(now + timedelta(days=7))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for serial in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(minutes=2)).build()
        )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def creds(pki: Pki, lab: Lab, folder: Path, name: str = "client", *options: str, status: int | None = DONE) -> Result:
    """`pki creds` with a client certificate of the directory."""
    return pki.run(
        "creds",
        "--certificate", folder / f"{name}-cert.pem",
        "--private-key", folder / f"{name}-key.pem",
        *lab.arguments,
        *options,
        status=status,
    )  # fmt: skip


def denied(pki: Pki, lab: Lab, folder: Path, name: str = "client", *options: str) -> str:
    """`pki creds`, refused by the service; gives what it said."""
    return creds(pki, lab, folder, name, *options, status=DENIED).stderr
