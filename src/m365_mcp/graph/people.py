"""Finds people: first the people around the signed-in person, then the directory.

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
RESULTS_PER_SOURCE = 50  # more than the tool shows, so that it notices a namesake
# Contacts and correspondents of the mailbox, and people of the organisation ("List people", optional header).
_ALL_SOURCES = {"X-PeopleQuery-QuerySources": "Mailbox,Directory"}
# The directory's $search is an advanced query ("Advanced query capabilities on Microsoft Entra ID objects").
_EVENTUAL = {"ConsistencyLevel": "eventual"}


@dataclass(frozen=True)
class Person:
    """A person who can receive mail.

    Attributes:
        address: the mail address.
        found_in: `people` for the people around the signed-in person, `directory` for the whole organisation.
    """

    address: str
    name: str | None
    job_title: str | None = None
    department: str | None = None
    found_in: tuple[Source, ...] = ("people",)


@dataclass(frozen=True)
class Directory:
    """The people that one signed-in person can find."""

    mailbox: Mailbox

    async def find(self, words: str) -> tuple[Person, ...]:
        """Return the people who match these words, the most relevant first, each once. Raises M365Error."""
        searchable = _searchable(words)
        if not re.search(r"\w", searchable):
            raise InvalidArgument("'query' has no letters.", advice="Give a name, part of one, or part of an address.")
        return _merge([*await self._find_around(searchable), *await self._find_in_directory(searchable)])

    async def _find_around(self, words: str) -> list[Person]:
        query = f"$search={quote(chr(34) + words + chr(34))}&$top={RESULTS_PER_SOURCE}"
        select = "$select=displayName,scoredEmailAddresses,jobTitle,department"
        response = await self.mailbox.read(f"/me/people?{query}&{select}", "people", _ALL_SOURCES)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return [person for entry in response.json.get("value", ()) for person in _people_of(entry)]

    async def _find_in_directory(self, words: str) -> list[Person]:
        search = " OR ".join(f'"{name}:{words}"' for name in ("displayName", "mail", "userPrincipalName"))
        # The permission User.ReadBasic.All shows only basic fields.
        path = f"/users?$search={quote(search)}&$top={RESULTS_PER_SOURCE}&$select=displayName,mail"
        response = await self.mailbox.read(path, "users", _EVENTUAL)
        if response.status != 200:
            raise decipher(response, changes_something=False)
        return [
            Person(str(entry["mail"]), entry.get("displayName"), found_in=("directory",))
            for entry in response.json.get("value", ())
            if entry.get("mail")
        ]


def _searchable(words: str) -> str:
    """Return the words without the characters of the search syntax, because a quote would end the quoted search."""
    return " ".join(re.sub(r'["\\:()]', " ", words).split())


def _people_of(entry: dict[str, Any]) -> Iterator[Person]:
    scored = entry.get("scoredEmailAddresses") or ()
    addresses = [str(email["address"]) for email in scored if email.get("address")]
    for address in addresses[:1]:  # the first is the most relevant
        yield Person(address, entry.get("displayName"), entry.get("jobTitle"), entry.get("department"))


def _merge(people: Iterable[Person]) -> tuple[Person, ...]:
    by_address: dict[str, Person] = {}
    for person in people:
        known = by_address.setdefault(person.address.casefold(), person)
        sources = tuple(dict.fromkeys((*known.found_in, *person.found_in)))
        by_address[person.address.casefold()] = replace(known, name=known.name or person.name, found_in=sources)
    return tuple(by_address.values())
