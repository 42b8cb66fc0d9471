# SPDX-License-Identifier: Apache-2.0
"""The lab's page in a real browser: what a person sees, without reloading, while other programs use the lab."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.x509 import Name, NameAttribute
from cryptography.x509.oid import NameOID

from browser import Page, Pipes, chromium, new_page, running_browser
from peer import Identity, create_session, issue, root_of
from program import Lab, Pki, running_lab

CONNECTED = "document.querySelector('#link').innerText.includes('connected')"
NEWEST = "#traces > li:first-child"

CONTRAST = """(() => {
    // Colours come as any syntax of CSS: a canvas turns them into bytes.
    const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
        .getContext("2d", { willReadFrequently: true });
    const bytes = (colour) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
    const luminance = (colour) => {
        const [red, green, blue] = colour.map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const background = (element) => {
        const layers = [];
        for (let one = element; one; one = one.parentElement) layers.push(bytes(getComputedStyle(one).backgroundColor));
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    };
    const findings = [];
    let seen = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
        if (!text || !element.checkVisibility({ opacityProperty: true }) || element.closest("script, .hidden")) continue;
        seen++;
        const style = getComputedStyle(element), below = background(element);
        const ink = over(bytes(style.color), below);
        const [light, dark] = [luminance(ink), luminance(below)].sort((a, b) => b - a);
        const ratio = (light + 0.05) / (dark + 0.05);
        if (ratio < 4.5) findings.push(`${ratio.toFixed(2)} ${style.color} ${element.tagName} ${text.slice(0, 60)}`);
    }
    return { seen, findings };
})()"""

OVERFLOW = """(() => {
    const width = document.documentElement.clientWidth;
    const scrolls = (element) => {
        for (let one = element.parentElement; one; one = one.parentElement) {
            if (["auto", "scroll", "hidden"].includes(getComputedStyle(one).overflowX)) return true;
        }
        return false;
    };
    return [...document.body.querySelectorAll("*")]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > width + 1 && !scrolls(one))
        .map((one) => `${one.tagName}.${one.className}: ${Math.round(one.getBoundingClientRect().right)} of ${width}`);
})()"""

UNNAMED = """[...document.querySelectorAll("button, input, textarea, summary, [tabindex='0']")]
    .filter((one) => one.checkVisibility())
    .filter((one) => !(one.getAttribute("aria-label") || one.labels?.length || one.innerText?.trim()))
    .map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Pipes]:
    program = chromium()
    if program is None:
        pytest.skip("there is no chromium: run script/bootstrap")
    with running_browser(program) as pipes:
        yield pipes


@pytest.fixture
def page(browser: Pipes, lab: Lab) -> Iterator[Page]:
    """The lab's page, connected."""
    with new_page(browser) as page:
        page.go(f"{lab.endpoint}/")
        page.wait_for(f"{CONNECTED} && document.querySelectorAll('#anchors article').length === 1")
        page.evaluate("window.isTheSamePage = true")
        yield page


@pytest.fixture
def root(ca: Path) -> Identity:
    return root_of(ca)


def ask(lab: Lab, identity: Identity, *, flipped: bool = False) -> int:
    """Sends a CreateSession, with a bit of its signature flipped if need be; returns the status."""
    request = create_session(identity, lab.address, lab.arns)
    if flipped:
        value = request.headers["Authorization"]
        request.headers["Authorization"] = value[:-1] + ("0" if value[-1] != "0" else "1")
    return request.send(lab.endpoint).status


def wait_for_requests(page: Page, number: int) -> None:
    page.wait_for(f"document.querySelectorAll('#traces > li').length === {number}")


def open_everything(page: Page) -> None:
    """Unfolds what can be unfolded, so that all of the page is looked at."""
    page.evaluate(
        "document.querySelectorAll('details').forEach((one) => { one.open = true }),"
        "document.querySelectorAll('[aria-expanded=false]').forEach((one) => one.click())"
    )


def assert_not_reloaded(page: Page) -> None:
    assert page.evaluate("window.isTheSamePage") is True


