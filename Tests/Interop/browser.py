# SPDX-License-Identifier: Apache-2.0
"""A real browser, Debian's chromium without a window, driven over two pipes by its DevTools protocol.

Pipes instead of a debugging port: nothing to choose or to race for, nobody else on the machine can take the browser over,
and Python needs no package for it. Names resolve to nothing here, so that what works does so offline.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from program import clean_environment

OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--password-store=basic",
    "--proxy-server=direct://",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class BrowserError(Exception):
    """What the browser refused, or did not say in time."""


def chromium() -> str | None:
    """The browser's program, if this machine has one."""
    return shutil.which("chromium", path=clean_environment(Path("/"))["PATH"])


class Pipes:
    """The DevTools protocol: JSON messages ended by a zero byte, with the numbers of calls to match their answers."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.numbers = count(1)
        self.rest = bytearray()
        self.pages: dict[str, Page] = {}

    def call(self, method: str, parameters: dict[str, Any], session: str | None = None, seconds: float = 60) -> Any:
        number = next(self.numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = memoryview(json.dumps(message).encode() + b"\0")
        while data:
            data = data[os.write(self.writing, data) :]
        end = time.monotonic() + seconds
        while True:
            answer = self.receive(end, method)
            if answer.get("id") != number:
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error'].get('message')}")
            return answer["result"]

    def receive(self, end: float, awaited: str) -> dict[str, Any]:
        """The next message; an event is filed with its page first."""
        while (stop := self.rest.find(0)) < 0:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.reading], [], [], left)[0]:
                raise BrowserError(f"no answer to {awaited} in time")
            chunk = os.read(self.reading, 1 << 20)
            if not chunk:
                raise BrowserError(f"the browser is gone while {awaited} was awaited")
            self.rest += chunk
        message = json.loads(bytes(self.rest[:stop]))
        del self.rest[: stop + 1]
        if "method" in message and (page := self.pages.get(message.get("sessionId", ""))):
            page.file(message["method"], message["params"])
        return message


@dataclass
class Page:
    """One tab, and what it did so far."""

    pipes: Pipes
    session: str
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings on the console, exceptions nobody caught, and what the browser itself complains of."""
    requested: list[str] = field(default_factory=list)
    """The URL of every request, redirects and refused ones too."""
    loaded: int = 0

    def file(self, method: str, event: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                details = event["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled" if event["type"] in ("error", "warning", "assert"):
                words = (str(one.get("value", one.get("description"))) for one in event["args"])
                self.complaints.append(f"console.{event['type']}: {' '.join(words)}")
            case "Log.entryAdded" if event["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{event['entry']['text']} {event['entry'].get('url', '')}".strip())
            case "Network.requestWillBeSent":
                self.requested.append(event["request"]["url"])
            case "Network.webSocketCreated":
                self.requested.append(event["url"])
            case "Page.loadEventFired":
                self.loaded += 1

    def call(self, method: str, seconds: float = 60, **parameters: Any) -> Any:
        return self.pipes.call(method, parameters, self.session, seconds)

    def go(self, url: str) -> None:
        """Opens an address and waits until it is loaded."""
        loaded = self.loaded
        answer = self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserError(f"{url}: {answer['errorText']}")
        end = time.monotonic() + 60
        while self.loaded == loaded:
            self.pipes.receive(end, f"the load of {url}")

    def evaluate(self, expression: str, seconds: float = 60) -> Any:
        """The value of an expression, awaited if it is a promise."""
        answer = self.call(
            "Runtime.evaluate", seconds, expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 60) -> Any:
        """Looks in the page, after everything that happens there, until an expression is true; returns its value."""
        script = f"""new Promise((done) => {{
            const end = performance.now() + {int(seconds * 1000)};
            const look = () => {{
                const value = ({condition});
                if (value || performance.now() > end) done(value);
                else setTimeout(look, 15);
            }};
            look();
        }})"""
        value = self.evaluate(script, seconds + 10)
        if not value:
            shown = self.evaluate("document.body.innerText")
            raise BrowserError(f"not true after {seconds} s: {condition}\nThe page shows:\n{shown}\n{self.complaints}")
        return value

    def text(self, selector: str) -> str:
        """What a person sees of an element; nothing if there is none or it is hidden."""
        return self.evaluate(
            f"[document.querySelector({json.dumps(selector)})].map((one) => one?.checkVisibility() ? one.innerText : '')[0]"
        )

    def click(self, selector: str) -> None:
        """Brings an element into view and clicks into its middle, as a mouse does."""
        place = self.evaluate(
            f"""(() => {{
                const element = document.querySelector({json.dumps(selector)});
                element.scrollIntoView({{ block: "center", behavior: "instant" }});
                const box = element.getBoundingClientRect();
                return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def fill(self, selector: str, text: str) -> None:
        """Clicks into a field and enters text, in one go as when pasted."""
        self.click(selector)
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )  # fmt: skip

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`, with movement off so that colours are final."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """What is in view as PNG, or the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])


@contextmanager
def running_browser(program: str) -> Iterator[Pipes]:
    """Starts the browser with a directory of its own; whatever happens in the block, all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pki-browser-", ignore_cleanup_errors=True) as home:
        ends = [end for _ in range(2) for end in os.pipe()]
        # Away from 3 and 4, where the browser wants them.
        theirs_in, ours_out, ours_in, theirs_out = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
        for end in ends:
            os.close(end)
        command = [program, *OPTIONS, f"--user-data-dir={home}/profile"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # it refuses to start as root with one
        move = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-'
        with Path(home, "log").open("wb") as log:
            process = subprocess.Popen(
                ["bash", "-c", move, "bash", *command, "about:blank"],
                env=clean_environment(Path(home)),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs_in, theirs_out),
                start_new_session=True,
            )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            pipes = Pipes(ours_in, ours_out)
            try:
                pipes.call("Browser.getVersion", {}, seconds=60)
            except (BrowserError, BrokenPipeError) as error:
                said = Path(home, "log").read_text(errors="replace")
                raise BrowserError(f"{program} does not start: {error}\n{said}") from error
            yield pipes
        finally:
            # Its helpers too: they are of its process group, which is ours to end. Without pipes it ends by itself.
            os.close(ours_out)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            os.close(ours_in)


@contextmanager
def new_page(pipes: Pipes, *, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """A tab that shares nothing with others: no cookies, no cache."""
    context = pipes.call("Target.createBrowserContext", {})["browserContextId"]
    target = pipes.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})["targetId"]
    session = pipes.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
    page = pipes.pages[session] = Page(pipes, session)
    try:
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        yield page
    finally:
        del pipes.pages[session]
        pipes.call("Target.disposeBrowserContext", {"browserContextId": context})
