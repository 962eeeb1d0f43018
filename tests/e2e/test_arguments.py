"""Every argument of every tool that writes mail arrives in its own place, and does nothing when it is left out.

The arguments come from the tools' own schemas: one that `SAMPLES` does not know fails here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

from tests.e2e.grants import KEYS, Grant, assistant_at, call_tool, grant_of
from tests.e2e.person import done
from tests.e2e.programs import Redis, Server, Simulator, forget_sends, make_server
from tests.schemas import TOOL_SCHEMAS
from tests.trust import NO_AUTHORITY

pytestmark = pytest.mark.xdist_group("open server")
ARGUMENTS: dict[str, dict[str, Any]] = {name: tool["inputSchema"]["properties"] for name, tool in TOOL_SCHEMAS.items()}
RESULTS = {name: Draft202012Validator(tool["outputSchema"]) for name, tool in TOOL_SCHEMAS.items()}
REQUIRED: dict[str, list[str]] = {name: tool["inputSchema"].get("required", []) for name, tool in TOOL_SCHEMAS.items()}
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
    "body": "A **bold** text",  # and a picture, when there are attachments
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
    "dry_run": False,  # what it does is below
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
        if not result["isError"]:
            RESULTS[tool].validate(result["structuredContent"])
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
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
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


def body_of(given: dict[str, Any]) -> str:
    """Return a body that shows the attachment if there is one: only then it is inline."""
    return f"{SAMPLES['body']} ![Menu](cid:menu-1)" if "attachments" in given else str(SAMPLES["body"])


@pytest.mark.parametrize("tool", WRITING)
@pytest.mark.parametrize("amount", ["everything", "only what is required"])
async def test_every_argument_of_a_writing_tool_arrives_in_its_own_place(
    writer: Writer, tool: str, amount: str
) -> None:
    """Each value is found where it belongs and nowhere else, and what is left out has its documented default."""
    given = {name: SAMPLES[name] for name in (ARGUMENTS if amount == "everything" else REQUIRED)[tool]}
    given |= {"body": body_of(given)}  # a forward needs none, but its default would say nothing about its format

    mail = await writer.send(tool, **given)

    assert shown(mail) == expected(tool, given, writer.originals[0])


def as_text(value: Any) -> Any:
    """Return an argument as some clients send it: JSON text in place of what is no text, and words in any case."""
    if isinstance(value, str):
        return f" {value.upper()} " if value in ("high", "Markdown") else value
    return json.dumps(value)


def _one_alone(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value


def _entries_as_text(value: Any) -> Any:
    objects = isinstance(value, list) and isinstance(value[0], dict)
    return [json.dumps(entry) for entry in value] if objects else value


@pytest.mark.parametrize("tool", WRITING)
@pytest.mark.parametrize("spelling", [as_text, _one_alone, _entries_as_text])
@pytest.mark.sample(6)
async def test_k8_every_argument_arrives_however_a_client_writes_it(
    writer: Writer, tool: str, spelling: Callable[[Any], Any]
) -> None:
    """K8: lists and objects as JSON text, one value in place of a list, and words in any case: the mail is equal."""
    given = {name: SAMPLES[name] for name in ARGUMENTS[tool]}
    given |= {"body": body_of(given)}

    mail = await writer.send(tool, **{name: spelling(value) for name, value in given.items()})

    assert shown(mail) == expected(tool, given, writer.originals[0])


@pytest.mark.parametrize("tool", WRITING)
@pytest.mark.parametrize("empty", [None, "", [], [""], {}], ids=repr)
@pytest.mark.sample(5)
async def test_k8_every_optional_argument_may_be_empty(writer: Writer, tool: str, empty: Any) -> None:
    """K8: a client that fills every argument with nothing gets the defaults."""
    given = {name: SAMPLES[name] for name in REQUIRED[tool]} | {"body": SAMPLES["body"]}

    mail = await writer.send(tool, **{**dict.fromkeys(ARGUMENTS[tool], empty), **given})

    assert shown(mail) == expected(tool, given, writer.originals[0])


@pytest.mark.parametrize("text", ['["a"]', '{"a": 1}', "true"])
async def test_k8_subject_and_body_stay_text(writer: Writer, text: str) -> None:
    """K8: text that looks like JSON is sent as it is."""
    to = ["grace@contoso.example"]

    mail = await writer.send("send_mail", to=to, subject=text, body=text, content_type="Text")

    assert (mail["subject"], mail["body"]["content"]) == (text, text)


@pytest.mark.parametrize("tool", LEDGERED)
async def test_idempotency_key_stands_for_one_message(writer: Writer, tool: str) -> None:
    """A call with a known key is a repeat when the message is equal, and an error when it is another."""
    given = {name: SAMPLES[name] for name in REQUIRED[tool]}
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
    given = {name: SAMPLES[name] for name in REQUIRED[tool]}

    first = (await writer.call(tool, **given))["structuredContent"]
    repeat = (await writer.call(tool, **given))["structuredContent"]
    copy = (await writer.call(tool, **given, allow_duplicate=True))["structuredContent"]

    assert (first["duplicate_of"], repeat["duplicate_of"]) == (None, first["message_id"])
    assert copy["duplicate_of"] is None
    assert copy["message_id"] != first["message_id"]


@pytest.mark.parametrize("tool", LEDGERED)
@pytest.mark.parametrize("written", [True, "true", " TRUE "], ids=repr)
@pytest.mark.sample(4)
async def test_k8_dry_run_sends_nothing_and_tells_what_the_same_call_then_sends(
    writer: Writer, shared_simulator: Simulator, tool: str, written: Any
) -> None:
    """K8: however a client writes it, nothing leaves, no draft is made and nothing is remembered; the form is right."""
    given = {name: SAMPLES[name] for name in ARGUMENTS[tool] if name != "allow_duplicate"}
    given |= {"body": body_of(given)}
    before = len(shared_simulator.outbox)
    shared_simulator.control("DELETE", "requests")

    dry = (await writer.call(tool, **{**given, "dry_run": written}))["structuredContent"]
    written_to = [
        one["method"] for one in shared_simulator.control("GET", "requests") if one["path"].startswith("/v1.0/")
    ]
    unsent = len(shared_simulator.outbox)
    mail = await writer.send(tool, **given)

    assert (dry["status"], dry["message_id"], dry["dry_run"]["decision"]) == ("dry_run", None, "permitted")
    assert set(written_to) <= {"GET"}
    assert unsent == before
    assert shown_of(dry["dry_run"]) == shown_of_mail(mail)
    assert sorted(dry["recipients"]) == sorted(one["address"] for field in ("to", "cc", "bcc") for one in mail[field])


def shown_of(form: dict[str, Any]) -> dict[str, Any]:
    """Return what a dry run and the mail have in common."""
    attachments = sorted((one["name"], one["size"]) for one in form["attachments"])
    names = ("to", "cc", "bcc", "reply_to", "subject", "content_type")
    return {**{name: form[name] for name in names}, "attachments": attachments}


def shown_of_mail(mail: dict[str, Any]) -> dict[str, Any]:
    """Return the same of a mail in the outbox."""
    fields = shown(mail)
    attachments = sorted((one["name"], one["size"]) for one in mail["attachments"])
    content_type = {"html": "HTML", "text": "Text"}[mail["body"]["contentType"].lower()]
    names = ("to", "cc", "bcc", "reply_to", "subject")
    return {**{name: fields[name] for name in names}, "content_type": content_type, "attachments": attachments}


@pytest.mark.parametrize("tool", SENT_BY)
async def test_dry_run_of_a_draft_leaves_it_where_it_is(writer: Writer, shared_simulator: Simulator, tool: str) -> None:
    """send_draft and send_with_attachments tell what they would send; the same draft can be sent afterwards."""
    given = {name: SAMPLES[name] for name in ARGUMENTS[tool]}
    result = (await writer.call(tool, **{**given, "body": body_of(given)}))["structuredContent"]
    for file in result.get("files", []):
        await _put(file["upload_url"])
    before = len(shared_simulator.outbox)

    dry = await writer.call(SENT_BY[tool], draft_id=result["draft_id"], dry_run="True")
    unsent = len(shared_simulator.outbox)
    sent = await writer.call(SENT_BY[tool], draft_id=result["draft_id"], dry_run="")

    assert (dry["structuredContent"]["status"], unsent) == ("dry_run", before)
    assert sent["structuredContent"]["status"] == "sent"
    assert shown_of(dry["structuredContent"]["dry_run"]) == shown_of_mail(shared_simulator.outbox[-1])


async def test_k8_dry_run_that_is_no_boolean_sends_nothing(writer: Writer, shared_simulator: Simulator) -> None:
    """K8: a value that cannot be read is refused, and never taken for false."""
    before = len(shared_simulator.outbox)
    given = {name: SAMPLES[name] for name in REQUIRED["send_mail"]}

    refusals = [await writer.call("send_mail", **given, dry_run=value) for value in ("maybe", 2, ["x"], {"a": 1})]

    assert all(one["isError"] and "'dry_run'" in one["content"][0]["text"] for one in refusals)
    assert len(shared_simulator.outbox) == before


def test_every_argument_of_a_writing_tool_has_a_sample() -> None:
    """A new argument of any of the six tools needs a value here, and a place where it is looked for."""
    known = {"send_mail", "create_draft", "attach_files", "schedule_mail", "reply", "forward"}
    elsewhere = {"as_written", "body", "message_id", "reply_all", "idempotency_key", "allow_duplicate", "dry_run"}

    assert set(WRITING) == known
    assert {name for tool in WRITING for name in ARGUMENTS[tool]} == set(SAMPLES)
    assert set(SHOWN) | elsewhere == set(SAMPLES)
