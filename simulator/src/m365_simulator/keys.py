"""The clock and the signing keys of the tenant.

A key is published before it signs and stays published after it stopped signing (page "Signing key rollover").
"""

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

MakeKey = Callable[[], RSAPrivateKey]


class Clock:
    """Tells the time in epoch seconds, shifted by `offset_seconds`, which may be set."""

    def __init__(self, read: Callable[[], float] = time.time) -> None:
        self._read = read
        self.offset_seconds = 0.0

    def now(self) -> float:
        """Return the shifted time in epoch seconds."""
        return self._read() + self.offset_seconds

    def today(self) -> datetime:
        """Return the shifted time as a date and time in UTC."""
        return datetime.fromtimestamp(self.now(), UTC)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key with the certificate and the identifiers that its JWKS entry shows."""

    kid: str
    private: RSAPrivateKey
    certificate: str
    """DER in base64, as `x5c` wants it (RFC 7517 section 4.7)."""

    def as_jwk(self, issuer: str) -> dict[str, object]:
        """Return the public half as a JWKS entry; `issuer` holds the literal `{tenantid}`."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": _base64url_number(numbers.n),
            "e": _base64url_number(numbers.e),
            "x5c": [self.certificate],
            "issuer": issuer,
        }


def make_rsa_key() -> RSAPrivateKey:
    """Return a fresh RSA key of 2048 bits."""
    return generate_private_key(public_exponent=65537, key_size=2048)


class KeyRing:
    """The published keys: at most one `next`, exactly one `current`, any number of retired ones."""

    def __init__(self, make_key: MakeKey = make_rsa_key) -> None:
        self._make_key = make_key
        self._first = (self._new(), self._new())
        self.reset()

    def reset(self) -> None:
        """Publish the first two keys again, and no other; making new ones would take a quarter of a second."""
        self.current = self._first[0]
        self.next: SigningKey | None = self._first[1]
        self.retired: tuple[SigningKey, ...] = ()

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """Every key that the JWKS shows."""
        upcoming = () if self.next is None else (self.next,)
        return (*upcoming, self.current, *self.retired)

    def find(self, kid: str) -> SigningKey | None:
        """Return the published key with this id."""
        return next((key for key in self.published if key.kid == kid), None)

    def publish(self) -> SigningKey:
        """Publish the key that will sign next, if none is announced yet."""
        if self.next is None:
            self.next = self._new()
        return self.next

    def roll(self) -> SigningKey:
        """Let the announced key sign from now on; the old one stays published."""
        self.retired = (self.current, *self.retired)
        self.current, self.next = self.publish(), None
        return self.current

    def roll_in_emergency(self) -> SigningKey:
        """Sign with a key that was never published before, and withdraw all others immediately."""
        self.current, self.next, self.retired = self._new(), None, ()
        return self.current

    def drop(self) -> None:
        """Withdraw the retired keys."""
        self.retired = ()

    def _new(self) -> SigningKey:
        private = self._make_key()
        certificate = _certificate_of(private)
        thumbprint = hashlib.sha1(certificate, usedforsecurity=False).digest()
        kid = base64.urlsafe_b64encode(thumbprint).decode().rstrip("=")
        return SigningKey(kid, private, base64.b64encode(certificate).decode())


def _certificate_of(private: RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Simulated signing key")])
    start = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=1826))
    return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def _base64url_number(number: int) -> str:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
