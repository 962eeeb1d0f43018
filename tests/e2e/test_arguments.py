"""Every argument of every tool that writes mail arrives in its own place, and does nothing when it is left out.

The arguments come from the tools' own schemas: one that `SAMPLES` does not know fails here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from m365_mcp.commands.reference import tool_schemas
from tests.e2e.grants import KEYS, Grant, assistant_at, call_tool, grant_of
from tests.e2e.person import done
from tests.e2e.programs import Redis, Server, Simulator, forget_sends, make_server

pytestmark = pytest.mark.xdist_group("open server")
ARGUMENTS: dict[str, dict[str, Any]] = {tool["name"]: tool["inputSchema"]["properties"] for tool in tool_schemas()}
WRITING = [name for name, arguments in ARGUMENTS.items() if "body" in arguments]
LEDGERED = [name for name in WRITING if "idempotency_key" in ARGUMENTS[name]]
# How a message that is not a reply is sent after the tool itself.
SENT_BY = {"create_draft": "send_draft", "attach_files": "send_with_attachments"}

CONTENT, UPLOADED = b"Pie, and more pie", b"The figures"
SEND_AT = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
# A value of its own for each argument; "message_id" is a message in the mailbox.
SAMPLES: dict[str, Any] = {
    "message_id": None,
    "to": ["to@contoso.example"],
    "cc": ["cc@contoso.example"],
    "bcc": ["bcc@contoso.example"],
    "reply_to": ["replies@contoso.example"],
    "from_": "team@contoso.example",
    "subject": "A subject of its own",
    "body": "A **bold** text",
    "content_type": "Markdown",
    "importance": "high",
    "attachments": [
        {
            "name": "menu.txt",
            "content_base64": base64.b64encode(CONTENT).decode(),
            "content_type": "text/x-menu",
            "content_id": "menu-1",
        }
    ],
    "files": [{"name": "figures.bin", "size": len(UPLOADED)}],
    "request_read_receipt": True,
    "save_to_sent": False,
    "send_at": SEND_AT.isoformat(),
    "reply_all": True,
    "as_written": True,
    "idempotency_key": "a-key-of-its-own",
    "allow_duplicate": True,
}
# What a message shows of each argument: when it was given, and when it was left out.
_MENU = ("menu.txt", "text/x-menu", "menu-1", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
_FIGURES = ("figures.bin", "application/octet-stream", None, len(UPLOADED), hashlib.sha256(UPLOADED).hexdigest())
SHOWN: dict[str, tuple[Any, Any]] = {
    "to": (["to@contoso.example"], None),
    "cc": (["cc@contoso.example"], []),
    "bcc": (["bcc@contoso.example"], []),
    "reply_to": (["replies@contoso.example"], []),
    "from_": ("team@contoso.example", "ada@contoso.example"),
    "subject": ("A subject of its own", None),
    "content_type": ("A <strong>bold</strong> text", "A **bold** text"),
    "importance": ("high", "normal"),
    "attachments": (_MENU, None),
    "files": (_FIGURES, None),
    "request_read_receipt": (True, False),
    "save_to_sent": (False, True),
    "send_at": (SEND_AT, None),
}
QUESTION = {"to": ["ada@contoso.example", "marie@fabrikam.example"], "subject": "Lunch?", "body": "<p>At noon?</p>"}


@pytest.fixture(scope="module")
def open_server(
    tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator, shared_redis: Redis
) -> Iterator[Server]:
    """A server with every tool, and where every argument is allowed."""
    chosen = {
        "REDIS_URL": shared_redis.url,
        "M365_TOOLSETS": "drafts,attachments,replies,schedule,people",
        "M365_SEND_BCC": "true",
        "M365_SEND_FROM": "true",
        **KEYS,
    }
    server = make_server(tmp_path_factory.mktemp("open-server"), shared_simulator, **chosen)
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


class Writer:
    """Ada, who may send for her team and has two messages of Grace's to answer."""

    def __init__(self, server: Server, simulator: Simulator, ada: Grant, originals: list[dict[str, Any]]) -> None:
        self._server, self._simulator, self._ada = server, simulator, ada
        self.originals = originals

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        if "message_id" in ARGUMENTS[tool]:
            arguments["message_id"] = self.originals[0]["listed_id"]
        reply = await call_tool(self._server.url, self._ada.access, tool, **arguments)
        result: dict[str, Any] = reply.json()["result"]
        return result

    async def send(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Write a message with a tool, have it sent, and return how it stands in the outbox."""
        result = await self.call(tool, **arguments)
        assert not result["isError"], result
        for file in result["structuredContent"].get("files", []):
            await _put(file["upload_url"])
        if tool in SENT_BY:
            sent = await self.call(SENT_BY[tool], draft_id=result["structuredContent"]["draft_id"])
            assert not sent["isError"], sent
        return self._simulator.outbox[-1]


async def _put(url: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.put(url, content=UPLOADED)).status_code == 201


@pytest.fixture(scope="module")
def signed_in_writer(open_server: Server, shared_simulator: Simulator) -> Writer:
    """One sign-in for all tests of this module: they send, and change nothing else."""
    shared_simulator.control("POST", "reset")
    shared_simulator.control("POST", "send-as", person="ada", address="team@contoso.example", kind="as")
    return asyncio.run(_sign_in(open_server, shared_simulator))


async def _sign_in(server: Server, simulator: Simulator) -> Writer:
    grace = assistant_at(server, simulator, "grace@contoso.example")
    await done(grace, "send_mail", **QUESTION)
    await done(grace, "send_mail", **{**QUESTION, "subject": "Dinner?"})
    ada = assistant_at(server, simulator)
    newest, oldest = (await done(ada, "list_messages"))["messages"]
    originals = [
        {**mail, "listed_id": listed["message_id"]}
        for mail, listed in zip(simulator.outbox, (oldest, newest), strict=True)
    ]
    return Writer(server, simulator, await grant_of(ada), originals)


@pytest.fixture
def writer(signed_in_writer: Writer, shared_redis: Redis) -> Writer:
    """Ada, of whom the ledger remembers nothing."""
    forget_sends(shared_redis)
    return signed_in_writer


def shown(mail: dict[str, Any]) -> dict[str, Any]:
    """Return what a message in the outbox shows, by the names of the arguments."""
    addresses = {"to": "to", "cc": "cc", "bcc": "bcc", "reply_to": "replyTo"}
    leaves = datetime.fromisoformat(mail["deliverAt"])
    return {
        **{name: [one["address"] for one in mail[field]] for name, field in addresses.items()},
        "from_": mail["from"]["address"],
        "subject": mail["subject"],
        "text": next((text for text in SHOWN["content_type"] if text in mail["body"]["content"]), None),
        "importance": mail["importance"],
        "attachments": sorted(
            (one["name"], one["content_type"], one["content_id"], one["size"], one["sha256"])
            for one in mail["attachments"]
        ),
        "request_read_receipt": mail["isReadReceiptRequested"],
        "save_to_sent": mail["saveToSentItems"],
        "send_at": leaves if leaves > datetime.fromisoformat(mail["sentAt"]) else None,
        "answers": mail["inReplyTo"],
    }


def expected(tool: str, given: dict[str, Any], original: dict[str, Any]) -> dict[str, Any]:
    """Return what the message has to show when a tool was called with `given`."""
    show = {name: values[0 if name in given else 1] for name, values in SHOWN.items()}
    show["attachments"] = sorted(filter(None, (show.pop("files"), show["attachments"])))
    show |= {"text": show.pop("content_type"), "answers": None}
    if "message_id" in given:
        prefix = "FW" if tool == "forward" else "RE"
        show |= {"subject": f"{prefix}: {original['subject']}", "answers": original["internetMessageId"]}
    if tool == "reply":
        show["to"] = ["grace@contoso.example"] + ["marie@fabrikam.example"] * ("reply_all" in given)
    return show


@pytest.mark.parametrize("tool", WRITING)
@pytest.mark.parametrize("amount", ["everything", "only what is required"])
async def test_every_argument_of_a_writing_tool_arrives_in_its_own_place(
    writer: Writer, tool: str, amount: str
) -> None:
    """Each value is found where it belongs and nowhere else, and what is left out has its documented default."""
    defaults = {name for name, schema in ARGUMENTS[tool].items() if "default" in schema}
    names = [name for name in ARGUMENTS[tool] if amount == "everything" or name not in defaults]
    given = {name: SAMPLES[name] for name in names}
    given |= {"body": SAMPLES["body"]}  # a forward needs none, but its default would say nothing about its format

    mail = await writer.send(tool, **given)

    assert shown(mail) == expected(tool, given, writer.originals[0])


@pytest.mark.parametrize("tool", LEDGERED)
async def test_idempotency_key_stands_for_one_message(writer: Writer, tool: str) -> None:
    """A call with a known key is a repeat when the message is equal, and an error when it is another."""
    given = {name: SAMPLES[name] for name, schema in ARGUMENTS[tool].items() if "default" not in schema}
    keyed = {**given, "body": SAMPLES["body"], "idempotency_key": "k-1"}

    first = (await writer.call(tool, **keyed))["structuredContent"]
    again = (await writer.call(tool, **keyed))["structuredContent"]
    other = await writer.call(tool, **{**keyed, "body": "Another"})
    elsewhere = (await writer.call(tool, **{**keyed, "idempotency_key": "k-2"}))["structuredContent"]

    assert (first["duplicate_of"], again["duplicate_of"]) == (None, first["message_id"])
    assert other["content"][0]["text"].startswith("idempotency_key_reused: ")
    assert elsewhere["duplicate_of"] is None


@pytest.mark.parametrize("tool", LEDGERED)
async def test_allow_duplicate_sends_a_second_copy(writer: Writer, tool: str) -> None:
    """An equal message without it is a repeat, and with it another mail."""
    given = {name: SAMPLES[name] for name, schema in ARGUMENTS[tool].items() if "default" not in schema}

    first = (await writer.call(tool, **given))["structuredContent"]
    repeat = (await writer.call(tool, **given))["structuredContent"]
    copy = (await writer.call(tool, **given, allow_duplicate=True))["structuredContent"]

    assert (first["duplicate_of"], repeat["duplicate_of"]) == (None, first["message_id"])
    assert copy["duplicate_of"] is None
    assert copy["message_id"] != first["message_id"]


def test_every_argument_of_a_writing_tool_has_a_sample() -> None:
    """A new argument of any of the six tools needs a value here, and a place where it is looked for."""
    known = {"send_mail", "create_draft", "attach_files", "schedule_mail", "reply", "forward"}
    elsewhere = {"as_written", "body", "message_id", "reply_all", "idempotency_key", "allow_duplicate"}

    assert set(WRITING) == known
    assert {name for tool in WRITING for name in ARGUMENTS[tool]} == set(SAMPLES)
    assert set(SHOWN) | elsewhere == set(SAMPLES)
