"""Links records by hash, so that whoever changes, removes or moves one must change all that follow, and signs tips.

Each record names its chain, its number and the hash of the record before. The hash is SHA-256 over the canonical form
of the record without its hash: JSON with sorted names, whole numbers and ASCII only, without white space. A process
begins a chain of its own. A tip is a chain's name, number and hash at one moment, signed with Ed25519 (RFC 8032).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LINK = "chain"  # the place of the link in a record's `unmapped`
TIP = "tips"  # the place of tips in a record's `unmapped`
START = "0" * 64
_PURPOSE = b"m365-mcp audit tip\n"


@dataclass(frozen=True)
class Tip:
    """A chain at one moment.

    Attributes:
        chain: the chain.
        number: the number of its last record.
        hash: the hash of that record.
        signature: the signature, hexadecimal; empty where the operator has no key.
    """

    chain: str
    number: int
    hash: str
    signature: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the tip as it is in a record and in the store."""
        return {"chain": self.chain, "number": self.number, "hash": self.hash, "signature": self.signature}

    def signed(self, key: Ed25519PrivateKey | None) -> Tip:
        """Return the tip with a signature; without a key, as it is."""
        if key is None:
            return self
        return Tip(self.chain, self.number, self.hash, key.sign(self._message()).hex())

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        """Return whether the signature is one of this key."""
        try:
            key.verify(bytes.fromhex(self.signature), self._message())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _message(self) -> bytes:
        return _PURPOSE + f"{self.chain}\n{self.number}\n{self.hash}".encode()


def read_tip(found: object) -> Tip | None:
    """Return the tip in a record or in the store; None if it is not valid."""
    if not isinstance(found, dict):
        return None
    chain, number, digest, signature = (found.get(name) for name in ("chain", "number", "hash", "signature"))
    if not (isinstance(chain, str) and isinstance(digest, str) and isinstance(signature, str)):
        return None
    return Tip(chain, number, digest, signature) if isinstance(number, int) and number > 0 else None


def canonical(record: Mapping[str, Any]) -> bytes:
    """Return the one form of a record that its hash covers."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def hash_of(record: Mapping[str, Any]) -> str:
    """Return the hash of a record, which does not cover itself."""
    unmapped = record["unmapped"]
    link = {name: value for name, value in unmapped[LINK].items() if name != "hash"}
    return hashlib.sha256(canonical({**record, "unmapped": {**unmapped, LINK: link}})).hexdigest()


@dataclass
class Chain:
    """The chain of one process; only the thread of the writer uses it.

    Attributes:
        id: its name.
        number: the number of its last record.
        hash: the hash of its last record.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0
    hash: str = START

    @property
    def tip(self) -> Tip:
        """The chain at this moment."""
        return Tip(self.id, self.number, self.hash)

    def add(self, record: Mapping[str, Any]) -> bytes:
        """Return the line of `record` as the next of the chain."""
        self.number += 1
        link = {"id": self.id, "previous": self.hash}
        metadata = {**record["metadata"], "sequence": self.number, "uid": f"{self.id}-{self.number}"}
        linked = {**record, "metadata": metadata, "unmapped": {**record.get("unmapped", {}), LINK: link}}
        self.hash = hash_of(linked)
        link["hash"] = self.hash
        return canonical(linked) + b"\n"
