"""Overlays with Content Credentials, read back by the library and by our own tool."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from PIL import Image
from typer.testing import CliRunner

from facewitness.errors import CertificateUnusable
from facewitness.tools import content_credentials
from facewitness.ui.api import marking, work
from facewitness.ui.api.marking import Marker
from facewitness.ui.api.settings import Settings
from facewitness.ui.api.signing import canonical
from facewitness.ui.cli import app

from .api_server import Running, running, wait
from .certificates import certificate

ROOT = ec.generate_private_key(ec.SECP256R1())
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any, password: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(password) if password else NoEncryption())


def chain(key: Any, **more: Any) -> bytes:
    """Of a signing certificate and the root above it."""
    leaf = certificate("Example News", "Test Root", key, ROOT, False, **more)
    return leaf.public_bytes(Encoding.PEM) + anchor()


def anchor() -> bytes:
    return certificate("Test Root", "Test Root", ROOT, ROOT, True).public_bytes(Encoding.PEM)


def files(folder: Path, certificates: bytes, key: bytes) -> tuple[Path, Path]:
    paths = folder / "chain.pem", folder / "key.pem"
    for path, data in zip(paths, (certificates, key)):
        path.write_bytes(data)
    return paths


def overlay(seed: int = 0) -> bytes:
    """A picture of noise, which no small thumbnail could hide in a manifest."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (200, 300, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def manifest(png: bytes) -> dict[str, Any]:
    """As the library reads it."""
    with (
        c2pa.Context.from_dict(content_credentials.OFFLINE) as context,
        c2pa.Reader("image/png", io.BytesIO(png), context=context) as reader,
    ):
        store = json.loads(reader.json())
    assert list(store["manifests"]) == [store["active_manifest"]]
    assert store["validation_state"] == "Valid"
    return store["manifests"][store["active_manifest"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("marked")
    paths = files(folder, chain(P256), pem(P256))
    with running(folder / "api", certificate=paths[0], certificate_key=paths[1]) as server:
        yield server


def test_overlays_say_what_they_are_and_of_which_record(server: Running, astronaut: Path) -> None:
    photo = astronaut.read_bytes()
    with server.client() as client:
        form = {"keep_pictures": "600", "question": "Is this Ada Canary?"}
        verdict = wait(client, client.post("/v1/verdicts", files={"photo": photo}, data=form).headers["Location"])
        overlays = {key: client.get(path).content for key, path in verdict["links"]["overlays"].items()}
    assert overlays
    for evidence, png in overlays.items():
        found = manifest(png)
        actions, record = found["assertions"]
        assert found["claim_generator_info"][0]["name"] == "facewitness"
        assert [action["action"] for action in actions["data"]["actions"]] == ["c2pa.created"]
        assert actions["data"]["actions"][0]["digitalSourceType"] == marking.COMPOSITE
        assert record["data"] == {
            "record": verdict["record"]["id"],
            "record_sha256": hashlib.sha256(canonical(verdict["record"])).hexdigest(),
            "evidence": evidence,
        }
        read = content_credentials.read(png, "PNG", anchor().decode())
        assert read is not None
        assert (read.state, read.signer, read.source_types) == ("Trusted", "Example News", ("composite",))
        assert read.generator is not None and read.generator.startswith("facewitness ")
        for secret in (b"Canary", hashlib.sha256(photo).hexdigest().encode(), b"thumbnail", b"jumbf=c2pa.ingredient"):
            assert secret not in png


def test_the_manifest_has_no_pixel_and_changes_none(tmp_path: Path) -> None:
    marker, png = Marker(*files(tmp_path, chain(P256), pem(P256))), overlay()
    marked = marker.mark(png, "record", "digest", "e1")
    assert len(marked) - len(png) < 12_000
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(marked))), np.asarray(Image.open(io.BytesIO(png))))
    start = marked.index(b"caBX")  # the chunk with the manifest
    size = int.from_bytes(marked[start - 4 : start], "big")
    assert marked[: start - 4] + marked[start + 8 + size :] == png
    sizes = {len(marker.mark(overlay(seed), "record", "digest", "e1")) - len(overlay(seed)) for seed in range(3)}
    assert max(sizes) - min(sizes) < 100


def test_an_altered_overlay_is_noticed(tmp_path: Path) -> None:
    marked = bytearray(Marker(*files(tmp_path, chain(P256), pem(P256))).mark(overlay(), "record", "digest", "e1"))
    marked[-40] ^= 1
    found = content_credentials.read(bytes(marked), "PNG")
    assert found is not None and found.state == "Invalid"


@pytest.mark.parametrize(
    ("key", "form"),
    [
        (P256, PrivateFormat.TraditionalOpenSSL),
        (ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8),
        (ec.generate_private_key(ec.SECP521R1()), PrivateFormat.PKCS8),
        (rsa.generate_private_key(65537, 2048), PrivateFormat.PKCS8),
        (ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
    ],
    ids=["P-256, SEC 1", "P-384", "P-521", "RSA", "Ed25519"],
)
def test_kinds_of_keys(tmp_path: Path, key: Any, form: PrivateFormat) -> None:
    marker = Marker(*files(tmp_path, chain(key), pem(key, form=form)))
    assert manifest(marker.mark(overlay(), "record", "digest", "e1"))["signature_info"]["issuer"] == "Example News"


OTHER = ec.generate_private_key(ec.SECP256R1())
FOREIGN = ec.generate_private_key(ec.SECP256K1())


@pytest.mark.parametrize(
    ("certificates", "key", "message"),
    [
        (b"", pem(P256), "must be PEM"),
        (b"no certificate", pem(P256), "must be PEM"),
        (chain(P256), b"no key", "must be PEM"),
        (chain(P256), pem(P256, b"password"), "without a password"),
        (chain(P256), pem(OTHER), "not that of the first certificate"),
        (anchor() + chain(P256), pem(P256), "not that of the first certificate"),
        (chain(FOREIGN), pem(FOREIGN), "curve"),
        (chain(P256, ended=True), pem(P256), "has ended"),
        (chain(P256, purpose=ExtendedKeyUsageOID.SERVER_AUTH), pem(P256), "not one for"),
        (anchor(), pem(ROOT), "not one for"),
    ],
)
def test_what_cannot_be_used_is_refused_at_start(tmp_path: Path, certificates: bytes, key: bytes, message: str) -> None:
    with pytest.raises(CertificateUnusable, match=message) as refused:
        Marker(*files(tmp_path, certificates, key))
    assert refused.value.code == "service.certificate"
    assert str(tmp_path) not in str(refused.value)


def test_the_command_refuses_a_file_that_is_not_there_and_one_without_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    paths = files(tmp_path, chain(P256), pem(P256))
    for given in (
        ["--certificate", str(tmp_path / "nothing"), "--certificate-key", str(paths[1])],
        ["--certificate", str(paths[0])],
        ["--certificate-key", str(paths[1])],
    ):
        run = CliRunner().invoke(app, ["api", "--port", "0", "--model", "none", *given])
        assert isinstance(run.exception, CertificateUnusable)
        assert run.exception.exit_code == 5
    assert marking.opened(Settings(folder=tmp_path)) is None


def test_a_certificate_that_ended_meanwhile_costs_no_overlay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marker = Marker(*files(tmp_path, chain(P256), pem(P256)))
    marker._chain = chain(P256, ended=True)
    assert work._marked(marker, overlay(), "record", "digest", "e1") == overlay()
    assert "overlay not marked" in caplog.text
