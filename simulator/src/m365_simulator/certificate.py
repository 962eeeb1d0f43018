"""Keeps a certificate authority's certificate and a server certificate for the loopback names.

The authority's private key is never written, so a trusted `ca.pem` can vouch for this one server only.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

LIFE = timedelta(days=397)
"""What browsers accept for a server certificate (CA/Browser Forum baseline requirements, section 6.3.2)."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Files:
    """Where the three files are; `ca` alone serves as SSL_CERT_FILE."""

    ca: Path
    server: Path
    key: Path


def write_certificates(directory: Path, hosts: tuple[str, ...] = ()) -> Files:
    """Write `ca.pem`, `server.pem` and `server.key` (readable by the owner only), or keep those that still fit."""
    names = tuple(dict.fromkeys((*LOOPBACK, *hosts)))
    files = Files(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    if not _still_fit(files, names):
        directory.mkdir(parents=True, exist_ok=True)
        _make(files, names)
    return files


def _make(files: Files, names: tuple[str, ...]) -> None:
    maker = "M365 simulator"
    authority = trustme.CA(path_length=0, organization_name=maker, organization_unit_name="Authority for trying out")
    server = authority.issue_cert(
        *names, organization_name=maker, organization_unit_name="Server", not_after=datetime.now(UTC) + LIFE
    )
    _write(files.key, server.private_key_pem.bytes(), 0o600)
    _write(files.server, server.cert_chain_pems[0].bytes(), 0o644)
    _write(files.ca, authority.cert_pem.bytes(), 0o644)


def _still_fit(files: Files, names: tuple[str, ...]) -> bool:
    """Return whether the files are there, belong together, name these hosts and last another day."""
    try:
        server = x509.load_pem_x509_certificate(files.server.read_bytes())
        ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        server.verify_directly_issued_by(ca)
        named = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    fresh = server.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)
    fits = {str(name.value) for name in named} == {name.casefold() for name in names}
    return fresh and fits and key.public_key() == server.public_key()


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a whole file at once: a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
