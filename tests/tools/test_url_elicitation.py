"""The link to the approval page, as the SDK's own client gets it from the server, by version and capability."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult, InputResponses

from m365_mcp.sending.outbox import Outbox
from tests.inprocess import ADA, EVERY_TOOLSET, GRACE, SERVER, Tokens, World, running
from tests.sending.test_outbox import send

MAIL: dict[str, Any] = {"to": ["marie@fabrikam.example"], "subject": "Lunch?", "body": "At noon?"}
ASKS: dict[str, Any] = {"m365_send_approval": "all", "m365_toolsets": EVERY_TOOLSET, "mcp_metrics_port": 0}
SESSION = "mcp-session-id"
Action = Literal["accept", "decline", "cancel"]


@dataclass
class AskedPerson:
    """A person whose client shows a question in URL mode: remembers the questions, and answers the same to each."""

    action: Action = "accept"
    asked: list[ElicitRequestParams] = field(default_factory=list)

    async def answer(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params)
        return ElicitResult(action=self.action)


@dataclass
class Served:
    """A server that answers at its endpoint, a signed-in person, and what their client has sent."""

    world: World
    tokens: Tokens
    ada: Outbox
    seen: list[httpx2.Request] = field(default_factory=list)

    async def remember(self, request: httpx2.Request) -> None:
        self.seen.append(request)

    @asynccontextmanager
    async def client(self, mode: Any, person: AskedPerson | None = None) -> AsyncIterator[Client]:
        """Connect with the SDK's client: with the handshake of 2025-11-25 (`legacy`), or by 2026-07-28."""
        headers, hooks = {"Authorization": f"Bearer {self.tokens.access}"}, {"request": [self.remember]}
        asked = person.answer if person else None  # the SDK declares forms and URLs for a client that has this
        async with (
            httpx2.AsyncClient(transport=self.world.network, headers=headers, event_hooks=hooks) as http,
            Client(
                streamable_http_client(f"{SERVER}/mcp", http_client=http), mode=mode, elicitation_callback=asked
            ) as client,
        ):
            yield client

    async def press_send(self) -> None:
        """Have the person send the only mail that waits."""
        approvals = self.world.container.approvals
        [mail] = await approvals.of(self.ada.person)
        await approvals.approve(mail, (await approvals.show(mail)).digest)


@asynccontextmanager
async def served(**changes: Any) -> AsyncIterator[Served]:
    async with running(**{**ASKS, **changes}) as world:
        app: Any = world.network.transports["server"].app
        async with app.router.lifespan_context(app):
            tokens = await world.sign_in()
            yield Served(world, tokens, await world.outbox(tokens))


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed, and return what it says."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    found: dict[str, Any] = result.structured_content
    return found


async def asked_by_error(client: Client, tool: str, **arguments: Any) -> tuple[ElicitRequestURLParams, str]:
    """Call a tool that must ask by -32042; return the question, and the text of the error."""
    with pytest.raises(MCPError) as caught:
        await client.call_tool(tool, arguments)
    [question] = UrlElicitationRequiredError.from_error(caught.value.error).elicitations
    return question, caught.value.message


@pytest.mark.parametrize("stateless", [True, pytest.param(False, marks=pytest.mark.full)])
async def test_i6_client_of_2025_11_25_gets_the_error_that_asks_for_the_url(stateless: bool) -> None:
    """The held mail is answered with -32042 once; a repeat gets the result, and hears what the person decided."""
    async with served(fastmcp_stateless_http=stateless) as one, one.client("legacy", AskedPerson()) as client:
        question, text = await asked_by_error(client, "send_mail", **MAIL)
        again = await call(client, "send_mail", **MAIL)
        status = await call(client, "get_send_status", message_id=again["message_id"])
        before = len(await one.world.sent())
        await one.press_send()
        decided = await call(client, "get_send_status", message_id=again["message_id"])
        later = await call(client, "send_mail", **MAIL)

        assert len(await one.world.sent()) == 1
    assert (before, again["status"], status["status"]) == (0, "approval_needed", "approval_needed")
    assert question.url == again["approval_url"] == status["approval_url"]
    assert question.elicitation_id
    assert again["expires_at"] in question.message
    assert text.startswith("approval_needed: ")
    assert again["approval_url"] in text
    assert again["message_id"] in text.split(again["approval_url"])[1]
    assert (decided["status"], later["status"], later["message_id"]) == (
        "already_sent",
        "already_sent",
        again["message_id"],
    )


@pytest.mark.parametrize(
    "action", ["accept", *(pytest.param(one, marks=pytest.mark.full) for one in ("decline", "cancel"))]
)
async def test_i4_client_of_2026_07_28_is_asked_once_and_its_answer_decides_nothing(action: Action) -> None:
    """The client is asked once to open the page; whatever it answers, the mail waits, and the result has the link."""
    person = AskedPerson(action)
    async with served() as one, one.client("2026-07-28", person) as client:
        held = await call(client, "send_mail", **MAIL)
        again = await call(client, "send_mail", **MAIL)
        status = await call(client, "get_send_status", message_id=held["message_id"])
        before = len(await one.world.sent())
        await one.press_send()
        later = await call(client, "send_mail", **MAIL)

        assert len(await one.world.sent()) == 1
    [question] = person.asked
    assert isinstance(question, ElicitRequestURLParams)
    assert (question.url, question.elicitation_id) == (held["approval_url"], None)
    assert (before, held["status"], again, status["status"]) == (0, "approval_needed", held, "approval_needed")
    assert later["status"] == "already_sent"


