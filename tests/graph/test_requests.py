"""What a request to Graph is made of, what its tokens are, and how the profile and messages are read."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx2
import pytest

from m365_mcp.errors import (
    GraphUnavailable,
    MailboxMissing,
    MessageMissing,
    OutcomeUnknown,
    PermissionMissing,
    ReadRefused,
    SignInNeeded,
    Throttled,
)
from m365_mcp.graph import client
from m365_mcp.graph.client import GraphRequest
from m365_mcp.graph.items import ITEM_QUERY, Item, item_path, read_item, read_recipients, read_sender
from m365_mcp.graph.mailbox import Mailbox, Profile, TokenSource
from m365_mcp.mail import Recipient
from m365_mcp.retries import RetryPolicy
from tests.graph import recording
from tests.graph.recording import Recording, person, refuses, says

CALL = GraphRequest("POST", "/me/x?y=z", "the-token", "doX", {"Prefer": "this"}, b'{"a":1}')


def test_limits_are_the_documented_ones() -> None:
    """A read is repeated for eight seconds, a connection is tried twice within twenty."""
    assert client.SEND_SECONDS == 20.0
    assert RetryPolicy(seconds=8.0, first_pause=0.5) == client.READS
    assert RetryPolicy(seconds=20.0, first_pause=0.1, tries=2) == client.CONNECTIONS


async def test_request_carries_token_headers_and_body() -> None:
    """Address, method, the token, an id for support and the body are as asked; the time is recorded by operation."""
    graph = Recording(says(201, {"b": 2}, Retry_After="7"))

    first, _ = await graph.client().act(CALL), await graph.client().act(CALL)

    one, two = graph.requests
    assert (one.method, str(one.url)) == ("POST", "https://graph.example.com/v1.0/me/x?y=z")
    assert one.content == b'{"a":1}'
    assert one.headers["Authorization"] == "Bearer the-token"
    assert one.headers["Content-Type"] == "application/json"
    assert one.headers["Prefer"] == "this"
    assert uuid.UUID(one.headers["client-request-id"]) != uuid.UUID(two.headers["client-request-id"])
    assert (first.status, first.json, first.request_id) == (201, {"b": 2}, "the-id")
    assert first.headers["retry-after"] == "7"
    assert graph.timed("doX") == 2


async def test_read_has_no_body() -> None:
    """A GET names no type of content."""
    graph = Recording(says(200))

    await graph.client().get("/me", "the-token", operation="me", headers={"Prefer": "this"})

    [request] = graph.requests
    assert (request.method, request.url.path, request.content) == ("GET", "/v1.0/me", b"")
    assert request.headers["Prefer"] == "this"
    assert request.headers["Authorization"] == "Bearer the-token"
    assert "Content-Type" not in request.headers
    assert graph.timed("me") == 1


async def test_read_that_breaks_off_is_an_outage() -> None:
    """A read has no effect, so a broken connection is not an unknown outcome."""
    with pytest.raises(GraphUnavailable):
        await Recording(httpx2.ReadError("broke off")).client().get("/me", "t", operation="me")


async def test_read_waits_as_long_as_graph_asks() -> None:
    """A Retry-After that fits is waited for; a fault that stays is returned."""
    graph = Recording(refuses(503, Retry_After="0"), refuses(503, Retry_After="60"))

    response = await graph.client().get("/me", "t", operation="me")

    assert (response.status, len(graph.requests)) == (503, 2)


def test_secrets_show_in_no_representation() -> None:
    """Neither the token nor the body of a request shows in its repr."""
    assert repr(CALL) == ("GraphRequest(method='POST', path='/me/x?y=z', operation='doX', headers={'Prefer': 'this'})")
    assert GraphRequest("GET", "/me", "t", "me") == GraphRequest("GET", "/me", "t", "me", None, None)


class Tokens:
    """A source of tokens that records what it is asked."""

    def __init__(self, age: float = 0.0) -> None:
        self.renewed: list[tuple[tuple[str, ...], str | None]] = []
        self.ended = 0
        self.age = age

    async def get(self) -> str:
        return "token-0"

    async def renew(self, refused: tuple[str, ...], claims: str | None) -> tuple[str, float]:
        self.renewed.append((refused, claims))
        return f"token-{len(self.renewed)}", time.time() - self.age

    async def end_sign_in(self) -> None:
        self.ended += 1

    def mailbox(self, graph: Recording) -> Mailbox:
        return Mailbox(graph.client(), TokenSource(self.get, self.renew, self.end_sign_in))


CHALLENGE = 'Bearer error="insufficient_claims", claims="eyJhIjoxfQ=="'


async def test_refused_token_is_renewed_with_the_challenge() -> None:
    """The second try has another token; its exchange got the claims that Graph asks for."""
    graph, tokens = Recording(refuses(401, WWW_Authenticate=CHALLENGE), says(200)), Tokens()

    response = await tokens.mailbox(graph).read("/me", "me")

    assert response.status == 200
    assert [request.headers["Authorization"] for request in graph.requests] == ["Bearer token-0", "Bearer token-1"]
    assert tokens.renewed == [(("token-0",), '{"a":1}')]
    assert tokens.ended == 0


@pytest.mark.parametrize(
    ("age", "refused"),
    [(-60.0, [("token-0",)]), (60.0, [("token-0",), ("token-0", "token-1")])],
    ids=["exchanged for this request", "stored by another replica"],
)
async def test_second_refusal_ends_the_sign_in(age: float, refused: list[tuple[str, ...]]) -> None:
    """A token exchanged after the first refusal is refused: the sign-in is over. An older one is replaced once more."""
    graph, tokens = Recording(refuses(401)), Tokens(age)

    response = await tokens.mailbox(graph).act("POST", "/me/sendMail", "sendMail", body=b"{}")

    assert response.status == 401
    assert tokens.renewed == [(tried, None) for tried in refused]
    assert tokens.ended == 1
    assert len(graph.requests) == len(refused) + 1


async def test_third_token_may_be_good() -> None:
    """After a stored token that Graph refuses too, a new one is tried and works."""
    graph, tokens = Recording(refuses(401), refuses(401), says(202)), Tokens(age=60)

    assert (await tokens.mailbox(graph).act("POST", "/x", "x")).status == 202
    assert tokens.ended == 0


async def test_message_is_sent_as_it_is() -> None:
    """The body goes to sendMail unchanged, and Graph's id of the request comes back."""
    graph = Recording(says(202))

    assert await graph.mailbox().send(b'{"message":{}}') == "the-id"
    assert graph.asked == [("POST", "/me/sendMail")]
    assert graph.requests[0].content == b'{"message":{}}'
    assert graph.timed("sendMail") == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(202, Retry_After="3"), OutcomeUnknown),
        (refuses(429), Throttled),
        (refuses(503), OutcomeUnknown),
        (says(200), OutcomeUnknown),
        (refuses(403), PermissionMissing),
    ],
)
async def test_everything_but_202_is_an_error_of_a_send(answer: httpx2.Response, kind: type[Exception]) -> None:
    """Also an acceptance that throttles, because nobody knows what became of it."""
    with pytest.raises(kind) as caught:
        await Recording(answer).mailbox().send(b"{}")
    assert type(caught.value) is kind
    assert getattr(caught.value, "reference", None) == "the-id"


