"""Content Credentials (C2PA) in overlay pictures, where the deployment has a certificate: who drew what, from what."""

from __future__ import annotations

import json
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from PIL import Image

from ...errors import CertificateUnusable
from ...tools import content_credentials
from .settings import Settings

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/composite"
"""IPTC digital source type: a photo whose origin is the question, with something drawn over it."""
RECORD = "facewitness.record"
"""Label of the assertion that names record and evidence."""
_SETTINGS = {
    **content_credentials.OFFLINE,
    "builder": {"thumbnail": {"enabled": False}},  # on by default, and it shows the photo
}
_CURVES = {
    "secp256r1": c2pa.C2paSigningAlg.ES256,
    "secp384r1": c2pa.C2paSigningAlg.ES384,
    "secp521r1": c2pa.C2paSigningAlg.ES512,
}


def opened(settings: Settings) -> Marker | None:
    """The marker of a deployment that has a certificate; raises CertificateUnusable."""
    if settings.certificate is None and settings.certificate_key is None:
        return None
    if settings.certificate is None or settings.certificate_key is None:
        raise CertificateUnusable("A certificate and its private key are needed, both or neither.")
    return Marker(settings.certificate, settings.certificate_key)


class Marker:
    """Signs overlay pictures with the deployment's certificate.

    Args:
        chain: PEM file of the signing certificate and those between it and the root.
        key: PEM file of its private key, without a password.

    Raises:
        CertificateUnusable: A file cannot be read, they do not belong together, or what they sign is not valid.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain, self._key, self._algorithm = _opened(chain, key)
        sample = BytesIO()
        Image.new("RGB", (8, 8)).save(sample, "PNG")
        try:
            found = content_credentials.read(self.mark(sample.getvalue(), "-", "-", "-"), "PNG")
        except c2pa.C2paError:
            found = None
        if found is None or found.state not in ("Trusted", "Valid"):
            raise CertificateUnusable("The certificate has ended, or is not one for Content Credentials.")

    def mark(self, png: bytes, record: str, digest: str, evidence: str) -> bytes:
        """The picture with a signed manifest in it, which has no pixel and nothing of a person.

        Args:
            png: The overlay.
            record: Id of the record that it belongs to.
            digest: SHA-256 of that record in canonical form, hexadecimal.
            evidence: Id of the evidence that is drawn.

        Raises:
            c2pa.C2paError: It cannot be signed, such as with a certificate that has ended meanwhile.
        """
        manifest, marked = json.dumps(_manifest(record, digest, evidence)), BytesIO()
        info = c2pa.C2paSignerInfo(self._algorithm, self._chain, self._key, None)
        with (
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Builder(manifest, context=context) as builder,
            c2pa.Signer.from_info(info) as signer,
        ):
            builder.sign(signer, "image/png", BytesIO(png), marked)
        return marked.getvalue()


def _manifest(record: str, digest: str, evidence: str) -> dict[str, Any]:
    program = {"name": "facewitness", "version": version("facewitness")}
    action = {
        "action": "c2pa.created",
        "digitalSourceType": COMPOSITE,
        "softwareAgent": program,
        "description": "Where an item of evidence was measured, drawn over the examined photo.",
    }
    named = {"record": record, "record_sha256": digest, "evidence": evidence}
    return {
        "claim_generator_info": [program],
        "title": f"Overlay {evidence} of record {record}",
        "format": "image/png",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}, "created": True},
            {"label": RECORD, "data": named, "created": True},
        ],
    }


def _opened(chain: Path, key: Path) -> tuple[bytes, bytes, c2pa.C2paSigningAlg]:
    """Certificates and key as the library takes them, and the algorithm that they sign with (C2PA 2.2, 13.2)."""
    try:
        certificates = x509.load_pem_x509_certificates(_read(chain, "certificate"))
        private = serialization.load_pem_private_key(_read(key, "private key"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise CertificateUnusable("Certificate and private key must be PEM, the key without a password.") from None
    if certificates[0].public_key() != private.public_key():
        raise CertificateUnusable("The private key is not that of the first certificate.")
    algorithm = _algorithm(private)
    if algorithm is None:
        raise CertificateUnusable("The key must be RSA, Ed25519, or on the curve P-256, P-384 or P-521.")
    pem, pkcs8, no_password = Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption()
    return (
        b"".join(certificate.public_bytes(pem) for certificate in certificates),
        private.private_bytes(pem, pkcs8, no_password),
        algorithm,
    )


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateUnusable(f"The {what} cannot be read ({error.strerror}).") from None


def _algorithm(key: Any) -> c2pa.C2paSigningAlg | None:
    if isinstance(key, rsa.RSAPrivateKey):
        return c2pa.C2paSigningAlg.PS256
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return c2pa.C2paSigningAlg.ED25519
    return _CURVES.get(key.curve.name) if isinstance(key, ec.EllipticCurvePrivateKey) else None
