"""As much of S3 as reading takes: a bucket whose objects are the files of a folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest


@contextmanager
def bucket(folder: Path) -> Iterator[dict[str, int]]:
    """Serve ``s3://bucket/``; gives the number of bytes that were sent, by key."""
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()  # they remember another test's address
    sent: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._object(body=False)

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if "list-type" in asked.query:
                given = {name: values[0] for name, values in parse_qs(asked.query).items()}
                self._send(200, _listing(folder, given.get("prefix", "")).encode(), {"Content-Type": "text/xml"})
            else:
                self._object(body=True)

        def _object(self, body: bool) -> None:
            key = unquote(urlsplit(self.path).path).removeprefix("/bucket/")
            if not (folder / key).is_file():
                self._send(404, b"<Error><Code>NoSuchKey</Code></Error>" if body else b"", {})
                return
            data = (folder / key).read_bytes()
            status, extra = 200, {"ETag": f'"{len(data)}"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
            if asked := self.headers.get("Range"):
                first, _, last = asked.removeprefix("bytes=").partition("-")
                end = min(int(last or len(data)) + 1, len(data))
                extra["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
                status, data = 206, data[int(first) : end]
            if body:
                sent[key] = sent.get(key, 0) + len(data)
            self._send(status, data, extra, body)

        def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool = True) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "tests")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            yield sent
    finally:
        server.shutdown()
        server.server_close()


def _listing(folder: Path, prefix: str) -> str:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    below = [key for key in files if key.startswith(prefix)]
    folders = sorted({prefix + key[len(prefix) :].split("/")[0] + "/" for key in below if "/" in key[len(prefix) :]})
    objects = [key for key in below if "/" not in key[len(prefix) :]]
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
        f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(objects) + len(folders)}</KeyCount>"
        "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
        + "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"1"</ETag><Size>{(folder / key).stat().st_size}</Size></Contents>'
            for key in objects
        )
        + "".join(f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>" for key in folders)
        + "</ListBucketResult>"
    )
