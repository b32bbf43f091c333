"""A real receiver of webhooks on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .api_server import SECONDS


@dataclass
class Receiver:
    """What came in, and what is answered."""

    url: str = ""
    handler: type[BaseHTTPRequestHandler] = BaseHTTPRequestHandler
    answers: list[int] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def messages(self, count: int) -> list[tuple[str, dict[str, str], bytes]]:
        end = time.monotonic() + SECONDS
        while len(self.seen) < count:
            assert time.monotonic() < end
            time.sleep(0.05)
        return self.seen


@contextmanager
def receiving() -> Iterator[Receiver]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed in the middle
                return
            received.seen.append((self.path, dict(self.headers), body))
            status = received.answers.pop(0) if received.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    received.handler = Handler
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        received.url = f"http://127.0.0.1:{http.server_port}/hook?a=1"
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}).start()
        yield received
        http.shutdown()
