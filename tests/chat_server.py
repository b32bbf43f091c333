"""An OpenAI-compatible server on this machine for tests; a subclass says what it replies."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_PIECE = 7  # characters


def _whole(choice: dict[str, Any]) -> bytes:
    reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [{"index": 0, **choice}]}
    return json.dumps(reply).encode()


def _stream(choice: dict[str, Any]) -> bytes:
    text = choice["message"]["content"]
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    deltas = [{"delta": {"role": "assistant", "content": piece}, "finish_reason": None} for piece in pieces]
    ends = [*deltas, {"delta": {}, "finish_reason": "stop"}]
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    lines = [json.dumps({**head, "choices": [{"index": 0, **end}]}) for end in ends]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


class ChatServer:
    """Runs from its creation until ``close``.

    Attributes:
        requests: Bodies that were sent, with the header ``authorization``.
        status: Of every reply.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append({"authorization": self.headers["Authorization"], **json.loads(body)})
                streamed = bool(outer.requests[-1].get("stream"))
                data = (_stream if streamed else _whole)(outer.choice())
                self.send_response(outer.status)
                self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._http.serve_forever, daemon=True).start()

    def choice(self) -> dict[str, Any]:
        """The one answer of a reply."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """Base address of the API."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def close(self) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()
