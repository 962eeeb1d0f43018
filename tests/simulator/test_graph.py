"""Graph: bearer tokens, the profile, and Sent Items."""

import base64
import json

import pytest

from m365_simulator import Simulator
from m365_simulator.permissions import GRAPH
from m365_simulator.tokens import sign

from .client import CAE, MAIL_READ, MAIL_SEND, USER_READ, Client, mail, read

SENT_ITEMS = "/v1.0/me/mailFolders/sentitems/messages"


async def test_profile_has_the_default_properties(client: Client) -> None:
    """Without `$select` exactly the default set comes, with the context."""
    response = await client.microsoft.get("/v1.0/me", headers=await client.graph_headers())

    body = response.json()
    assert body["displayName"] == "Ada Lovelace"
    assert len(body) == 12
    assert body["@odata.context"].endswith("/v1.0/$metadata#users/$entity")
    assert {"request-id", "client-request-id", "x-ms-ags-diagnostic"} <= response.headers.keys()


async def test_profile_has_what_is_selected(client: Client) -> None:
    """`$select` limits the answer; a property that does not exist is refused."""
    headers = await client.graph_headers("linus@contoso.example")

    body = (await client.microsoft.get("/v1.0/me?$select=displayName,mail", headers=headers)).json()
    wrong = await client.microsoft.get("/v1.0/me?$select=shoeSize", headers=headers)

    assert body.keys() == {"@odata.context", "displayName", "mail"}
    assert body["mail"] is None
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "BadRequest")


