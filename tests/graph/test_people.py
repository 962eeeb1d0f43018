"""Finding people: what Graph is asked, and how the two lists become one."""

from __future__ import annotations

from typing import Any

import pytest

from m365_mcp.errors import InvalidArgument, PermissionMissing, ReadRefused
from m365_mcp.graph.people import RESULTS_PER_SOURCE, Directory, Person
from tests.graph.recording import Recording, refuses, says


def known(*addresses: str | None, **fields: str) -> dict[str, Any]:
    return {"scoredEmailAddresses": [{"address": address} for address in addresses], **fields}


def both(around: list[dict[str, Any]], listed: list[dict[str, Any]]) -> Recording:
    return Recording(says(200, {"value": around}), says(200, {"value": listed}))


async def test_people_around_come_before_the_directory() -> None:
    """Both are asked with the words; whoever is in both shows once, with what either knows."""
    ada = known("Ada@x.example", "ada@home.example", jobTitle="Countess", department="Engines")
    grace = known("grace@x.example", displayName="Grace")
    listed: list[dict[str, Any]] = [
        {"mail": "ada@X.example", "displayName": "Ada"},
        {"mail": "grace@x.example", "displayName": "G. Hopper"},
        {"mail": "alan@x.example"},
        {"mail": None, "displayName": "A room"},
        {"displayName": "No mail"},
    ]
    graph = both([ada, grace], listed)

    found = await Directory(graph.mailbox()).find("ada lovelace")

    assert found == (
        Person("Ada@x.example", "Ada", "Countess", "Engines", ("people", "directory")),
        Person("grace@x.example", "Grace", None, None, ("people", "directory")),
        Person("alan@x.example", None, None, None, ("directory",)),
    )
    assert graph.asked == [
        (
            "GET",
            '/me/people?$search="ada lovelace"&$top=50&$select=displayName,scoredEmailAddresses,jobTitle,department',
        ),
        (
            "GET",
            '/users?$search="displayName:ada lovelace" OR "mail:ada lovelace" OR "userPrincipalName:ada lovelace"'
            "&$top=50&$select=displayName,mail",
        ),
    ]
    assert graph.requests[0].headers["X-PeopleQuery-QuerySources"] == "Mailbox,Directory"
    assert graph.requests[1].headers["ConsistencyLevel"] == "eventual"
    assert (graph.timed("people"), graph.timed("users")) == (1, 1)
    assert RESULTS_PER_SOURCE == 50


async def test_person_without_an_address_is_left_out() -> None:
    """Who has no mail address cannot get mail; the first address that there is counts."""
    around = [known(), {"displayName": "Nobody"}, {"scoredEmailAddresses": None}, known(None, "b@x.example")]

    assert await Directory(both(around, []).mailbox()).find("x") == (Person("b@x.example", None),)


async def test_nobody_is_found() -> None:
    """An empty answer is nobody."""
    assert await Directory(Recording(says(200, {})).mailbox()).find("x") == ()


@pytest.mark.parametrize(
    ("words", "searched"),
    [
        ('a"b', "a b"),
        ("a\\b", "a b"),
        ("mail:a", "mail a"),
        ("(a)  b", "a b"),
        ("o'neil@x.example", "o'neil@x.example"),
    ],
)
async def test_search_syntax_is_taken_out(words: str, searched: str) -> None:
    """Nobody can leave the quotes around the words."""
    graph = both([], [])

    await Directory(graph.mailbox()).find(words)

    assert f'$search="{searched}"&' in graph.asked[0][1]
    assert f'"mail:{searched}"' in graph.asked[1][1]


@pytest.mark.parametrize("words", ["", "  ", '"', "():", "-"])
async def test_words_without_a_letter_are_refused(words: str) -> None:
    """Graph is not asked, and the caller reads what to give."""
    graph = both([], [])

    with pytest.raises(InvalidArgument) as caught:
        await Directory(graph.mailbox()).find(words)
    assert caught.value.sentence == "'query' has no letters."
    assert caught.value.advice == "Give a name, part of one, or part of an address."
    assert graph.requests == []


@pytest.mark.parametrize(("status", "kind"), [(403, PermissionMissing), (400, ReadRefused)])
@pytest.mark.parametrize("before", [(), (says(200, {}),)], ids=["people", "directory"])
async def test_refusal_of_either_list_is_an_error(before: tuple[Any, ...], status: int, kind: type[Exception]) -> None:
    """Half a list would look like a whole one."""
    with pytest.raises(kind):
        await Directory(Recording(*before, refuses(status)).mailbox()).find("x")
