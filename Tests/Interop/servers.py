# SPDX-License-Identifier: Apache-2.0
"""Small servers that a client meets on bad days: one that never answers, and a proxy."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@contextmanager
def silent() -> Iterator[int]:
    """Accepts connections and says nothing; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []
        closing = threading.Event()

        def accept() -> None:
            while not closing.is_set():
                if select.select([listener], [], [], 0.02)[0]:
                    kept.append(listener.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            closing.set()
            thread.join()
            for connection in kept:
                connection.close()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@dataclass
class Proxy:
    """An HTTP proxy that knows CONNECT only, and sends every tunnel to one port on this machine."""

    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def proxy(target_port: int) -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state = Proxy(listener.getsockname()[1])
        closing = threading.Event()

        def tunnel(client: socket.socket) -> None:
            with client:
                head = b""
                while b"\r\n\r\n" not in head:
                    chunk = client.recv(4096)
                    if not chunk:
                        return
                    head += chunk
                request = head.decode("latin-1").split("\r\n")[0]
                state.asked.append(request)
                if not request.startswith("CONNECT "):
                    client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                    return
                with socket.create_connection(("127.0.0.1", target_port)) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    relay(client, server, closing)

        def accept() -> None:
            while not closing.is_set():
                if select.select([listener], [], [], 0.02)[0]:
                    threading.Thread(target=tunnel, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            closing.set()
            thread.join()


def relay(one: socket.socket, other: socket.socket, closing: threading.Event) -> None:
    """Passes bytes both ways until either side is done."""
    across = {one: other, other: one}
    while not closing.is_set():
        for ready in select.select([one, other], [], [], 0.1)[0]:
            try:
                data = ready.recv(65536)
                if not data:
                    return
                across[ready].sendall(data)
            except OSError:
                return
