"""Every refused call of a tool that writes is recorded once: who called, which tool, which error, and for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastmcp import Client
from fastmcp.server.auth import AccessToken
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp_types import CallToolRequestParams

from m365_mcp.app import build_server
from m365_mcp.audit.events import MAX_RECIPIENTS
from m365_mcp.audit.ocsf import Options
from m365_mcp.audit.records import render
from m365_mcp.errors import InvalidArgument
from m365_mcp.tools.refusals import refused_call
from tests.audit.reading import problems, read
from tests.inprocess import EVERY_TOOLSET, World, running

MAIL = {"to": ["grace@contoso.example"], "subject": "A very private subject", "body": "<p>a very private body</p>"}
SECRETS = ("grace@", "private", "eve@", "no address at all")
FORBID = (
    '@id("no-fabrikam")\nforbid (principal, action, resource) when { resource.domains.contains("fabrikam.example") };'
)


@asynccontextmanager
async def calling(**chosen: Any) -> AsyncIterator[tuple[World, Client[Any], AccessToken]]:
    """Run a server in this process, with a client of Ada's connected to it."""
    async with running(m365_toolsets=EVERY_TOOLSET, **chosen) as world:
        access = await world.container.auth.load_access_token((await world.sign_in()).access)
        assert isinstance(access, AccessToken)
        token = auth_context_var.set(AuthenticatedUser(access))
        try:
            async with Client(build_server(world.container)) as client:
                yield world, client, access
        finally:
            auth_context_var.reset(token)


# Tool, arguments, code, recipients, their domains, attachments.
REFUSED: list[tuple[str, dict[str, Any], str, int, dict[str, int], int]] = [
    ("send_mail", {**MAIL, "to": ["no address at all"]}, "invalid_argument", 1, {}, 0),
    ("send_mail", {**MAIL, "cc": ["eve@fabrikam.example", "no address at all"]}, "invalid_argument", 3,
     {"contoso.example": 1, "fabrikam.example": 1}, 0),
    ("send_mail", {**MAIL, "subject": ""}, "empty_subject", 1, {"contoso.example": 1}, 0),
    ("send_mail", {**MAIL, "attachments": [{"name": "a.exe", "content_base64": "TVo="}]}, "invalid_argument", 1,
     {"contoso.example": 1}, 1),
    ("send_mail", {**MAIL, "body": "x" * 5_000_000, "content_type": "Text"}, "message_too_large", 1,
     {"contoso.example": 1}, 0),
    ("send_mail", {"to": '["eve@fabrikam.example"]', "subject": "private"}, "invalid_argument", 1,
     {"fabrikam.example": 1}, 0),
    ("schedule_mail", {**MAIL, "send_at": "yesterday"}, "invalid_argument", 1, {"contoso.example": 1}, 0),
    ("create_draft", {**MAIL, "body": ""}, "empty_body", 1, {"contoso.example": 1}, 0),
    ("attach_files", {**MAIL, "files": [{"name": "a.exe"}]}, "invalid_argument", 1, {"contoso.example": 1}, 1),
    ("send_with_attachments", {"draft_id": "unknown"}, "draft_unknown", 0, {}, 0),
    ("reply", {"message_id": "unknown", "body": "private"}, "message_missing", 0, {}, 0),
    ("forward", {"message_id": "unknown", "to": ["eve@fabrikam.example"]}, "message_missing", 1,
     {"fabrikam.example": 1}, 0),
    ("discard_draft", {"draft_id": "unknown"}, "message_missing", 0, {}, 0),
    ("cancel_scheduled", {"scheduled_id": "unknown"}, "message_missing", 0, {}, 0),
]  # fmt: skip


async def test_h7_refused_call_of_every_writing_tool_is_one_record(tmp_path: Path) -> None:
    """A bad address, a blocked file, a missing message: one record with the code, the domains and no private word."""
    file = tmp_path / "audit"
    async with calling(m365_audit=f"file:{file}") as (_, client, access):
        for tool, arguments, *_ in REFUSED:
            assert (await client.call_tool(tool, arguments, raise_on_error=False)).is_error

    found = [record for record in read(file) if record["class_uid"] != 3002]
    assert [problem for record in found for problem in problems(record)] == []
    found = [record for record in found if record["api"]["operation"] != "audit.tips"]
    told = [
        (
            record["api"]["operation"],
            record["status_code"],
            record["unmapped"]["recipient_count"],
            record["unmapped"]["recipient_domains"],
            record["unmapped"]["attachment_count"],
        )
        for record in found
    ]
    assert told == [(tool, *expected) for tool, _, *expected in REFUSED]
    assert {record["actor"]["user"]["uid"] for record in found} == {access.claims["oid"]}
    assert {record["actor"]["session"]["uid"] for record in found} == {access.claims["session"]}
    assert {record["actor"]["app_uid"] for record in found} == {access.client_id}
    assert [word for word in SECRETS if word in str(found)] == []


