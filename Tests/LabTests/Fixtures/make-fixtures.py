#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes FixtureText.swift: certificates, and CreateSession requests signed by another stack than the project's own.

Everything is made by Python's `cryptography` from the description of the protocol. The certificates are valid from 2020
to 9999 and the requests are signed at 2026-03-01T12:00:00Z; the tests set the lab's clock to that moment, so that the
fixtures do not run out. Keys are written to no file and are forgotten: run this again and everything is new.

    python3 Tests/LabTests/Fixtures/make-fixtures.py > Tests/LabTests/Fixtures/FixtureText.swift
"""

import base64
import datetime
import hashlib
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

UTC = datetime.timezone.utc
START = datetime.datetime(2020, 1, 1, tzinfo=UTC)
END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
DATE = "20260301T120000Z"
HOST = "lab.test"
ANCHOR = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/a0000000-0000-4000-8000-000000000001"
PROFILE = "arn:aws:rolesanywhere:us-east-1:123456789012:profile/b0000000-0000-4000-8000-000000000002"
ROLE = "arn:aws:iam::123456789012:role/lab-role"
QUERY = {"profileArn": PROFILE, "roleArn": ROLE, "trustAnchorArn": ANCHOR}
UNRESERVED = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Identity:
    """A key, its certificate, and the certificates between it and the root."""

    def __init__(self, key, certificate, chain=()):
        self.key, self.certificate, self.chain = key, certificate, list(chain)


def name(common_name):
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    return x509.Name(attributes)


def issue(common_name, key, issuer=None, ca=False, usage="digital_signature", start=START, end=END, digest=None,
          serial=None, constraints=True, chain=()):
    """Issues a certificate with everything a strict verifier looks for, except what a case leaves out."""
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(issuer.certificate.subject if issuer else name(common_name))
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    )
    if constraints:
        builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
    if usage:
        flags = dict.fromkeys(
            ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False)
        for flag in usage.split():
            flags[flag] = True
        builder = builder.add_extension(x509.KeyUsage(**flags), True)
    if not common_name:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("nameless.test")]), True)
    return Identity(key, builder.sign(signer, digest or hashes.SHA256()), chain)


def signed_with_sha1(common_name, key):
    """A certificate signed over SHA-1, which `cryptography` no longer makes: its algorithm changed, and signed again."""
    issuer = issue("Fixture RSA Root", rsa.generate_private_key(65537, 2048), ca=True, usage="key_cert_sign crl_sign")
    modern = issue(common_name, key, issuer).certificate
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    body = modern.tbs_certificate_bytes.replace(sha256, sha1, 1)
    signature = issuer.key.sign(body, padding.PKCS1v15(), hashes.SHA1())
    old = der(modern).replace(modern.tbs_certificate_bytes, body).replace(sha256, sha1)
    return Identity(key, x509.load_der_x509_certificate(old.replace(modern.signature, signature)))


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def encode(text):
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in text.encode())


def sign(key, message):
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def request(identity, query=QUERY, body='{"durationSeconds":3600}', date=DATE, region="us-east-1", service="rolesanywhere",
            scope_date=None, serial=None, algorithm=None, unsigned=(), extra=(), extra_signed=(), chain=None, key=None,
            content_type="application/json", x509_header=None, terminator="aws4_request", path="/sessions",
            raw_query=None, signed_order=None):
    """Signs a request by the description of the protocol; the arguments are the ways to get it wrong."""
    key = key or identity.key
    chain = identity.chain if chain is None else chain
    headers = [
        ("Host", HOST),
        ("Content-Type", content_type),
        ("X-Amz-Date", date),
        ("X-Amz-X509", x509_header or base64.b64encode(der(identity.certificate)).decode()),
    ]
    if chain:
        headers.append(("X-Amz-X509-Chain", ",".join(base64.b64encode(der(each)).decode() for each in chain)))
    headers += list(extra)
    values = {}
    for header, value in headers:
        values.setdefault(header.lower(), []).append(" ".join(value.split()))
    signed = sorted(header for header in values if header not in unsigned)
    signed += list(extra_signed)
    if signed_order:
        signed = signed_order(signed)
    canonical_query = "&".join(sorted(f"{encode(k)}={encode(v)}" for k, v in query.items()))
    canonical = "\n".join(
        ["POST", path, canonical_query]
        + [f"{header}:{','.join(values.get(header, ['']))}" for header in signed]
        + ["", ";".join(signed), hashlib.sha256(body.encode()).hexdigest()]
    )
    algorithm = algorithm or (
        "AWS4-X509-RSA-SHA256" if isinstance(key, rsa.RSAPrivateKey) else "AWS4-X509-ECDSA-SHA256")
    scope = f"{scope_date or date[:8]}/{region}/{service}/{terminator}"
    text = "\n".join([algorithm, date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    serial = serial or str(identity.certificate.serial_number)
    headers.append((
        "Authorization",
        f"{algorithm} Credential={serial}/{scope}, SignedHeaders={';'.join(signed)}, "
        f"Signature={sign(key, text.encode()).hex()}",
    ))
    target = path if not query else f"{path}?{canonical_query}"
    return (raw_query(path, query) if raw_query else target), headers, body


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def p256():
    return ec.generate_private_key(ec.SECP256R1())


def main():
    ca_usage = "key_cert_sign crl_sign"
    root = issue("Fixture Root", p256(), ca=True, usage=ca_usage)
    other_root = issue("Other Root", p256(), ca=True, usage=ca_usage)
    middle = issue("Fixture Intermediate", p256(), root, ca=True, usage=ca_usage)
    rsa_key = rsa.generate_private_key(65537, 2048)
    client = issue("fixture-p256", p256(), root)
    rsa_client = issue("fixture-rsa", rsa_key, root)
    p384_client = issue("fixture-p384", ec.generate_private_key(ec.SECP384R1()), root)
    below = issue("fixture-below", p256(), middle, chain=[middle.certificate])
    deep = [root]
    for level in range(6):
        deep.append(issue(f"Level {level}", p256(), deep[-1], ca=True, usage=ca_usage))
    five = issue("fixture-deep", p256(), deep[5], chain=[each.certificate for each in reversed(deep[1:6])])
    six = issue("fixture-deeper", p256(), deep[6], chain=[each.certificate for each in reversed(deep[1:7])])
    stranger = issue("fixture-stranger", p256(), other_root)
    past = datetime.datetime(2021, 1, 1, tzinfo=UTC)
    future = datetime.datetime(2030, 1, 1, tzinfo=UTC)
    one_sided = issue("x" * 62, p256(), root)
    with_body = lambda members: '{"durationSeconds":3600,' + members + '}'
    hexadecimal = f"{client.certificate.serial_number:x}"
    hexadecimal = hexadecimal if len(hexadecimal) % 2 == 0 else "0" + hexadecimal
    b64 = base64.b64encode(der(client.certificate)).decode()
    without = lambda *names: {k: v for k, v in QUERY.items() if k not in names}
    replaced = lambda **values: {**QUERY, **values}
    all_in_body = '{"durationSeconds":3600,"profileArn":"%s","roleArn":"%s","trustAnchorArn":"%s"}' % (PROFILE, ROLE, ANCHOR)

    # name: (expected status, code, failed check, request)
    validation, denied, missing = (400, "ValidationException"), (403, "AccessDeniedException"), (404, "ResourceNotFoundException")
    accepted = (201, "")
    cases = [
        ("P-256 is accepted", accepted, "", request(client)),
        ("P-384 is accepted", accepted, "", request(p384_client)),
        ("RSA is accepted", accepted, "", request(rsa_client)),
        ("one intermediate is accepted", accepted, "", request(below)),
        ("five intermediates are accepted", accepted, "", request(five)),
        ("intermediates in any order are accepted", accepted, "", request(five, chain=list(reversed(five.chain)))),
        ("the chain with its root is accepted", accepted, "", request(below, chain=[middle.certificate, root.certificate])),
        ("ARNs in the body are accepted", accepted, "", request(client, query={}, body=all_in_body)),
        ("ARNs in query and body are accepted when they are the same", accepted, "", request(client, body=all_in_body)),
        ("x-amz-json is accepted", accepted, "", request(client, content_type="application/x-amz-json-1.0")),
        ("an empty body is accepted", accepted, "", request(client, body="")),
        ("more signed headers are accepted", accepted, "", request(client, extra=[("X-Custom", "  a   b ")])),
        ("a signed header that stands twice is accepted", accepted, "",
         request(client, extra=[("X-Custom", "one"), ("X-Custom", "two")])),
        ("a query that encodes slashes otherwise is accepted", accepted, "",
         request(client, raw_query=lambda path, query: path + "?" + "&".join(f"{k}={v}" for k, v in reversed(query.items())))),
        ("more parameters of the query are accepted when signed", accepted, "",
         request(client, query=replaced(**{"a b": "c+d é"}))),
        ("the alias of the trust anchor is accepted", accepted, "",
         request(client, query=replaced(trustAnchorArn=ANCHOR.split("trust-anchor/")[0] + "alias/trust-anchor/fixture-anchor"))),
        ("an intermediate that expires two minutes later is accepted", accepted, "",
         request((lambda ca: issue("fixture-soon", p256(), ca, chain=[ca.certificate]))(
             issue("Short Intermediate", p256(), root, ca=True, usage=ca_usage,
                   end=datetime.datetime(2026, 3, 1, 12, 2, tzinfo=UTC))))),
        ("a date 5 minutes old is accepted", accepted, "", request(client, date="20260301T115500Z")),
        ("a date 5 minutes ahead is accepted", accepted, "", request(client, date="20260301T120500Z")),
        ("the shortest duration is accepted", accepted, "", request(client, body='{"durationSeconds":900}')),
        ("the longest duration is cut to the profile's", accepted, "", request(client, body='{"durationSeconds":43200}')),
        ("instance properties are accepted", accepted, "", request(client, body=with_body('"instanceProperties":{"a":"b"}'))),
        ("a name of 62 characters is accepted", accepted, "", request(one_sided)),
        ("a certificate without basicConstraints is accepted", accepted, "",
         request(issue("fixture-plain", p256(), root, constraints=False))),

        ("a date 5 minutes and a second old is refused", denied, "date", request(client, date="20260301T115459Z")),
        ("a date 5 minutes and a second ahead is refused", denied, "date", request(client, date="20260301T120501Z")),
        ("a malformed date is refused", denied, "date", request(client, date="2026-03-01T12:00:00Z")),
        ("a day that does not exist is refused", denied, "date", request(client, date="20260230T120000Z")),
        ("a scope of another day is refused", denied, "scope", request(client, scope_date="20260302")),
        ("a scope of another region is refused", denied, "scope", request(client, region="eu-west-1")),
        ("a scope of another service is refused", denied, "scope", request(client, service="sts")),
        ("a scope with another end is refused", denied, "scope", request(client, terminator="aws4")),
        ("a serial number in hexadecimal is refused", denied, "serial number", request(client, serial=hexadecimal)),
        ("another serial number is refused", denied, "serial number", request(client, serial="12345")),
        ("a serial number with a leading zero is refused", denied, "serial number",
         request(client, serial="0" + str(client.certificate.serial_number))),
        ("an RSA algorithm with an EC key is refused", denied, "algorithm", request(client, algorithm="AWS4-X509-RSA-SHA256")),
        ("an EC algorithm with an RSA key is refused", denied, "algorithm", request(rsa_client, algorithm="AWS4-X509-ECDSA-SHA256")),
        ("an unknown algorithm is refused", denied, "algorithm", request(client, algorithm="AWS4-HMAC-SHA256")),
        ("another key's signature is refused", denied, "signature", request(client, key=stranger.key)),
        ("an unsigned host is refused", denied, "signed headers", request(client, unsigned=["host"])),
        ("an unsigned content type is refused", denied, "signed headers", request(client, unsigned=["content-type"])),
        ("an unsigned date is refused", denied, "signed headers", request(client, unsigned=["x-amz-date"])),
        ("an unsigned certificate is refused", denied, "signed headers", request(client, unsigned=["x-amz-x509"])),
        ("an unsigned chain is refused", denied, "signed headers", request(below, unsigned=["x-amz-x509-chain"])),
        ("a signed user agent is refused", denied, "signed headers", request(client, extra=[("User-Agent", "fixture")])),
        ("a signed header that was not sent is refused", denied, "signed headers", request(client, extra_signed=["x-missing"])),
        ("signed headers out of order are refused", denied, "signed headers",
         request(client, signed_order=lambda names: list(reversed(names)))),
        ("a signed header named twice is refused", denied, "signed headers",
         request(client, signed_order=lambda names: names + names[-1:])),

        ("a certificate that is not base64 is refused", validation, "certificate", request(client, x509_header="!" + b64)),
        ("a certificate in two lines is refused", validation, "certificate", request(client, x509_header=b64[:64] + " " + b64[64:])),
        ("a certificate without padding is refused", validation, "certificate", request(client, x509_header=b64.rstrip("=")[:-2])),
        ("two certificates in one header are refused", validation, "certificate",
         request(client, x509_header=base64.b64encode(der(client.certificate) * 2).decode())),
        ("six intermediates are refused", validation, "chain", request(six)),
        ("a certificate that stands twice is refused, even when both are signed", validation, "form",
         request(client, extra=[("X-Amz-X509", b64)])),
        ("a host that stands twice is refused, even when both are signed", validation, "form",
         request(client, extra=[("Host", HOST)])),
        ("another content type is refused", validation, "content type", request(client, content_type="text/plain")),

        ("a certificate of another root is refused", denied, "path", request(stranger)),
        ("a missing intermediate is refused", denied, "path", request(below, chain=[])),
        ("an expired certificate is refused", denied, "certificate rules", request(issue("fixture-expired", p256(), root, end=past))),
        ("a certificate of the future is refused", denied, "certificate rules", request(issue("fixture-future", p256(), root, start=future))),
        ("a certificate without digitalSignature is refused", denied, "certificate rules",
         request(issue("fixture-usage", p256(), root, usage="key_agreement"))),
        ("a certificate without keyUsage is refused", denied, "certificate rules",
         request(issue("fixture-no-usage", p256(), root, usage=None))),
        ("a CA certificate is refused", denied, "certificate rules",
         request(issue("fixture-ca", p256(), root, ca=True, usage="digital_signature key_cert_sign"))),
        ("a certificate signed with SHA-1 is refused", denied, "certificate rules",
         request(signed_with_sha1("fixture-sha1", p256()))),
        ("an empty subject is refused", denied, "certificate rules", request(issue(None, p256(), root))),
        ("an expired intermediate is refused", denied, "path",
         request((lambda ca: issue("fixture-late", p256(), ca, chain=[ca.certificate]))(
             issue("Late Intermediate", p256(), root, ca=True, usage=ca_usage, end=past)))),
        ("an intermediate that is no CA is refused", denied, "path",
         request((lambda ca: issue("fixture-fake", p256(), ca, chain=[ca.certificate]))(issue("Fake Intermediate", p256(), root)))),

        ("a duration of 899 s is refused", validation, "duration", request(client, body='{"durationSeconds":899}')),
        ("a duration of 43201 s is refused", validation, "duration", request(client, body='{"durationSeconds":43201}')),
        ("a negative duration is refused", validation, "duration", request(client, body='{"durationSeconds":-3600}')),
        ("a duration as text is refused", validation, "parameters", request(client, body='{"durationSeconds":"3600"}')),
        ("a fraction of a second is refused", validation, "parameters", request(client, body='{"durationSeconds":3600.5}')),
        ("a duration beyond all numbers is refused", validation, "parameters", request(client, body='{"durationSeconds":1e99}')),
        ("a body that is not JSON is refused", validation, "parameters", request(client, body="durationSeconds=3600")),
        ("a body that is a list is refused", validation, "parameters", request(client, body="[]")),
        ("a body without its end is refused", validation, "parameters", request(client, body='{"durationSeconds":3600')),
        ("a session name is refused unless the profile allows it", denied, "naming allowed",
         request(client, body=with_body('"roleSessionName":"build-7"'))),
        ("a session name of one character is refused", validation, "session name", request(client, body=with_body('"roleSessionName":"a"'))),
        ("a session name of 65 characters is refused", validation, "session name",
         request(client, body=with_body('"roleSessionName":"%s"' % ("a" * 65)))),
        ("a session name with a blank is refused", validation, "session name", request(client, body=with_body('"roleSessionName":"a b"'))),
        ("a session name with another alphabet is refused", validation, "session name",
         request(client, body=with_body('"roleSessionName":"é\u0301é"'))),
        ("51 instance properties are refused", validation, "session name",
         request(client, body=with_body('"instanceProperties":{%s}' % ",".join(f'"k{i}":"v"' for i in range(51))))),
        ("a long instance property is refused", validation, "session name",
         request(client, body=with_body('"instanceProperties":{"k":"%s"}' % ("v" * 201)))),
        ("an instance property that is a number is refused", validation, "parameters",
         request(client, body=with_body('"instanceProperties":{"k":1}'))),

        ("a missing trust anchor is refused", validation, "parameters", request(client, query=without("trustAnchorArn"))),
        ("a missing profile is refused", validation, "parameters", request(client, query=without("profileArn"))),
        ("a missing role is refused", validation, "parameters", request(client, query=without("roleArn"))),
        ("a malformed ARN is refused", validation, "parameters", request(client, query=replaced(roleArn="lab-role"))),
        ("an ARN of another kind is refused", validation, "parameters", request(client, query=replaced(profileArn=ANCHOR))),
        ("an ARN that differs between query and body is refused", validation, "parameters",
         request(client, body='{"roleArn":"%s-2"}' % ROLE)),
        ("an unknown trust anchor is refused", missing, "trust anchor",
         request(client, query=replaced(trustAnchorArn=ANCHOR[:-1] + "9"))),
        ("a trust anchor of another region is refused", missing, "trust anchor",
         request(client, query=replaced(trustAnchorArn=ANCHOR.replace("us-east-1", "eu-west-1")))),
        ("an unknown profile is refused", missing, "profile", request(client, query=replaced(profileArn=PROFILE[:-1] + "9"))),
        ("an unknown role is refused", missing, "role", request(client, query=replaced(roleArn=ROLE + "-unknown"))),
        ("a role that is not the profile's is refused", denied, "role in profile",
         request(client, query=replaced(roleArn=ROLE.replace("lab-role", "other-role")))),
        ("a query that is badly encoded is refused", validation, "form",
         request(client, raw_query=lambda path, query: path + "?roleArn=%zz")),
    ]

    print("// SPDX-License-Identifier: Apache-2.0\n")
    print("// Made by make-fixtures.py: do not edit.\n")
    print("// swift-format-ignore-file\n")
    print("/// Certificates and requests made by Python's `cryptography`.\nenum FixtureText {")
    for label, identity in [("root", root), ("otherRoot", other_root), ("leaf", client)]:
        print(f'    static let {label} = """')
        print("".join("        " + line + "\n" for line in pem(identity.certificate).splitlines()) + '        """\n')
    print(f'    static let leafSerialHexadecimal = "{hexadecimal}"\n')
    print('    /// One request a line, so that a change shows as one.\n    static let requests = #"""\n        [')
    lines = [
        json.dumps({"name": label, "status": status, "code": code, "check": check, "target": target, "headers": headers, "body": body})
        for label, (status, code), check, (target, headers, body) in cases
    ]
    print(",\n".join("        " + line for line in lines))
    print('        ]\n        """#\n}')


main()
