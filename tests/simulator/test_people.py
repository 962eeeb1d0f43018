"""Finding people: the relevant ones with tolerance, and the directory by search."""

import pytest

from .client import USER_READ, Client, Json

EVENTUAL = {"ConsistencyLevel": "eventual"}


async def two_named_alice(client: Client) -> None:
    """Add two people of the same first name."""
    await client.control("POST", "people", {"name": "alice.adams", "display_name": "Alice Adams"})
    await client.control("POST", "people", {"name": "alice.brown", "display_name": "Alice Brown"})


async def people(client: Client, headers: dict[str, str], **query: str) -> list[Json]:
    """Return the people that a search finds."""
    response = await client.graph("GET", "me/people", headers, params={f"${key}": text for key, text in query.items()})
    assert response.status_code == 200, response.text
    return list(response.json()["value"])


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ('"alice"', ["Alice Adams", "Alice Brown"]),
        ("ALICE", ["Alice Adams", "Alice Brown"]),
        ('"alise"', ["Alice Adams", "Alice Brown"]),
        ('"alice bro"', ["Alice Brown"]),
        ('"grace@contoso.example"', ["Grace Hopper"]),
        ('"nobody"', []),
        ('"marie"', []),
        ('"ada lovelace"', []),
    ],
)
async def test_people_are_found_with_tolerance(client: Client, search: str, names: list[str]) -> None:
    """Names and addresses are found by beginning and misspelt; not oneself, and nobody of another tenant."""
    await two_named_alice(client)

    found = await people(client, await client.mail_headers("ada@contoso.example", "People.Read"), search=search)

    assert [one["displayName"] for one in found] == names


async def test_person_has_scored_addresses(client: Client) -> None:
    """An address stands in scoredEmailAddresses; who has no mailbox has none."""
    headers = await client.mail_headers("ada@contoso.example", "People.Read")

    (grace,) = await people(client, headers, search="grace")
    (linus,) = await people(client, headers, search="linus")
    everybody = await people(client, headers)

    assert grace["scoredEmailAddresses"][0]["address"] == grace["userPrincipalName"] == "grace@contoso.example"
    assert linus["scoredEmailAddresses"] == []
    assert len(everybody) == 2
    assert len(await people(client, headers, top="1")) == 1
    (chosen,) = await people(client, headers, search="grace", select="displayName")
    assert chosen.keys() == {"id", "displayName"}


async def test_people_refuse_odd_queries(client: Client) -> None:
    """Wrong numbers and what is not modelled are 400."""
    headers = await client.mail_headers("ada@contoso.example", "People.Read")

    for query in ("$top=x", "$top=1001", "$orderby=displayName"):
        assert (await client.graph("GET", f"me/people?{query}", headers)).status_code == 400


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ('"displayName:alice"', ["Alice Adams", "Alice Brown"]),
        ('"displayName:bro"', ["Alice Brown"]),
        ('"displayName:lice"', []),
        ('"mail:grace"', ["Grace Hopper"]),
        ('"displayName:grace" OR "mail:alice.a"', ["Alice Adams", "Grace Hopper"]),
        ('"displayName:alice" AND "displayName:adams"', ["Alice Adams"]),
        ('"displayName:marie"', []),
    ],
)
async def test_directory_is_searched_by_the_beginning_of_words(client: Client, search: str, names: list[str]) -> None:
    """The directory finds words by their beginning, in the caller's tenant only."""
    await two_named_alice(client)
    headers = await client.mail_headers("ada@contoso.example", "User.ReadBasic.All") | EVENTUAL

    response = await client.graph("GET", "users", headers, params={"$search": search, "$select": "displayName,mail"})

    assert [one["displayName"] for one in response.json()["value"]] == names


async def test_directory_shows_the_basics(client: Client) -> None:
    """User.ReadBasic.All gives names and addresses; `$top` limits how many."""
    headers = await client.mail_headers("ada@contoso.example", "User.ReadBasic.All")

    users = (await client.graph("GET", "users", headers)).json()["value"]
    one = (await client.graph("GET", "users?$top=1&$select=id", headers)).json()["value"]

    assert [user["displayName"] for user in users] == ["Ada Lovelace", "Grace Hopper", "Linus Pauling"]
    assert (users[0]["mail"], users[0]["jobTitle"], users[2]["mail"]) == ("ada@contoso.example", None, None)
    assert len(one) == 1


async def test_search_needs_its_header_and_syntax(client: Client) -> None:
    """Without `ConsistencyLevel: eventual`, quotes or a known property a search is 400."""
    headers = await client.mail_headers("ada@contoso.example", "User.ReadBasic.All")

    without = await client.graph("GET", 'users?$search="displayName:a"', headers)
    wrong = [
        await client.graph("GET", f"users?{query}", headers | EVENTUAL)
        for query in (
            "$search=displayName:a",
            '$search="shoeSize:43"',
            '$search="mail:a" OR "mail:b" AND "mail:c"',
            "$top=0",
            "$top=1000",
            "$filter=x",
            "$select=shoeSize",
        )
    ]

    assert (without.status_code, without.json()["error"]["code"]) == (400, "Request_UnsupportedQuery")
    assert [answer.status_code for answer in wrong] == [400] * 7


async def test_directory_needs_its_permission(client: Client) -> None:
    """User.Read is not enough to list users."""
    response = await client.graph("GET", "users", await client.graph_headers(scope=USER_READ))

    assert (response.status_code, response.json()["error"]["code"]) == (403, "Authorization_RequestDenied")
