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

    def record_key(self, *more: str) -> str:
        """Return the key of a record that is the person's own, for `more`.

        It begins with a hash tag (Redis Cluster specification, "Hash tags"): a clustered Redis keeps all keys of one
        person with this tag in one slot, and only keys of one slot change together.
        """
        return f"{{{self.digest()[:16]}}}{self.digest(*more)}"


NOBODY = PersonId("", "")