async def test_h7_refusal_that_is_recorded_otherwise_has_no_second_record(tmp_path: Path) -> None:
    """A send that was refused on its way, and a denied draft, keep the record that they have."""
    file, policies = tmp_path / "audit", tmp_path / "policies"
    policies.write_text(FORBID)
    async with calling(m365_audit=f"file:{file}", m365_policy_file=policies) as (_, client, _):
        for tool in ("send_mail", "create_draft"):
            await client.call_tool(tool, {**MAIL, "to": ["eve@fabrikam.example"]}, raise_on_error=False)
        await client.call_tool("send_draft", {"draft_id": "unknown"}, raise_on_error=False)

    found = [(record["class_uid"], record.get("status")) for record in read(file) if "status_code" in record]
    assert found == [(6003, "denied"), (4009, "not_sent"), (6003, "denied"), (4009, "not_sent")]


async def test_refused_call_of_a_tool_that_reads_is_not_recorded(tmp_path: Path) -> None:
    """Tools that only read leave no record, also where a call fails; neither does a tool that is not there."""
    file = tmp_path / "audit"
    async with calling(m365_audit=f"file:{file}") as (_, client, _):
        for tool, arguments in (("list_messages", {"top": -1}), ("find_people", {}), ("send_fax", {})):
            assert (await client.call_tool(tool, arguments, raise_on_error=False)).is_error

    assert {record["class_uid"] for record in read(file) if record["metadata"]["sequence"] < 3} == {3002}
    assert [record for record in read(file) if record.get("status") == "refused"] == []


@pytest.mark.parametrize("content", [(), ("recipients",)])
def test_refused_call_with_anything_for_arguments_is_a_valid_record(content: tuple[str, ...]) -> None:
    """Whatever a caller writes, the record is valid and bounded, and has addresses only if the operator wants them."""
    many = [f"p{number}@x{number}.example" for number in range(MAX_RECIPIENTS + 5)]
    odd = ["x" * 5_000, 7, None, {"a": 1}, "Eve <eve@fabrikam.example>"]
    for arguments, count, domains in (
        ({"to": many}, MAX_RECIPIENTS + 5, MAX_RECIPIENTS),
        ({"to": odd}, 5, 1),
        ({"to": 7, "cc": {"a": "b"}, "attachments": "[1, 2]"}, 0, 0),
        (None, 0, 0),
    ):
        message = CallToolRequestParams(name="send_mail", arguments=arguments)
        record = render(refused_call(message, InvalidArgument()), 0, Options(content=frozenset(content)))

        assert problems(record) == []
        assert record["unmapped"]["recipient_count"] == count
        assert len(record["unmapped"]["recipient_domains"]) == domains
        assert ("@" in str(record)) is bool(content and domains)


async def test_h7_refused_file_at_an_upload_link_is_recorded(tmp_path: Path) -> None:
    """A program at the link of attach_files leaves the refusal with person and session; a client that stops, none."""
    file = tmp_path / "audit"
    async with calling(m365_audit=f"file:{file}") as (world, client, access):
        begun = await client.call_tool("attach_files", {**MAIL, "files": [{"name": "a.pdf"}]})
        assert begun.structured_content is not None
        path = urlsplit(begun.structured_content["files"][0]["upload_url"]).path
        async with world.http() as http:
            assert (await http.put(path, content=b"MZ" + bytes(500))).status_code == 400
            assert (await http.put("/upload/unknown", content=b"MZ")).status_code == 404

    (refused,) = [record for record in read(file) if record.get("status") == "refused"]
    assert problems(refused) == []
    assert (refused["api"]["operation"], refused["status_code"]) == ("upload", "file_is_program")
    assert refused["actor"]["user"]["uid"] == access.claims["oid"]
    assert refused["actor"]["session"]["uid"] == access.claims["session"]
    assert "a.pdf" not in file.read_text()
