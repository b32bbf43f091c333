"""Sending to webhooks: signed after Standard Webhooks, to addresses that an operator registered and nowhere else."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook

from ...errors import FacewitnessError
from .deliveries import Deliveries, Message
from .logs import LOG
from .metrics import Metrics

SECONDS = 10.0
"""For an attempt as a whole."""
POLL = 0.5
SENDERS = 4
"""Messages that one process sends at a time, each of another owner."""


class Unreachable(FacewitnessError):
    """A webhook did not take a message; never shown to a client."""


class Turns:
    """Messages for the senders of one process, of each owner one at a time: a receiver that hangs delays its own.

    Args:
        deliveries: The messages.
    """

    def __init__(self, deliveries: Deliveries) -> None:
        self.deliveries = deliveries
        self._lock, self._sending = threading.Lock(), set[str]()

    @contextmanager
    def next(self) -> Iterator[Message | None]:
        """A message that is due, while the block runs; None if there is none."""
        with self._lock:
            message = self.deliveries.claim(without=tuple(self._sending))
            if message is not None:
                self._sending.add(message.owner)
        try:
            yield message
        finally:
            if message is not None:
                with self._lock:
                    self._sending.discard(message.owner)


class Sender(threading.Thread):
    """Sends what is due, one message at a time.

    Args:
        turns: Gives the messages.
        metrics: Counts them.
        private: Whether addresses that are not public (this machine, private networks) may be sent to.
        stop: Set when the process ends.
    """

    def __init__(self, turns: Turns, metrics: Metrics, private: bool, stop: threading.Event) -> None:
        super().__init__(name="facewitness-webhooks", daemon=True)
        self._turns, self._deliveries = turns, turns.deliveries
        self._metrics, self._private, self._stop_asked = metrics, private, stop

    def run(self) -> None:
        """Until the process ends."""
        while not self._stop_asked.is_set():
            try:
                with self._turns.next() as message:
                    if message is not None:
                        self._send(message)
                        continue
            except Exception as error:  # noqa: BLE001 - due again when its time is over
                LOG.error("webhooks failed", error=type(error).__name__)
            self._stop_asked.wait(POLL)

    def _send(self, message: Message) -> None:
        try:
            asyncio.run(post(message, self._private))
        except (Unreachable, OSError, httpx.HTTPError, TimeoutError) as error:
            kept = self._deliveries.later(message)
            self._metrics.webhook("retried" if kept else "given up")
            LOG.warning("webhook not taken", attempt=message.attempt, error=type(error).__name__)
        else:
            self._deliveries.end(message)
            self._metrics.webhook("taken")


async def post(message: Message, private: bool) -> None:
    """Send a message once.

    The name is looked up once, every address found is checked, and the connection goes to the one that was checked: a
    name that points elsewhere a moment later changes nothing. Redirects are not followed, and no answer is read.

    Raises:
        Unreachable: No status 2xx, or an address that is not public.
        OSError, httpx.HTTPError, TimeoutError: No answer.
    """
    parts = urlsplit(message.url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    async with asyncio.timeout(SECONDS), httpx.AsyncClient(trust_env=False, timeout=SECONDS) as client:
        address = await _address(host, port, private)
        request = client.build_request(
            "POST",
            httpx.URL(message.url).copy_with(host=address, port=port),
            content=_body(message),
            headers={**_signed(message), "Host": parts.netloc, "Content-Type": "application/json"},
            extensions={"sni_hostname": host},
        )
        response = await client.send(request, stream=True, follow_redirects=False)
        await response.aclose()
    if not response.is_success:
        raise Unreachable(f"status {response.status_code}")


async def _address(host: str, port: int, private: bool) -> str:
    addresses = [str(entry[4][0]) for entry in await _looked_up(host, port)]
    if not addresses or not (private or all(map(_public, addresses))):
        raise Unreachable("The address is not public.")
    return addresses[0]


async def _looked_up(host: str, port: int) -> list[Any]:
    """As ``getaddrinfo`` of the loop; but for that one's thread ``asyncio.run`` would wait, however late it answers."""
    found: Future[list[Any]] = Future()
    found.set_running_or_notify_cancel()  # so that an answer that comes too late still has where to go

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=look_up, name="facewitness-name", daemon=True).start()
    return await asyncio.wrap_future(found)


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or ip
    return inner.is_global and not inner.is_multicast


def _body(message: Message) -> str:
    finished = datetime.fromtimestamp(message.body["timestamp"], UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({**message.body, "timestamp": finished}, separators=(",", ":"))


def _signed(message: Message) -> dict[str, str]:
    at = datetime.now(UTC)
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(message.secret).sign(message.id, at, _body(message)),
    }
