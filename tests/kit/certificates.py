"""Certificates for servers of the tests, made with openssl."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def self_signed(folder: Path, *, days: int = 2) -> tuple[ssl.SSLContext, Path]:
    """A TLS context for 127.0.0.1 with a certificate that nobody knows, and that certificate's file.

    It is valid for so many days from now; with a negative number it has expired.
    """
    key, request, certificate = (folder / f"tls.{kind}" for kind in ("key", "request", "pem"))
    # fmt: off
    _openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
        "-subj", "/CN=octoflow-tests", "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "keyUsage=critical,digitalSignature,keyCertSign",
    )
    _openssl(
        "x509", "-req", "-in", request, "-signkey", key, "-days", days, "-copy_extensions", "copyall",
        "-out", certificate,
    )
    # fmt: on
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
