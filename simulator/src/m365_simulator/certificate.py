"""Makes a certificate authority and a server certificate for the loopback names. Knows files and nothing of the tenant.

The authority's private key is never written, so a trusted `ca.pem` can vouch for this one server only.
"""

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key)
    server = _server(ca, ca_key, server_key, names)
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(files.key, key, 0o600)
    _write(files.server, server.public_bytes(serialization.Encoding.PEM), 0o644)
    _write(files.ca, ca.public_bytes(serialization.Encoding.PEM), 0o644)


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("M365 simulator, authority for trying out")
    public = key.public_key()
    builder = _builder(name, name, public)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return builder.sign(key, hashes.SHA256())


def _server(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]
) -> x509.Certificate:
    issuer_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    public = key.public_key()
    builder = _builder(_name("M365 simulator"), ca.subject, public)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
    )
    return builder.sign(ca_key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + LIFE)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _still_fit(files: Files, names: tuple[str, ...]) -> bool:
    """Tell whether the files are there, belong together, name these hosts and last another day."""
    try:
        server = x509.load_pem_x509_certificate(files.server.read_bytes())
        ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        server.verify_directly_issued_by(ca)
        alternative = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:
        return False
    fresh = server.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)
    return fresh and key.public_key() == server.public_key() and set(alternative) == {_general_name(n) for n in names}


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a whole file at once: a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