async def test_profile_has_every_address() -> None:
    """Main address, sign-in name and aliases that are mail addresses."""
    account = {
        "displayName": "Ada",
        "mail": "ada@x.example",
        "userPrincipalName": "ada@y.example",
        "proxyAddresses": ["SMTP:ada@x.example", "smtp:a@x.example", "SIP:ada@x.example", "x500:/o=X"],
    }
    graph = Recording(says(200, account))

    profile = await graph.mailbox().profile()

    assert profile == Profile("Ada", "ada@x.example", "ada@y.example", ("ada@x.example", "a@x.example"))
    assert profile.addresses == ("ada@x.example", "ada@y.example", "ada@x.example", "a@x.example")
    assert graph.asked == [("GET", "/me?$select=displayName,mail,userPrincipalName,proxyAddresses")]
    assert graph.timed("me") == 1


async def test_profile_without_a_mailbox() -> None:
    """An account without mail has its sign-in name only."""
    profile = await Recording(says(200, {"userPrincipalName": "ada@y.example"})).mailbox().profile()

    assert profile == Profile(None, None, "ada@y.example")
    assert profile.addresses == ("ada@y.example",)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(200, {}), GraphUnavailable),
        (refuses(401), SignInNeeded),
        (refuses(404, "MailboxNotEnabledForRESTAPI"), MailboxMissing),
        (says(404, {"userPrincipalName": "x"}), ReadRefused),
    ],
)
async def test_profile_that_graph_does_not_give_is_an_error(answer: httpx2.Response, kind: type[Exception]) -> None:
    """A read that fails is never an unknown outcome."""
    with pytest.raises(kind) as caught:
        await Tokens().mailbox(Recording(answer)).profile()
    assert type(caught.value) is kind


