"""The permanent id of a person."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class PersonId(NamedTuple):
    """Tenant id and object id (`tid` and `oid`) of a person. Names and addresses change; these ids do not.

    Source: "Access token claims reference": the two ids together identify a person in all of Entra ID.
    """

    tenant_id: str
    object_id: str

    def digest(self, *parts: str) -> str:
        """Return the SHA-256 of the person and `parts`, hexadecimal; two people never have the same digest."""
        return hashlib.sha256("\0".join((*self, *parts)).encode()).hexdigest()

    def record_key(self, *parts: str) -> str:
        """Return the key of a record of this person, for `parts`.

        The key begins with a hash tag (Redis Cluster specification, "Hash tags"). A Redis cluster stores all keys with
        the same tag in one slot, and only keys of one slot can change in one transaction.
        """
        return f"{{{self.digest()[:16]}}}{self.digest(*parts)}"


ANONYMOUS = PersonId("", "")