async def test_profile_needs_its_scope(client: Client) -> None:
    """A token without User.Read is refused with Authorization_RequestDenied."""
    response = await client.microsoft.get("/v1.0/me", headers=await client.graph_headers(scope=MAIL_SEND))

    assert (response.status_code, response.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


async def test_error_has_graphs_shape(client: Client) -> None:
    """The envelope repeats the identifiers of the headers, and the date has no zone."""
    response = await client.microsoft.get("/v1.0/me", headers={"client-request-id": "mine"})

    inner = response.json()["error"]["innerError"]
    assert inner["client-request-id"] == response.headers["client-request-id"] == "mine"
    assert inner["request-id"] == response.headers["request-id"]
    assert inner["date"] == "2027-01-15T08:00:00"
    assert response.headers["www-authenticate"].startswith('Bearer realm=""')


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("", "Access token is empty."),
        ("Basic eDp5", "Access token is empty."),
        ("Bearer", "Access token is empty."),
        ("Bearer nodots", "IDX14100"),
        ("Bearer a.b.c", "CompactToken validation failed"),
    ],
)
async def test_token_that_is_none(client: Client, authorization: str, message: str) -> None:
    """What is no token is 401 InvalidAuthenticationToken with a text of its own."""
    response = await client.microsoft.get("/v1.0/me", headers={"Authorization": authorization})

    assert (response.status_code, response.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert response.json()["error"]["message"].startswith(message)


async def test_token_for_another_audience_or_time(client: Client, simulator: Simulator) -> None:
    """A token for our API, an expired one and one of nobody are refused."""
    ours = {"Authorization": f"Bearer {(await client.tokens())['access_token']}"}
    good = await client.graph_headers()
    nobody = sign(simulator.tenant, read(good["Authorization"].removeprefix("Bearer ")) | {"oid": "nobody"})

    foreign = await client.microsoft.get("/v1.0/me", headers=ours)
    unknown = await client.microsoft.get("/v1.0/me", headers={"Authorization": f"Bearer {nobody}"})
    await client.control("PATCH", "clock", {"offset_seconds": 5400})
    late = await client.microsoft.get("/v1.0/me", headers=good)

    assert foreign.json()["error"]["message"] == "Access token validation failure. Invalid audience."
    assert unknown.status_code == 401
    assert late.json()["error"]["message"] == "Lifetime validation failed, the token is expired."


async def test_revoked_session_is_challenged(client: Client) -> None:
    """After revocation Graph answers 401 with a claims challenge that decodes to JSON."""
    headers = await client.graph_headers()
    await client.control("PATCH", "people/ada", {"revoked": True})

    response = await client.send(headers)

    challenge = response.headers["www-authenticate"]
    claims = challenge.partition('claims="')[2].rstrip('"')
    assert response.status_code == 401
    assert 'error="insufficient_claims"' in challenge
    assert "nbf" in json.loads(base64.b64decode(claims))["access_token"]
    assert await client.outbox() == []


async def test_challenge_may_need_the_client_capability(client: Client) -> None:
    """With the switch, only tokens that declare the capability are challenged."""
    await client.control("PATCH", "switches", {"cae_needs_client_capability": True})
    first = (await client.tokens())["access_token"]
    plain = (await client.exchange(first)).json()["access_token"]
    capable = (await client.exchange(first, claims=CAE)).json()["access_token"]
    await client.control("PATCH", "people/ada", {"revoked": True})

    answers = [
        (await client.microsoft.get("/v1.0/me", headers={"Authorization": f"Bearer {token}"})).status_code
        for token in (plain, capable)
    ]

    assert answers == [200, 401]


async def test_unknown_paths_and_methods(client: Client) -> None:
    """What is not modelled is refused as Graph or as Entra would."""
    graph = await client.microsoft.get("/v1.0/me/calendar")
    method = await client.microsoft.get("/v1.0/me/sendMail")
    entra = await client.microsoft.get("/nothing/here/at/all")

    assert (graph.status_code, graph.json()["error"]["code"]) == (400, "BadRequest")
    assert method.status_code == 405
    assert (entra.status_code, entra.json()["error"]) == (404, "not_found")


async def test_sent_items_lists_newest_first_in_pages(client: Client) -> None:
    """`$top` makes pages, and the next link leads on."""
    headers = await client.graph_headers()
    for number in range(3):
        await client.send(headers, mail(subject=f"Letter {number}"))

    first = (await client.microsoft.get(f"{SENT_ITEMS}?$top=2&$select=subject", headers=headers)).json()
    second = (await client.microsoft.get(first["@odata.nextLink"], headers=headers)).json()

    assert [message["subject"] for message in first["value"]] == ["Letter 2", "Letter 1"]
    assert first["value"][0].keys() == {"@odata.etag", "subject", "id"}
    assert [message["subject"] for message in second["value"]] == ["Letter 0"]
    assert "@odata.nextLink" not in second


async def test_sent_items_finds_a_message_by_its_id(client: Client) -> None:
    """The filter on internetMessageId works; any other is refused."""
    headers = await client.graph_headers()
    await client.send(headers)
    (known,) = (await client.microsoft.get(SENT_ITEMS, headers=headers)).json()["value"]

    for wanted, count in ((known["internetMessageId"], 1), ("<other@contoso.example>", 0)):
        query = {"$filter": f"internetMessageId eq '{wanted}'"}
        found = (await client.microsoft.get(SENT_ITEMS, params=query, headers=headers)).json()["value"]
        assert len(found) == count
    refused = await client.microsoft.get(SENT_ITEMS, params={"$filter": "hasAttachments eq true"}, headers=headers)
    assert refused.status_code == 400


@pytest.mark.parametrize("query", ["$top=0", "$top=x", "$top=1001", "$skip=-1"])
async def test_sent_items_refuses_odd_numbers(client: Client, query: str) -> None:
    """`$top` is between 1 and 1000, `$skip` a whole number."""
    response = await client.microsoft.get(f"{SENT_ITEMS}?{query}", headers=await client.graph_headers())

    assert response.status_code == 400


async def test_sent_items_needs_a_reading_scope(client: Client) -> None:
    """Mail.Send is not enough to read; Mail.ReadBasic hides the text."""
    await client.control("POST", "consents", {"admin": True, "scopes": [f"{GRAPH}/Mail.ReadBasic"]})
    sender = await client.graph_headers(scope=MAIL_SEND)
    await client.send(sender)

    refused = await client.microsoft.get(SENT_ITEMS, headers=sender)
    basic = await client.microsoft.get(SENT_ITEMS, headers=await client.graph_headers(scope=f"{GRAPH}/Mail.ReadBasic"))
    full = await client.microsoft.get(SENT_ITEMS, headers=await client.graph_headers(scope=MAIL_READ))

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ErrorAccessDenied")
    assert "body" not in basic.json()["value"][0]
    assert full.json()["value"][0]["body"]["contentType"] == "html"


async def test_sent_items_without_a_mailbox(client: Client) -> None:
    """A person without licence has no Sent Items."""
    headers = await client.graph_headers("linus@contoso.example", scope=f"{MAIL_READ} {USER_READ}")

    assert (await client.microsoft.get(SENT_ITEMS, headers=headers)).status_code == 404
