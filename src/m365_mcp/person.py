"""Who a person is for good: the two ids that never change."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class PersonId(NamedTuple):
    """Tenant and object id (`tid` and `oid`); a name or an address can change, these cannot.

    Source: "Access token claims reference": together the two name a person across all of Entra ID.
    """

    tenant_id: str
    object_id: str

    def digest(self, *more: str) -> str:
        """Return a SHA-256, hexadecimal, of the person and `more`; two people never share one."""
        return hashlib.sha256("\0".join((*self, *more)).encode()).hexdigest()


NOBODY = PersonId("", "")
