"""Finding people: those around the signed-in person first, then the directory.

Sources: Graph "List people", "List users", "Use the $search query parameter".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import quote

from m365_mcp.errors import InvalidArgument
from m365_mcp.graph.decipher import decipher
from m365_mcp.graph.mailbox import Mailbox

Source = Literal["people", "directory"]
LOOKED_AT = 50  # of each source; more than are shown, so that a namesake is not overlooked
# The mailbox's own contacts and correspondents, and the organisation's ("List people", optional header).
_BOTH = {"X-PeopleQuery-QuerySources": "Mailbox,Directory"}
# The directory's $search is an advanced query ("Advanced query capabilities on Microsoft Entra ID objects").
_EVENTUAL = {"ConsistencyLevel": "eventual"}


@dataclass(frozen=True)
class Person:
    """Somebody mail can be sent to.

    Attributes:
        address: where.
        found_in: `people` are those around the signed-in person, `directory` is the whole organisation.
    """

    address: str
    name: str | None
    job_title: str | None = None
    department: str | None = None
    found_in: tuple[Source, ...] = ("people",)


@dataclass(frozen=True)
class Directory:
    """What one signed-in person can find out about people."""

    mailbox: Mailbox

    async def find(self, words: str) -> tuple[Person, ...]:
        """Return everybody these words may mean, the most relevant first, each once. Raises M365Error."""
        searched = _searched(words)
        if not re.search(r"\w", searched):
            raise InvalidArgument("'query' has no letters.", advice="Give a name, part of one, or part of an address.")
        return _merged([*await self._around(searched), *await self._everybody(searched)])

    async def _around(self, words: str) -> list[Person]:
        query = f"$search={quote(chr(34) + words + chr(34))}&$top={LOOKED_AT}"
        select = "$select=displayName,scoredEmailAddresses,jobTitle,department"
        response = await self.mailbox.read(f"/me/people?{query}&{select}", "people", _BOTH)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return [one for found in response.json.get("value", ()) for one in _around_one(found)]

    async def _everybody(self, words: str) -> list[Person]:
        search = " OR ".join(f'"{name}:{words}"' for name in ("displayName", "mail", "userPrincipalName"))
        # User.ReadBasic.All shows no more than these.
        path = f"/users?$search={quote(search)}&$top={LOOKED_AT}&$select=displayName,mail"
        response = await self.mailbox.read(path, "users", _EVENTUAL)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return [
            Person(str(one["mail"]), one.get("displayName"), found_in=("directory",))
            for one in response.json.get("value", ())
            if one.get("mail")
        ]


def _searched(words: str) -> str:
    """Return the words without what has a meaning in a search: it is quoted, and a quote would end it."""
    return " ".join(re.sub(r'["\\:()]', " ", words).split())


def _around_one(found: dict[str, Any]) -> Iterator[Person]:
    addresses = [str(one["address"]) for one in found.get("scoredEmailAddresses") or () if one.get("address")]
    for address in addresses[:1]:  # the first is the most relevant
        yield Person(address, found.get("displayName"), found.get("jobTitle"), found.get("department"))


def _merged(found: Iterable[Person]) -> tuple[Person, ...]:
    by_address: dict[str, Person] = {}
    for one in found:
        known = by_address.setdefault(one.address.casefold(), one)
        where = tuple(dict.fromkeys((*known.found_in, *one.found_in)))
        by_address[one.address.casefold()] = replace(known, name=known.name or one.name, found_in=where)
    return tuple(by_address.values())
