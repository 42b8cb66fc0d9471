# SPDX-License-Identifier: Apache-2.0
"""RFC 8555, 8738 and 9773 in docs/conformance.md: the requirements that no other file proves."""

from __future__ import annotations

import http.client
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from acme import Client, b64, client, jwk, jws, key, renewal_identifier, request_for
from enrolling import Authority, serving_ca
from program import Pki


@pytest.fixture(scope="module")
def authority(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A server that tests share: each has names of its own."""
    home = tmp_path_factory.mktemp("conformance")
    pki = Pki(home=home, path=built)
    pki.run("init-ca", "--directory", home / "ca")
    with serving_ca(pki, home / "ca") as running:
        yield running


def alternative_names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


class TestMessages:
    """RFC 8555 §5 and §6."""

    @pytest.mark.parametrize("payload", [b'{"contact":["\xff"]}', b"\xff\xfe{}", b'{"contact":["\xed\xa0\x80"]}'], ids=range(3))
    def test_what_is_not_utf8_is_refused(self, authority: Authority, payload: bytes) -> None:
        account = client(authority, "encoded")
        assert account.kid
        assert account.post(account.kid, payload).error == "malformed"

    @pytest.mark.parametrize("member", ["protected", "payload", "signature"])
    def test_no_part_of_a_message_may_be_missing(self, authority: Authority, member: str) -> None:
        account = client(authority, "whole")
        assert account.kid
        sent = jws(account.key, account.header(account.kid), None)
        del sent[member]
        assert account.send("POST", account.kid, json.dumps(sent).encode()).error == "malformed"

    def test_who_uses_an_unknown_algorithm_is_told_the_known_ones(self, authority: Authority) -> None:
        account = client(authority, "algorithms")
        assert account.kid
        for unknown in ["PS256", "HS256", "none"]:
            reply = account.post(account.kid, alg=unknown)
            assert (reply.status, reply.error) == (400, "badSignatureAlgorithm")
            assert {"ES256", "EdDSA"} <= set(reply.json["algorithms"]) and not {"HS256", "none"} & set(reply.json["algorithms"])

    def test_what_is_read_is_read_by_an_empty_payload_alone(self, authority: Authority) -> None:
        account = client(authority, "reader")
        order = account.order("reader")
        for url in [order.headers["Location"], *order.json["authorizations"], f"{account.kid}/orders"]:
            assert account.post(url).status == 200
            assert account.post(url, {}).error == "malformed"

    def test_directory_and_nonces_may_be_read_with_a_signature_too(self, authority: Authority) -> None:
        account = client(authority, "signed-reader")
        url = f"{account.base}/acme/directory"
        assert account.post(url).json == account.send("GET", url).json == account.directory
        assert account.post(account.directory["newNonce"]).status == 204

    def test_a_message_for_another_url_is_unauthorized(self, authority: Authority) -> None:
        account = client(authority, "addressed")
        assert account.kid
        for url in [account.directory["newOrder"], account.kid + "/", account.kid.upper(), ""]:
            assert account.post(account.kid, url=url).error == "unauthorized"
        assert account.post(account.kid, url=None).error == "malformed"
        assert account.post(account.kid, url=1).error == "malformed"

    def test_every_response_brings_a_nonce_that_is_good(self, authority: Authority) -> None:
        account = client(authority, "nonces")
        assert account.kid
        given = []
        for reply in [
            account.send("HEAD", account.directory["newNonce"]), account.send("GET", account.directory["newNonce"]), account.post(account.kid),
            account.order("nonces"), account.order("other"), account.post(f"{account.base}/acme/order/none"),
            account.send("GET", account.kid), account.send("POST", account.kid, b"{", "text/plain"), account.post(account.kid, nonce="AAAA"),
        ]:  # fmt: skip
            given.append(reply.headers["Replay-Nonce"])
            assert re.fullmatch(r"[A-Za-z0-9_-]{20,}", given[-1])
        assert len(set(given)) == len(given)
        for nonce in given[-6:]:
            assert account.post(account.kid, nonce=nonce).status in (200, 400)
        assert account.post(account.kid, nonce=account.post(account.kid, nonce="AAAA").headers["Replay-Nonce"]).status == 200

    def test_a_nonce_that_is_not_base64url_is_malformed(self, authority: Authority) -> None:
        account = client(authority, "strange-nonce")
        assert account.kid
        for nonce in ["a+b/", "AAAA=", "a b", "\u00e4", "A"]:
            assert account.post(account.kid, nonce=nonce).error == "malformed"

    def test_problems_name_identifiers_below_alone(self, authority: Authority) -> None:
        account = client(authority, "problem-*")
        one, several = account.order("problem"), account.order("problem", "other")
        assert one.error == several.error == "rejectedIdentifier"
        assert "identifier" not in one.json and "identifier" not in several.json
        assert [part["identifier"] for part in several.json["subproblems"]] == [{"type": "dns", "value": name} for name in ("problem", "other")]


class TestResources:
    """RFC 8555 §7.1 and §7.2."""

    def test_the_directory_has_what_there_is(self, authority: Authority) -> None:
        reply = Client(authority).send("GET", f"https://localhost:{authority.port}/acme/directory")
        assert reply.headers["Content-Type"] == "application/json"
        assert set(reply.json) == {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo", "meta"}
        assert reply.json["meta"] == {"externalAccountRequired": True}

    def test_nonces_have_a_resource(self, authority: Authority) -> None:
        someone = Client(authority)
        for method, status in [("HEAD", 200), ("GET", 204)]:
            reply = someone.send(method, someone.directory["newNonce"])
            assert (reply.status, reply.body, reply.headers["Cache-Control"]) == (status, b"", "no-store")
            assert reply.headers["Replay-Nonce"]

    def test_every_response_links_to_the_directory(self, authority: Authority) -> None:
        account = client(authority, "linked")
        assert account.kid
        for reply in [account.post(account.kid), account.order("linked"), account.order("other")]:
            assert reply.headers["Link"] == f'<{account.base}/acme/directory>;rel="index"'

    def test_an_order_keeps_its_arrays_and_has_an_end(self, authority: Authority) -> None:
        account = client(authority, "arrays-*", "--san", "dns:{name}.example.com", "--uses", "3")
        names = ["arrays-1.example.com", "arrays-1"]
        ready = account.order(*names)
        account.finalize(ready.json, request_for(names))
        account.order(*names)
        valid = account.post(ready.headers["Location"]).json
        assert (ready.json["status"], valid["status"]) == ("ready", "valid")
        assert datetime.fromisoformat(valid["expires"]) > datetime.now(UTC)
        for array in ("identifiers", "authorizations"):
            assert valid[array] == ready.json[array] and len(valid[array]) == 2
        for url in valid["authorizations"]:
            authorization = account.post(url).json
            assert datetime.fromisoformat(authorization["expires"]) > datetime.now(UTC) and "wildcard" not in authorization

    @pytest.mark.parametrize("name", ["xn--99999999", "xn--0", "a.xn--99999999.example.com", "xn--\u00e4", "xn--abc-.example.com"])
    def test_a_name_that_is_not_punycode_is_refused(self, authority: Authority, name: str) -> None:
        account = client(authority, "*")
        assert account.order(name).error == "malformed"
        for right in ("xn--bcher-kva", "XN--BCHER-KVA", "xn--ls8h", "xn--fiqs8s"):
            assert account.order(right).status == 201

    def test_a_pattern_is_no_wildcard(self, authority: Authority) -> None:
        account = client(authority, "*.wild.example.com")
        assert account.order("*.wild.example.com").error == "rejectedIdentifier"
        assert account.order("a.wild.example.com").status == 201
        account = client(authority, "wild", "--san", "dns:*.wild.example.com")
        assert account.order("wild", "*.wild.example.com").error == "rejectedIdentifier"


class TestAccounts:
    """RFC 8555 §7.3."""

    def test_what_is_not_known_is_ignored_and_not_reflected(self, authority: Authority) -> None:
        someone, token = Client(authority), authority.token("ignored")
        url = someone.directory["newAccount"]
        foreign = {"orders": "https://example.com/orders", "status": "revoked", "tier": "gold", "termsOfServiceAgreed": True}
        made = someone.post(url, {"externalAccountBinding": someone.binding(token, url), "contact": ["mailto:a@example.com"], **foreign})
        assert made.status == 201
        someone.kid = made.headers["Location"]
        assert someone.kid
        for reply in [made, someone.post(someone.kid, {"orders": "x", "tier": "gold", "termsOfServiceAgreed": False})]:
            assert reply.status in (200, 201) and reply.json["status"] == "valid" and "tier" not in reply.json
            assert (reply.json["orders"], reply.json["contact"]) == (f"{someone.kid}/orders", ["mailto:a@example.com"])

    def test_a_known_key_changes_nothing(self, authority: Authority) -> None:
        account = client(authority, "unchanged")
        again = Client(authority, account.key)
        reply = again.post(again.directory["newAccount"], {"contact": ["mailto:other@example.com"]})
        assert (reply.status, reply.headers["Location"], reply.json["contact"]) == (200, account.kid, ["mailto:ops@example.com"])

    def test_an_account_has_the_binding_that_made_it(self, authority: Authority) -> None:
        someone, token = Client(authority), authority.token("reflected")
        url = someone.directory["newAccount"]
        binding = someone.binding(token, url)
        reply = someone.post(url, {"externalAccountBinding": binding})
        assert (reply.status, reply.json["externalAccountBinding"]) == (201, binding)

    @pytest.mark.parametrize("contact", [["mailto:a@example.com,b@example.com"], ["mailto:a@example.com?subject=x"], ["mailto:nobody"], "mailto:a@example.com", [1]], ids=str)
    def test_a_contact_that_cannot_be_is_invalid(self, authority: Authority, contact: Any) -> None:
        account = client(authority, "invalid-contact")
        assert account.kid
        assert account.post(account.kid, {"contact": contact}).error == "invalidContact"

    @pytest.mark.parametrize(
        "binding",
        [
            lambda one, token, url: one.binding(token, url, alg="RS256"), lambda one, token, url: one.binding(token, url, alg="none"),
            lambda one, token, url: one.binding(token, url, kid=None), lambda one, token, url: one.binding(token, url, nonce="AAAA"),
            lambda one, token, url: one.binding(token, url[:-1]), lambda one, token, url: one.binding(token, url + "x"),
            lambda one, token, url: one.binding(token, url, bytes(32)), lambda one, token, url: Client(one.authority).binding(token, url),
            lambda one, token, url: {**one.binding(token, url), "payload": b64(b"{}")}, lambda one, token, url: "x", lambda one, token, url: {},
        ],
        ids=range(11),
    )  # fmt: skip
    def test_a_binding_that_is_not_as_it_must_be_makes_no_account(self, authority: Authority, binding: Callable[..., Any]) -> None:
        someone, token = Client(authority), authority.token("wrongly-bound")
        url = someone.directory["newAccount"]
        assert someone.post(url, {"externalAccountBinding": binding(someone, token, url)}).error in ("malformed", "unauthorized", "badSignatureAlgorithm")
        assert someone.post(url, {"onlyReturnExisting": True}).error == "accountDoesNotExist"

    @pytest.mark.parametrize("fault", ["account", "oldKey", "no account", "no oldKey", "url", "nonce", "kid", "signer", "text"])
    def test_a_change_of_keys_that_is_not_as_it_must_be_changes_nothing(self, authority: Authority, fault: str) -> None:
        account, new = client(authority, "unrolled"), key()
        assert account.kid
        url = account.directory["keyChange"]
        header: dict[str, Any] = {"alg": "ES256", "jwk": jwk(new), "url": url}
        inner: Any = {"account": account.kid, "oldKey": jwk(account.key)}
        signer = new
        match fault:
            case "account": inner["account"] += "x"
            case "oldKey": inner["oldKey"] = jwk(new)
            case "no account" | "no oldKey": del inner[fault.removeprefix("no ")]
            case "url": header["url"] = account.kid
            case "nonce": header["nonce"] = account.nonce()
            case "kid": header = {"alg": "ES256", "kid": account.kid, "url": url}
            case "signer": signer = account.key
            case "text": inner = b"x"
        assert account.post(url, jws(signer, header, inner)).error == "malformed"
        assert account.post(account.kid).status == 200

    def test_an_order_outlives_its_accounts_key(self, authority: Authority) -> None:
        account, new = client(authority, "outlives"), key()
        order = account.order("outlives").json
        url = account.directory["keyChange"]
        inner = {"account": account.kid, "oldKey": jwk(account.key)}
        assert account.post(url, jws(new, {"alg": "ES256", "jwk": jwk(new), "url": url}, inner)).status == 200
        former, account.key = account.key, new
        assert account.finalize(order, request_for(["outlives"])).json["status"] == "valid"
        assert Client(authority, former, account.kid).post(order["finalize"], {}).error == "malformed"

    def test_a_deactivated_account_reads_nothing(self, authority: Authority) -> None:
        account = client(authority, "gone-for-good")
        order = account.order("gone-for-good").json
        assert account.kid
        account.post(account.kid, {"status": "deactivated"})
        for reply in [account.post(account.kid), account.post(order["authorizations"][0]), account.finalize(order, request_for(["gone-for-good"]))]:
            assert (reply.status, reply.error) == (401, "unauthorized")


class TestCertificates:
    """RFC 8555 §7.4, §7.6, §9.1 and §11.1."""

    def test_a_certificate_has_the_orders_names_and_no_other(self, authority: Authority) -> None:
        """Also where the account holds one with more names, which it could renew."""
        account = client(authority, "fewer-*", "--san", "dns:{name}.example.com", "--uses", "1")
        assert alternative_names(account.certificate("fewer-1", "fewer-1.example.com")) == ["fewer-1", "fewer-1.example.com"]
        assert alternative_names(account.certificate("fewer-1")) == ["fewer-1"]

    def test_an_order_that_is_not_ready_is_not_finalised(self, authority: Authority) -> None:
        account = client(authority, "finalised")
        order = account.order("finalised").json
        assert account.finalize(order, request_for(["finalised"])).json["status"] == "valid"
        reply = account.finalize(order, request_for(["finalised"]))
        assert (reply.status, reply.error) == (403, "orderNotReady")

    def test_no_accounts_key_is_certified(self, authority: Authority) -> None:
        account, other = client(authority, "mixed-up"), client(authority, "mixed-up-too")
        order = account.order("mixed-up").json
        for own in (account.key, other.key):
            assert account.finalize(order, request_for(["mixed-up"], own)).error == "badCSR"

    def test_the_chain_is_strict_pem_from_the_leaf_on(self, authority: Authority) -> None:
        account = client(authority, "chained")
        order = account.order("chained").json
        url = account.finalize(order, request_for(["chained"])).json["certificate"]
        text = account.post(url).body.decode()
        assert re.fullmatch(r"(-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/=]{1,64}\n-----END CERTIFICATE-----\n)+", text)
        chain = x509.load_pem_x509_certificates(text.encode())
        assert chain[0].subject.rfc4514_string() == "CN=chained"
        for certificate, issuer in zip(chain, chain[1:], strict=False):
            certificate.verify_directly_issued_by(issuer)

    def test_a_reason_that_is_none_of_a_client_is_refused(self, authority: Authority) -> None:
        account = client(authority, "reason")
        encoded = b64(account.certificate("reason").public_bytes(serialization.Encoding.DER))
        for reason in [2, 6, 7, 8, 9, 10, 11, -1, "1", 1.5]:
            assert account.post(account.directory["revokeCert"], {"certificate": encoded, "reason": reason}).error == "badRevocationReason"


class TestAddresses:
    """RFC 8738."""

    def test_an_address_is_written_as_rfc_5952_wants(self, authority: Authority) -> None:
        address = "2001:db8::7"
        account = client(authority, "v6", "--san", f"ip:{address}", "--uses", "2")
        names = [{"type": "dns", "value": "v6"}, {"type": "ip", "value": "2001:DB8:0::7"}]
        order = account.post(account.directory["newOrder"], {"identifiers": names}).json
        assert order["identifiers"] == [names[0], {"type": "ip", "value": address}]
        # The text of an address is no host name.
        assert account.finalize(order, request_for(["v6", address])).error == "badCSR"
        done = account.finalize(order, request_for(["v6"], extra=[x509.IPAddress(ip_address(address))]))
        assert done.json["status"] == "valid", done.body
        [certificate, *_] = x509.load_pem_x509_certificates(account.post(done.json["certificate"]).body)
        shown = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert shown.get_values_for_type(x509.IPAddress) == [ip_address(address)]


class TestRenewalInformation:
    """RFC 9773."""

    def test_anybody_may_ask_and_the_name_has_no_padding(self, authority: Authority) -> None:
        account = client(authority, "asked-for")
        identifier = renewal_identifier(account.certificate("asked-for"))
        someone = Client(authority)
        assert someone.send("GET", f"{someone.directory['renewalInfo']}/{identifier}").status == 200
        assert someone.send("GET", f"{someone.directory['renewalInfo']}/{identifier}=").status == 404

    def test_a_window_ends_after_it_begins_and_that_of_a_revoked_certificate_has_ended(self, authority: Authority) -> None:
        account = client(authority, "windows-*", "--uses", "2")
        url = account.directory["renewalInfo"]
        for name, is_revoked in [("windows-1", False), ("windows-2", True)]:
            certificate = account.certificate(name)
            if is_revoked:
                encoded = b64(certificate.public_bytes(serialization.Encoding.DER))
                assert account.post(account.directory["revokeCert"], {"certificate": encoded}).status == 200
            window = account.send("GET", f"{url}/{renewal_identifier(certificate)}").json["suggestedWindow"]
            start, end = (datetime.fromisoformat(window[name]) for name in ("start", "end"))
            assert start < end
            assert (end <= datetime.now(UTC)) == is_revoked

    def test_what_an_order_replaces_stays_in_it(self, authority: Authority) -> None:
        account = client(authority, "reflecting")
        replaced = renewal_identifier(account.certificate("reflecting"))
        order = account.order("reflecting", replaces=replaced)
        assert (order.status, order.json["replaces"]) == (201, replaced)
        assert account.post(order.headers["Location"]).json["replaces"] == replaced


def test_there_is_no_acme_without_tls(pki: Pki, tmp_path: Path) -> None:
    pki.run("init-ca", "--directory", tmp_path / "ca")
    with serving_ca(pki, tmp_path / "ca", "--revocation-listen", "127.0.0.1:0") as own:
        host = urllib.parse.urlsplit(own.plain)
        for path, status in [("/acme/directory", 404), ("/acme/new-nonce", 404), ("/crl/root.crl", 200)]:
            connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
            connection.request("GET", path)
            assert connection.getresponse().status == status
            connection.close()