FULL: dict[str, Any] = {
    "id": "AAMk1",
    "subject": "Lunch",
    "isDraft": False,
    "from": person("team@x.example", "Team"),
    "toRecipients": [person("a@x.example", "A"), person("b@x.example")],
    "ccRecipients": [person("c@x.example")],
    "bccRecipients": [person("d@x.example")],
    "replyTo": [person("e@x.example")],
    "importance": "high",
    "isReadReceiptRequested": True,
    "isDeliveryReceiptRequested": True,
    "singleValueExtendedProperties": [
        {"id": "String {6F1C2B1E-9A57-4F0E-8F55-3B6D1A2C4E70} Name M365-MCP-ID", "value": "our-id"},
        {"id": "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-files", "value": "a.txt\nb.txt"},
        {"id": "SystemTime 0x3fef", "value": "2027-01-01T00:00:00Z"},
    ],
}


def test_every_field_of_a_message_is_read() -> None:
    """Each field has its place; ids of properties come in any case."""
    item = read_item(FULL)

    assert item == Item(
        "AAMk1",
        "Lunch",
        is_draft=False,
        to=(Recipient("a@x.example", "A"), Recipient("b@x.example")),
        cc=(Recipient("c@x.example"),),
        bcc=(Recipient("d@x.example"),),
        reply_to=(Recipient("e@x.example"),),
        from_=Recipient("team@x.example", "Team"),
        files=("a.txt", "b.txt"),
        message_id="our-id",
        send_at="2027-01-01T00:00:00Z",
        importance="high",
        wants_read_receipt=True,
        wants_delivery_receipt=True,
    )
    assert item.addresses == ("a@x.example", "b@x.example", "c@x.example", "d@x.example")


@pytest.mark.parametrize("found", [{"id": "x"}, dict.fromkeys(FULL, None) | {"id": "x", "isDraft": True}])
def test_message_may_lack_everything_but_its_id(found: dict[str, Any]) -> None:
    """What Graph leaves out, or says is null, is empty; what does not say that it was sent is a draft."""
    assert read_item(found) == Item("x", "", is_draft=True)


def test_recipient_may_lack_a_part() -> None:
    """No list is an empty one, and a sender without an address is none."""
    assert read_recipients(None) == ()
    assert read_recipients([{}, {"emailAddress": None}, person("", "N")]) == (
        Recipient(""),
        Recipient(""),
        Recipient("", "N"),
    )
    assert read_sender(None) is read_sender({}) is read_sender(person("", "N")) is None
    assert read_sender(person("a@x.example", "")) == Recipient("a@x.example")


def test_query_of_a_message_asks_for_what_is_read() -> None:
    """The fields and our properties, with the filter quoted."""
    from urllib.parse import unquote

    assert unquote(ITEM_QUERY) == recording.ITEM_QUERY
    assert " " not in ITEM_QUERY


def test_id_becomes_one_part_of_the_path() -> None:
    """Base64 of either alphabet passes, quoted; anything else is no message."""
    assert item_path("Aa0_-+/=") == "/me/messages/Aa0_-%2B%2F%3D"
    assert item_path("x" * 1024) == "/me/messages/" + "x" * 1024
    for wrong in ("", "x" * 1025, "a b", "a?b", "../x", "é", "a\n"):
        with pytest.raises(MessageMissing):
            item_path(wrong)
