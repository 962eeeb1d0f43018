"""The permanent id of a person."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class PersonId(NamedTuple):
    """Tenant id and object id (`tid` and `oid`) of a person. A name or an address can change; these ids cannot.

    Source: "Access token claims reference": together the two identify a person across all of Entra ID.
    """

    tenant_id: str
    object_id: str

    def digest(self, *more: str) -> str:
        """Return the SHA-256 of the person and `more`, hexadecimal; two people never have the same digest."""
        return hashlib.sha256("\0".join((*self, *more)).encode()).hexdigest()

    def record_key(self, *more: str) -> str:
        """Return the key of a record that is the person's own, for `more`.

        It begins with a hash tag (Redis Cluster specification, "Hash tags"): a clustered Redis keeps all keys of one
        person with this tag in one slot, and only keys of one slot change together.
        """
        return f"{{{self.digest()[:16]}}}{self.digest(*more)}"


NOBODY = PersonId("", "")
