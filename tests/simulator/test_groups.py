"""Groups and app roles of people: what checkMemberGroups answers and refuses, and what a token says."""

from uuid import uuid4

import pytest

from .client import USER_READ, Client, read

PRESS, SALES = "11111111-aaaa-4000-8000-000000000001", "11111111-aaaa-4000-8000-000000000002"
NEEDED = ("GroupMember.Read.All", "User.Read")


async def check(client: Client, headers: dict[str, str], body: object) -> tuple[int, object]:
    """Return the status, and the value or the code of the error."""
    response = await client.graph("POST", "me/checkMemberGroups", headers, json=body)
    answer = response.json()
    return response.status_code, answer["error"]["code"] if "error" in answer else answer["value"]


async def test_groups_of_the_caller_are_told(client: Client) -> None:
    """Of the ids in the request those of the caller's groups come back; a group that does not exist is none of them."""
    await client.control("PATCH", "people/ada", {"groups": [PRESS]})
    ada = await client.mail_headers("ada@contoso.example", *NEEDED)
    grace = await client.mail_headers("grace@contoso.example", *NEEDED)
    asked = {"groupIds": [SALES, PRESS.upper(), str(uuid4())]}

    assert await check(client, ada, asked) == (200, [PRESS.upper()])
    assert await check(client, grace, asked) == (200, [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"groupIds": []},
        {"groupIds": PRESS},
        {"groupIds": [1]},
        {"groupIds": [PRESS, "press"]},
        {"groupIds": [PRESS.replace("-", "")]},
        {"groupIds": [str(uuid4()) for _ in range(21)]},
        {"groups": [PRESS]},
    ],
)
async def test_wrong_request_is_refused_as_a_whole(client: Client, body: object) -> None:
    """No ids, more than 20, one that is no GUID and an unknown parameter are 400."""
    headers = await client.mail_headers("ada@contoso.example", *NEEDED)

    assert (await check(client, headers, body))[0] == 400


@pytest.mark.parametrize("granted", [(USER_READ.rpartition("/")[2],), ("GroupMember.Read.All",)])
async def test_both_permissions_are_needed(client: Client, granted: tuple[str, ...]) -> None:
    """A token without the permission about groups, or about the caller, is refused with 403."""
    headers = await client.mail_headers("ada@contoso.example", *granted)

    assert await check(client, headers, {"groupIds": [PRESS]}) == (403, "Authorization_RequestDenied")


async def test_twenty_groups_are_few_enough(client: Client) -> None:
    """Twenty ids are answered."""
    headers = await client.mail_headers("ada@contoso.example", *NEEDED)

    assert await check(client, headers, {"groupIds": [str(uuid4()) for _ in range(20)]}) == (200, [])


async def test_app_roles_are_in_the_token_for_our_api(client: Client) -> None:
    """The claim `roles` has the values of the assigned app roles; without any there is no claim."""
    await client.control("PATCH", "people/ada", {"roles": ["Mail.External"]})

    ada, grace = await client.tokens(), await client.tokens("grace@contoso.example")

    assert read(ada["access_token"])["roles"] == ["Mail.External"]
    assert "roles" not in read(grace["access_token"])


@pytest.mark.parametrize("change", [{"groups": ["press"]}, {"groups": [PRESS.upper()]}, {"roles": ["Mail External"]}])
async def test_odd_groups_and_roles_are_no_change(client: Client, change: dict[str, list[str]]) -> None:
    """A group is a GUID in lower case, and the value of a role has no blank."""
    response = await client.tester.patch("/_control/people/ada", json=change)

    assert (response.status_code, response.json()["code"]) == (400, "bad_change")