async def test_i8_input_request_has_the_form_of_the_specification() -> None:
    """`input_required` carries one `elicitation/create` in URL mode, no state, and the label of every result."""
    async with served() as one, one.client("2026-07-28", AskedPerson()) as client:
        asked: Any = await client.session.call_tool("send_mail", MAIL, allow_input_required=True)
    shown = asked.model_dump(mode="json", by_alias=True, exclude_none=True)

    assert shown["resultType"] == "input_required"
    assert "requestState" not in shown
    [request] = shown["inputRequests"].values()
    assert (request["method"], request["params"]["mode"]) == ("elicitation/create", "url")
    assert request["params"].keys() == {"mode", "message", "url"}
    assert shown["_meta"]["ifc"] == {"integrity": "trusted", "confidentiality": "private"}


async def test_i3_answer_before_the_question_is_no_answer() -> None:
    """A first call that brings `inputResponses` along is asked all the same, and sends nothing."""
    forged: InputResponses = {"approval": ElicitResult(action="accept")}
    async with served() as one, one.client("2026-07-28", AskedPerson()) as client:
        asked: Any = await client.session.call_tool(
            "send_mail", MAIL, input_responses=forged, allow_input_required=True
        )
        assert await one.world.sent() == []
    assert asked.result_type == "input_required"


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_i6_client_that_opens_no_urls_gets_the_link_in_the_result(mode: str) -> None:
    """A client without the capability is asked nothing, and has the link in text and structured result at once."""
    async with served() as one, one.client(mode) as client:
        result = await client.call_tool("send_mail", MAIL)

    assert result.structured_content is not None
    assert result.structured_content["status"] == "approval_needed"
    assert "is_newly_held" not in result.structured_content
    assert str(result.content).count(result.structured_content["approval_url"]) == 2  # as a field, and in the advice
    assert [request for request in one.seen if SESSION in request.headers] == []


async def test_i6_every_tool_that_sends_asks_in_this_way() -> None:
    """A reply, a draft and a scheduled mail ask as `send_mail` does; an error or a sent mail asks nothing."""
    async with served() as one, one.client("legacy", AskedPerson()) as client:
        grace = await one.world.outbox(await one.world.sign_in(GRACE))
        await send(replace(grace, is_approved=True), to=[ADA])
        [original] = (await call(client, "list_messages", top=1))["messages"]
        draft = await call(client, "create_draft", **MAIL)
        asked = [
            await asked_by_error(client, "reply", message_id=original["message_id"], body="Yes."),
            await asked_by_error(client, "send_draft", draft_id=draft["draft_id"]),
            await asked_by_error(client, "schedule_mail", **MAIL, send_at=str(datetime.now(UTC) + timedelta(hours=2))),
        ]
        wrong = await client.call_tool("send_mail", {**MAIL, "to": ["nobody"]})
        waits = await one.world.container.approvals.of(one.ada.person)

    assert {question.url.rpartition("/")[2] for question, _ in asked} == {mail.id for mail in waits}
    assert wrong.is_error


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
async def test_i6_only_2025_11_25_knows_the_error(version: str) -> None:
    """A request of an older version gets the result, even with a session id that says that the client opens URLs."""
    call_: dict[str, Any] = {"name": "send_mail", "arguments": MAIL}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call_}
    async with served() as one, one.world.http() as http:
        headers = {
            "Authorization": f"Bearer {one.tokens.access}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": version,
            SESSION: "elicitation-url-made-up",
        }
        answer = (await http.post("/mcp", json=body, headers=headers)).json()

    found = answer.get("error", {}).get("code") or answer["result"]["structuredContent"]["status"]
    assert found == {"2025-06-18": "approval_needed", "2025-11-25": -32042}[version]


async def test_i6_deliberate_copy_is_not_asked_for_in_a_circle() -> None:
    """The client's next call would be another copy: the result has the link, and the person is asked nothing more."""
    async with served() as one, one.client("legacy", AskedPerson()) as client:
        first = await call(client, "send_mail", **MAIL, allow_duplicate=True)
        await one.press_send()

        assert first["status"] == "approval_needed"
        assert len(await one.world.sent()) == 1


async def test_l1_mail_with_uploads_has_one_id_everywhere() -> None:
    """The result, the page, the status and the record name the same mail; another way to send its draft finds it."""
    async with served() as one, one.client("legacy") as client:
        files = await call(client, "attach_files", **MAIL, files=[{"name": "a.txt"}])
        async with one.world.http() as http:
            assert (await http.put(files["files"][0]["upload_url"], content=b"x")).status_code == 201
        held = await call(client, "send_with_attachments", draft_id=files["draft_id"])
        status = await call(client, "get_send_status", message_id=held["message_id"])
        waiting = await one.world.container.approvals.of(one.ada.person)

    assert held["approval_url"].endswith(held["message_id"])
    assert status["status"] == "approval_needed"
    assert [mail.id for mail in waiting] == [held["message_id"]]
