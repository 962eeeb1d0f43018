"""The certificates: what they name, and that they are kept while they fit."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509

from m365_simulator.certificate import write_certificates


def test_certificate_names_loopback_and_extra_hosts(tmp_path: Path) -> None:
    """The server certificate is for localhost, both loopback addresses and the extra names."""
    files = write_certificates(tmp_path / "tls", ("sim.contoso.example", "192.0.2.7"))

    server = x509.load_pem_x509_certificate(files.server.read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "sim.contoso.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "192.0.2.7"]


def test_key_is_private_and_the_authoritys_key_is_gone(tmp_path: Path) -> None:
    """Only three files are written, and only the owner reads the key."""
    files = write_certificates(tmp_path)

    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"ca.pem", "server.pem", "server.key"}


def test_fitting_certificates_are_kept(tmp_path: Path) -> None:
    """A second start with the same hosts keeps the authority, so that trust given to it lasts."""
    before = write_certificates(tmp_path).ca.read_bytes()

    assert write_certificates(tmp_path).ca.read_bytes() == before


def test_unfitting_certificates_are_made_anew(tmp_path: Path) -> None:
    """Another host name or a damaged file leads to new certificates."""
    before = write_certificates(tmp_path).ca.read_bytes()
    other = write_certificates(tmp_path, ("sim.contoso.example",)).ca.read_bytes()
    (tmp_path / "server.pem").write_text("damaged")

    assert write_certificates(tmp_path, ("sim.contoso.example",)).ca.read_bytes() != other
    assert other != before


def test_certificate_that_ends_soon_is_made_anew(tmp_path: Path) -> None:
    """On its last day a certificate is replaced, with a new authority; a client that trusts that one is served."""
    authority = trustme.CA()
    ending = authority.issue_cert("localhost", "127.0.0.1", "::1", not_after=datetime.now(UTC) + timedelta(hours=23))
    ending.private_key_pem.write_to_path(tmp_path / "server.key")
    ending.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    files = write_certificates(tmp_path)

    server = x509.load_pem_x509_certificate(files.server.read_bytes())
    server.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))
    assert server.not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)
