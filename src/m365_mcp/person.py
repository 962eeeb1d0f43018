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


NOBODY = PersonId("", "")