def assert_quiet(page: Page, lab: Lab) -> None:
    """No complaint, no fault shown, and no request to anybody but the lab."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert page.complaints == []
    assert page.text("#faults") == ""
    assert page.requested
    strangers = [url for url in page.requested if not url.startswith((f"{lab.endpoint}/", "data:", "about:blank"))]
    assert strangers == []


class TestRequests:
    def test_a_refusal_with_its_reason_and_way_out(self, page: Page, lab: Lab) -> None:
        """Both are there without a click; the checks before it are behind one."""
        stranger = issue(issue(None, "elsewhere", ca=True), "stranger")
        assert ask(lab, stranger) == 403
        wait_for_requests(page, 1)
        assert_not_reloaded(page)
        shown = page.text(NEWEST)
        assert "CreateSession" in shown and "CN=stranger" in shown
        assert "✕" in shown and "refused 403" in shown
        assert "CN=stranger" in page.text(f"{NEWEST} .reason")
        assert re.fullmatch(r"Hint: .*intermediates.*", page.text(f"{NEWEST} .reason .hint"))
        assert "1 refused" in page.text("#requests-count")
        assert page.text(f"{NEWEST} .checks") == ""
        page.click(f"{NEWEST} button")
        verdicts = page.evaluate(f"[...document.querySelectorAll('{NEWEST} .verdict')].map((one) => one.innerText)")
        assert len(verdicts) > 3
        assert verdicts == ["✓ passed"] * (len(verdicts) - 1) + ["✕ failed"]
        assert_quiet(page, lab)

    def test_a_granted_one_and_its_session(self, page: Page, lab: Lab, root: Identity) -> None:
        assert "None yet" in page.text("#sessions") and "None yet" in page.text("#subjects")
        assert "No request has come yet" in page.text("#no-traces")
        assert ask(lab, issue(root, "web-1")) == 201
        wait_for_requests(page, 1)
        shown = page.text(NEWEST)
        assert "✓" in shown and "granted 201" in shown and "CN=web-1" in shown
        page.wait_for("document.querySelectorAll('#sessions article').length === 1")
        assert "CN=web-1" in page.text("#sessions") and ":assumed-role/" in page.text("#sessions")
        assert "CN=web-1" in page.text("#subjects")
        assert page.text("#sessions-count") == "1"
        assert page.text("#no-traces") == ""
        assert_not_reloaded(page)
        assert_quiet(page, lab)

    def test_the_newest_is_first_and_one_filter_hides_the_rest(self, page: Page, lab: Lab, root: Identity) -> None:
        ask(lab, issue(root, "granted-1"))
        ask(lab, issue(issue(None, "elsewhere", ca=True), "refused-2"))
        ask(lab, issue(root, "granted-3"))
        wait_for_requests(page, 3)
        visible = "[...document.querySelectorAll('#traces > li')].filter((one) => one.checkVisibility())"
        subjects = f"{visible}.map((one) => one.querySelector('.subject').innerText)"
        assert page.evaluate(subjects) == ["CN=granted-3", "CN=refused-2", "CN=granted-1"]
        page.click("[name=show][value=refused]")
        assert page.evaluate(subjects) == ["CN=refused-2"]
        page.click("[name=show][value=all]")
        page.fill("#filter", "GRANTED-1")
        assert page.evaluate(subjects) == ["CN=granted-1"]
        assert page.text("#shown") == "1 of 3 requests shown"
        # What comes later obeys the filter too.
        ask(lab, issue(root, "granted-4"))
        wait_for_requests(page, 4)
        assert page.evaluate(subjects) == ["CN=granted-1"]

    def test_what_came_before_the_page_is_there(self, browser: Pipes, lab: Lab, root: Identity) -> None:
        ask(lab, issue(root, "early"))
        with new_page(browser) as page:
            page.go(f"{lab.endpoint}/")
            wait_for_requests(page, 1)
            assert "CN=early" in page.text(NEWEST)

    def test_a_wrong_signature_shows_the_canonical_request(self, page: Page, lab: Lab, root: Identity) -> None:
        """Opened and closed from the keyboard."""
        assert ask(lab, issue(root, "flipped"), flipped=True) == 403
        wait_for_requests(page, 1)
        page.evaluate(f"document.querySelector('{NEWEST} button').focus()")
        page.press("Enter", 13, "\r")
        shown = page.text(f"{NEWEST} .lines")
        assert "POST\n" in shown and "/sessions" in shown and "x-amz-x509" in shown
        page.press("Enter", 13, "\r")
        assert page.text(f"{NEWEST} .lines") == ""
        assert_quiet(page, lab)

    def test_a_new_request_is_said_to_a_screen_reader(self, page: Page, lab: Lab, root: Identity) -> None:
        ask(lab, issue(root, "heard"))
        page.wait_for("document.querySelector('[aria-live=polite]').textContent.includes('CreateSession granted')")


class TestFirstSteps:
    def test_the_commands_are_those_of_this_lab(self, page: Page, lab: Lab, ca: Path) -> None:
        commands = page.evaluate("[...document.querySelectorAll('#steps pre')].map((one) => one.textContent)")
        for service in ("ROLESANYWHERE", "IAM", "STS"):
            assert f"export AWS_ENDPOINT_URL_{service}={lab.endpoint}\n" in commands[0]
        assert commands[0].endswith(f"export AWS_REGION={lab.trust_anchor_arn.split(':')[3]}")
        for argument in lab.arguments:
            assert argument in commands[1]
        assert "pki creds" in commands[1]

    def test_the_command_works_in_a_shell(self, page: Page, lab: Lab, pki: Pki, ca: Path) -> None:
        command = page.evaluate("document.querySelectorAll('#steps pre')[1].textContent")
        command = command.replace("pki creds", '"$0" creds', 1).replace("credential-process-data", str(ca))
        shell = Pki(pki.home, Path("/bin/sh"))
        result = shell.run("-c", f'{command} && echo "$AWS_ACCESS_KEY_ID"', pki.path)
        assert result.stdout.startswith("ASIA"), result.describe()
        wait_for_requests(page, 1)
        assert "granted" in page.text(NEWEST)

    def test_a_command_is_copied(self, page: Page, browser: Pipes, lab: Lab) -> None:
        browser.call("Browser.grantPermissions", {"origin": lab.endpoint, "permissions": ["clipboardReadWrite"]})
        page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }")
        page.click("#anchors .arn button")
        page.wait_for("window.copied !== undefined")
        assert page.evaluate("window.copied") == lab.trust_anchor_arn
        assert page.text("#anchors .arn button") == "Copied"


class TestNewTrustAnchor:
    def test_a_pasted_bundle_becomes_one(self, page: Page, lab: Lab, pki: Pki, tmp_path: Path) -> None:
        pki.run("init-ca", "--directory", tmp_path / "second")
        bundle = pki.run("print-bundle", "--directory", tmp_path / "second").stdout
        page.click("#add > summary")
        page.fill("#add-name", "second")
        page.fill("#add-bundle", bundle)
        page.click("#add-form [type=submit]")
        page.wait_for("document.querySelectorAll('#anchors article').length === 2")
        names = page.evaluate("[...document.querySelectorAll('#anchors h3')].map((one) => one.innerText)")
        assert "second" in names
        assert page.text("#add-answer").startswith("✓ made arn:aws:rolesanywhere:")
        assert page.evaluate("document.querySelector('#add-bundle').value") == ""
        assert_not_reloaded(page)
        assert_quiet(page, lab)

    def test_a_certificate_of_no_ca_is_refused_beside_the_form(self, page: Page, ca: Path) -> None:
        page.click("#add > summary")
        page.fill("#add-name", "wrong")
        page.fill("#add-bundle", (ca / "client-cert.pem").read_text())
        page.click("#add-form [type=submit]")
        page.wait_for("document.querySelector('#add-answer').innerText !== ''")
        answer = page.text("#add-answer")
        assert answer.startswith("✕ ") and "CA" in answer and "Hint: " in answer
        # The text stays for another try, and the cursor is in it.
        assert "BEGIN CERTIFICATE" in page.evaluate("document.activeElement.value")
        assert page.evaluate("document.querySelectorAll('#anchors article').length") == 1

    def test_a_private_key_never_leaves_the_page(self, page: Page, ca: Path) -> None:
        page.click("#add > summary")
        page.fill("#add-name", "key")
        page.fill("#add-bundle", (ca / "root-cert.pem").read_text() + (ca / "root-key.pem").read_text())
        page.click("#add-form [type=submit]")
        page.wait_for("document.querySelector('#add-answer').innerText.includes('private key')")
        assert not any(url.endswith("/lab/trust-anchors") for url in page.requested)

    @pytest.mark.parametrize(("name", "field"), [("", "add-name"), ("empty", "add-bundle")], ids=["name", "bundle"])
    def test_what_is_missing_is_named(self, page: Page, name: str, field: str) -> None:
        page.click("#add > summary")
        if name:
            page.fill("#add-name", name)
        page.click("#add-form [type=submit]")
        page.wait_for("document.querySelector('#add-answer').innerText !== ''")
        assert page.evaluate("document.activeElement.id") == field


class TestHostileText:
    @pytest.mark.parametrize(
        "name",
        [
            '<img src=x onerror="window.isHacked=1">',
            "<script>window.isHacked=1</script>",
            '"><svg onload=window.isHacked=1>',
        ],
        ids=["img", "script", "svg"],
    )
    @pytest.mark.parametrize("is_granted", [True, False], ids=["granted", "refused"])
    def test_is_shown_as_text(self, page: Page, lab: Lab, root: Identity, name: str, is_granted: bool) -> None:
        subject = Name([NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = root if is_granted else issue(None, subject=subject, ca=True)
        assert (ask(lab, issue(issuer, subject=subject)) == 201) is is_granted
        wait_for_requests(page, 1)
        if is_granted:
            page.wait_for("document.querySelectorAll('#sessions article').length === 1")
        open_everything(page)
        assert "isHacked=1" in page.text(f"{NEWEST} .subject").replace("\\", "")
        assert page.evaluate("document.querySelectorAll('main img, main script, main svg').length") == 0
        assert page.evaluate("window.isHacked") is None
        assert_quiet(page, lab)

    def test_cannot_reorder_what_stands_beside_it(self, page: Page, lab: Lab, root: Identity) -> None:
        subject = Name([NameAttribute(NameOID.COMMON_NAME, "web\u202e1-nimda")])
        ask(lab, issue(root, subject=subject))
        wait_for_requests(page, 1)
        assert "\u202e" not in page.evaluate("document.body.innerText")


class TestAppearance:
    @pytest.fixture
    def full(self, page: Page, lab: Lab, root: Identity) -> Page:
        """A page with something in every section, all of it open."""
        ask(lab, issue(root, "web-1"))
        ask(lab, issue(issue(None, "elsewhere", ca=True), "a-long-name-without-a-place-to-break-a-line-" + "x" * 16))
        ask(lab, issue(root, "flipped"), flipped=True)
        wait_for_requests(page, 3)
        page.wait_for("document.querySelectorAll('#sessions article').length === 1")
        open_everything(page)
        page.click("#add-form [type=submit]")
        page.wait_for("document.querySelector('#add-answer').innerText !== ''")
        return page

    @pytest.mark.parametrize("width", [320, 360, 768, 1024, 1280, 1920])
    def test_nothing_is_wider_than_the_window(self, full: Page, width: int) -> None:
        full.resize(width, 800, phone=width < 500)
        assert full.evaluate(OVERFLOW) == []
        assert full.evaluate("document.documentElement.scrollWidth") <= width

    @pytest.mark.parametrize("width", [360, 1280])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out(self, full: Page, scheme: str, width: int) -> None:
        """At least 4.5 to 1, the bound of WCAG 2.2, 1.4.3, for small text; here for all."""
        full.resize(width, 800, phone=width < 500)
        full.prefer(scheme)
        is_dark = full.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert is_dark is (scheme == "dark")
        result = full.evaluate(CONTRAST)
        assert result["findings"] == []
        assert result["seen"] > 80

    def test_every_control_has_a_name_and_every_section_a_heading(self, full: Page) -> None:
        assert full.evaluate(UNNAMED) == []
        assert full.evaluate("[...document.querySelectorAll('section')].filter((one) => !one.querySelector('h2'))") == []
        assert full.evaluate("document.querySelectorAll('main').length") == 1
        ids = full.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
        assert len(ids) == len(set(ids))

    def test_the_keyboard_reaches_everything_and_shows_where_it_is(self, full: Page) -> None:
        full.evaluate("document.activeElement.blur()")
        controls = full.evaluate("document.querySelectorAll('button, summary, textarea, input').length")
        reached = set()
        for _ in range(controls + 40):
            full.press("Tab", 9)
            shown = full.evaluate(
                "(() => { const one = document.activeElement; if (one === document.body) return null;"
                "const outline = getComputedStyle(one.closest('.choice label') ?? one);"
                "return [one.outerHTML.slice(0, 200), outline.outlineStyle, outline.outlineWidth] })()"
            )
            if shown is None:
                continue  # past the last, before the first
            assert (shown[1], shown[2]) == ("solid", "3px"), shown
            reached.add(shown[0])
        assert any("Skip to the requests" in one for one in reached)
        for part in ("Copy", "Details of request", 'id="filter"', 'id="add-bundle"', 'type="submit"'):
            assert any(part in one for one in reached), part

    def test_is_one_small_file(self, page: Page, lab: Lab) -> None:
        assert page.evaluate(f"fetch('{lab.endpoint}/').then((one) => one.arrayBuffer()).then((one) => one.byteLength)") < 60_000
        assert page.evaluate("document.querySelectorAll('link[rel=stylesheet], script[src], img').length") == 0
        assert_quiet(page, lab)


class TestFaults:
    def test_a_fault_of_the_page_is_shown(self, page: Page) -> None:
        page.evaluate("setTimeout(() => { throw new Error('planted') })")
        page.wait_for("document.querySelector('#faults').innerText.includes('planted')")
        page.click("#faults button")
        assert page.text("#faults") == ""

    def test_a_policy_forbids_what_the_page_does_not_need(self, page: Page) -> None:
        """Even a script that got in could not talk to others."""
        refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => false, () => true)")
        assert refused is True
        page.wait_for("true")
        assert any("Content Security Policy" in one for one in page.complaints)


class TestStream:
    @pytest.mark.smoke
    def test_reconnects_to_a_lab_that_was_restarted(
        self, browser: Pipes, pki: Pki, ca: Path, root: Identity, lab: Lab
    ) -> None:
        with new_page(browser) as page:
            page.go(f"{lab.endpoint}/")
            # It knows this lab, and not only its stream.
            page.wait_for(f"{CONNECTED} && document.querySelectorAll('#anchors article').length === 1")
            page.evaluate("window.isTheSamePage = true")
            ask(lab, issue(root, "first-life"))
            wait_for_requests(page, 1)
            assert lab.stop(signal.SIGTERM) is not None
            page.wait_for("document.querySelector('#link').innerText.includes('reconnecting')")
            with running_lab(pki, "--directory", ca, "--port", str(lab.port)) as second:
                assert second.endpoint == lab.endpoint
                page.wait_for(CONNECTED)
                # Its numbers begin anew: the old list is gone, and the new one's first request is not taken for the old.
                page.wait_for("document.querySelectorAll('#traces > li').length === 0")
                ask(second, issue(root, "second-life"))
                wait_for_requests(page, 1)
                assert "CN=second-life" in page.text(NEWEST)
                assert_not_reloaded(page)
                assert page.text("#faults") == ""
