"""Files of real size: announced to the server, uploaded by link past the model, sent with the draft they belong to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from m365_mcp import settings
from m365_mcp.storage.encryption import make_cipher
from m365_mcp.storage.opening import open_storage
from m365_mcp.uploads.links import COLLECTION, key_of
from tests.e2e.attaching import (
    CHUNK,
    MAIL,
    TEN_MB,
    UPLOADS,
    AttachingPerson,
    content,
    put,
    ranges,
    sha256,
    text,
)
from tests.e2e.grants import KEYS, call_tool, signed_in, start_server
from tests.e2e.outlook import Outlook, people
from tests.e2e.person import direct_client
from tests.e2e.programs import Redis, Server, Simulator

MIB = 1024 * 1024
GRACE = "grace@contoso.example"


async def test_draft_that_the_person_deleted_is_not_sent(
    attaching_ada: AttachingPerson, simulator: Simulator, outlook: Outlook
) -> None:
    """send_with_attachments sends nothing from Deleted Items, although every file has come and Graph would send it."""
    draft_id, url = await attaching_ada.link()
    await put(url, content(1000))
    await outlook.delete(draft_id)

    sent = await attaching_ada.send(draft_id)

    assert sent["isError"]
    assert text(sent).startswith("message_missing: ")
    assert "Nothing was sent." in text(sent)
    assert simulator.outbox == []
    assert await outlook.subjects("deleteditems") == ["Figures"]


async def test_ten_megabytes_by_curl_arrive_whole_and_are_sent(
    attaching_ada: AttachingPerson, simulator: Simulator, tmp_path: Path
) -> None:
    """The command that attach_files returns uploads the file; the outbox, the answer and the file agree."""
    data, name = content(), "it's [final] figures.bin"
    (tmp_path / name).write_bytes(data)
    waiting = await attaching_ada.attach({"name": name, "size": TEN_MB})
    (file,) = waiting["files"]

    if shutil.which("curl"):
        command = f"{file['command']} --silent --show-error --noproxy '*'"
        curl = await asyncio.create_subprocess_shell(command, cwd=tmp_path, stdout=-1)
        answer = json.loads((await curl.communicate())[0])
    else:
        answer = (await put(file["upload_url"], data)).json()
    sent = await attaching_ada.send(waiting["draft_id"])

    facts = {"name": name, "size": TEN_MB, "sha256": sha256(data)}
    assert answer == facts
    assert not sent["isError"], sent
    assert sent["structuredContent"]["status"] == "sent"
    assert sent["structuredContent"]["message_id"] == waiting["message_id"]
    assert sent["structuredContent"]["recipients"] == [GRACE]
    assert sent["structuredContent"]["files"] == [facts]
    (message,) = simulator.outbox
    (attachment,) = message["attachments"]
    assert {key: attachment[key] for key in facts} == facts
    assert message["subject"] == "Figures"
    assert [status for _, status in ranges(simulator)] == [200, 200, 201]


async def person_at(folder: Path, simulator: Simulator, redis: Redis, **rules: str) -> AttachingPerson:
    """Return Ada, signed in at another server with the same store."""
    server = start_server(
        folder, simulator, **{"REDIS_URL": redis.url, "M365_TOOLSETS": "attachments", **KEYS, **rules}
    )
    return AttachingPerson(server, await signed_in(server, simulator))


async def test_h4_rules_hold_when_the_mail_is_sent(
    attaching_ada: AttachingPerson, simulator: Simulator, outlook: Outlook, shared_redis: Redis, tmp_path: Path
) -> None:
    """H4: recipients, reply-to addresses and files that the rules of now forbid keep the mail back."""
    strict = await person_at(tmp_path, simulator, shared_redis, M365_SEND_ALLOWED_DOMAINS="contoso.example")
    drafts = []
    for _ in range(3):
        draft_id, url = await attaching_ada.link()
        await put(url, content(1000))
        drafts.append(draft_id)
    await outlook.change(drafts[0], toRecipients=people("m@evil.example"))
    await outlook.change(drafts[1], replyTo=people("m@evil.example"))
    await outlook.attach(drafts[2], "setup.exe")

    said = [text(await strict.send(draft_id)) for draft_id in drafts]

    assert [one.partition(":")[0] for one in said] == ["recipient_not_allowed"] * 2 + ["invalid_argument"]
    assert all("Nothing was sent." in one and "evil" not in one for one in said)
    assert simulator.outbox == []


async def test_h4_receipt_names_the_recipients_of_the_draft(
    attaching_ada: AttachingPerson, simulator: Simulator, outlook: Outlook, shared_redis: Redis, tmp_path: Path
) -> None:
    """H4: the receipt names those whom the draft went to, and a repeat under other rules returns the same receipt."""
    strict = await person_at(tmp_path, simulator, shared_redis, M365_SEND_ALLOWED_DOMAINS="contoso.example")
    draft_id, url = await attaching_ada.link()
    await put(url, content(1000))
    await outlook.change(draft_id, toRecipients=people("marie@fabrikam.example"))

    sent = (await attaching_ada.send(draft_id))["structuredContent"]
    again = (await strict.send(draft_id))["structuredContent"]

    assert sent["recipients"] == again["recipients"] == ["marie@fabrikam.example"]
    assert again["duplicate_of"] == sent["message_id"]
    assert [one["address"] for one in simulator.outbox[0]["to"]] == ["marie@fabrikam.example"]


async def test_h4_file_that_the_person_removed_is_missing(
    attaching_ada: AttachingPerson, simulator: Simulator, outlook: Outlook
) -> None:
    """H4: a file that arrived and is no longer in the draft is not said to be sent; the mail stays back."""
    draft_id, url = await attaching_ada.link()
    await put(url, content(1000))
    await outlook.detach(draft_id)

    said = text(await attaching_ada.send(draft_id))

    assert said.startswith("attachments_missing: 1 of 1 files are not in the draft: 'files' entry 1.")
    assert simulator.outbox == []


async def test_h13_send_draft_sends_no_draft_whose_files_are_missing(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """H13: send_draft refuses a draft of attach_files until every file is in it, and then sends it once."""
    ada = await person_at(tmp_path, simulator, shared_redis, M365_TOOLSETS="drafts,attachments")
    waiting = await ada.attach({"name": "a.bin"}, {"name": "Größe.bin"})
    draft_id, urls = waiting["draft_id"], [file["upload_url"] for file in waiting["files"]]

    nothing = text(await ada.call("send_draft", draft_id=draft_id))
    await put(urls[1], content(1000))
    one = text(await ada.call("send_draft", draft_id=draft_id))
    await put(urls[0], content(1000))
    sent = await ada.call("send_draft", draft_id=draft_id)
    again = text(await ada.send(draft_id))

    assert nothing.startswith("attachments_missing: 2 of 2 files are not in the draft")
    assert one.startswith("attachments_missing: 1 of 2 files are not in the draft: 'files' entry 1.")
    assert "Nothing was sent." in one
    assert not sent["isError"], sent
    assert again.startswith("already_sent: ")
    [mail] = simulator.outbox
    assert sorted(file["name"] for file in mail["attachments"]) == ["Größe.bin", "a.bin"]


@pytest.mark.parametrize("size", [0, 1, 2_999_999])
async def test_file_below_3_mb_goes_in_one_request(
    attaching_ada: AttachingPerson, simulator: Simulator, size: int
) -> None:
    """A small file needs no upload session, which Graph would refuse."""
    draft_id, url = await attaching_ada.link()
    data = content(size)

    answer = await put(url, data)
    sent = await attaching_ada.send(draft_id)

    assert (answer.status_code, answer.json()["sha256"]) == (201, sha256(data))
    assert not sent["isError"], sent
    (attachment,) = simulator.outbox[0]["attachments"]
    assert (attachment["size"], attachment["sha256"]) == (size, sha256(data))
    assert ranges(simulator) == []


@pytest.mark.parametrize("size", [3_000_000, CHUNK, CHUNK + 1, 2 * CHUNK])
async def test_file_of_whole_chunks_and_a_bit_arrives_whole(
    attaching_ada: AttachingPerson, simulator: Simulator, size: int
) -> None:
    """The borders between one request, one range and several are where they should be."""
    draft_id, url = await attaching_ada.link(size=size)
    data = content(size)

    answer = await put(url, data)
    await attaching_ada.send(draft_id)

    assert answer.status_code == 201, answer.text
    assert simulator.outbox[0]["attachments"][0]["sha256"] == sha256(data)
    assert len(ranges(simulator)) == -(-size // CHUNK)


async def test_no_token_and_no_cookie_goes_to_the_upload_host(
    attaching_ada: AttachingPerson, simulator: Simulator
) -> None:
    """The address is the permission there."""
    _, url = await attaching_ada.link()

    await put(url, content())

    seen = [one for one in simulator.control("GET", "requests") if one["path"].startswith("/api/v2.0/")]
    assert len(seen) == 3
    assert {one["client_auth"] for one in seen} == {None}
    assert {one["cookies"] for one in seen} == {False}


async def test_link_works_once(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """A finished link is 410 for a program and for a person, and nothing is attached a second time."""
    draft_id, url = await attaching_ada.link()
    await put(url, b"first")

    second_round = await put(url, b"second")
    async with direct_client() as http:
        page = await http.get(url)
    await attaching_ada.send(draft_id)

    assert (second_round.status_code, second_round.json()["error"]) == (410, "upload_link_ended")
    assert page.status_code == 410
    assert "works once" in page.text
    assert len(simulator.outbox[0]["attachments"]) == 1


async def test_two_uploads_at_once_share_no_link(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """Of two uploads through one link one attaches its file; the other is told."""
    draft_id, url = await attaching_ada.link()

    replies = await asyncio.gather(*(put(url, content(seed=seed)) for seed in range(2)))
    await attaching_ada.send(draft_id)

    assert sorted(reply.status_code for reply in replies) in ([201, 409], [201, 410])
    assert len(simulator.outbox[0]["attachments"]) == 1


async def test_many_files_at_once_stay_within_the_mailbox_limit(
    attaching_ada: AttachingPerson, simulator: Simulator
) -> None:
    """Six uploads into one mailbox share its four places; Graph never has to refuse one."""
    waiting = await attaching_ada.attach(*({"name": f"{number}.bin"} for number in range(6)))
    files = [content(5_000_000, seed) for seed in range(6)]

    links = [file["upload_url"] for file in waiting["files"]]
    answers = await asyncio.gather(*(put(url, data) for url, data in zip(links, files, strict=True)))
    sent = await attaching_ada.send(waiting["draft_id"])

    assert {answer.status_code for answer in answers} == {201}
    assert simulator.count(status=429) == 0
    assert [one["sha256"] for one in sent["structuredContent"]["files"]] == [sha256(data) for data in files]
    assert len(simulator.outbox[0]["attachments"]) == 6


async def test_expired_link_is_refused(
    attaching_ada: AttachingPerson, simulator: Simulator, shared_redis: Redis
) -> None:
    """After its time a link is 410, and the send says that the file did not come."""
    draft_id, url = await attaching_ada.link()
    await _let_expire(simulator, shared_redis, url)

    answer = await put(url, b"late")
    refused = await attaching_ada.send(draft_id)

    assert answer.status_code == 410
    assert "expired" in answer.json()["error_description"]
    assert "'files' entry 1 did not arrive before its link expired" in text(refused)


async def _let_expire(simulator: Simulator, redis: Redis, url: str) -> None:
    names = {name.lower(): value for name, value in {**simulator.settings, **KEYS, "REDIS_URL": redis.url}.items()}
    chosen = settings.load(**names)
    cipher = make_cipher([key.get_secret_value() for key in chosen.storage_encryption_key], chosen.signing_secrets)
    storage = open_storage(chosen, cipher)
    name = key_of(url.rpartition("/")[2])
    stored = await storage.records.read(COLLECTION, name)
    assert stored.value is not None
    assert 800 < stored.value["expires_at"] - time.time() <= 900
    assert await storage.records.compare_and_swap(
        COLLECTION, name, stored, {**stored.value, "expires_at": time.time()}, 60
    )
    await storage.close()


async def test_c17_nobody_sends_another_persons_draft(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """A draft id is worth nothing to somebody else, and a link leads to its owner's draft, whoever uses it."""
    draft_id, url = await attaching_ada.link()
    grace = AttachingPerson(attaching_ada.server, await signed_in(attaching_ada.server, simulator, GRACE))

    answer = await put(url, b"from anywhere", Authorization=f"Bearer {grace.grant.access}")
    refused = await grace.send(draft_id)
    sent = await attaching_ada.send(draft_id)

    assert answer.status_code == 201
    assert refused["isError"]
    assert "draft_unknown" in text(refused)
    assert not sent["isError"], sent
    assert [message["from"]["address"] for message in simulator.outbox] == ["ada@contoso.example"]


async def test_link_dies_with_its_session(attaching_server: Server, simulator: Simulator) -> None:
    """Once the person has signed out, the link is 401 and nothing reaches Graph."""
    ada = AttachingPerson(attaching_server, await signed_in(attaching_server, simulator))
    _, url = await ada.link()
    async with direct_client() as http:
        form = {"token": ada.grant.refresh, "client_id": ada.grant.client_id}
        assert (await http.post(f"{attaching_server.url}/revoke", data=form)).status_code == 200

    answer = await put(url, content())

    assert (answer.status_code, answer.json()["error"]) == (401, "sign_in_needed")
    assert ranges(simulator) == []


@pytest.mark.parametrize("start", [b"MZ\x90\x00", b"\x7fELF", b"#!/bin/sh\n"])
@pytest.mark.parametrize("size", [100, 4_000_000])
@pytest.mark.sample(2)
async def test_program_is_refused_by_its_content(
    attaching_ada: AttachingPerson, simulator: Simulator, start: bytes, size: int
) -> None:
    """A program under an innocent name is refused before anything is attached; the right file may still come."""
    draft_id, url = await attaching_ada.link("report.pdf")

    answer = await put(url, start.ljust(size, b"x"))
    refused = await attaching_ada.send(draft_id)
    right = await put(url, b"%PDF-1.7")
    await attaching_ada.send(draft_id)

    assert (answer.status_code, answer.json()["error"]) == (400, "file_is_program")
    assert "program" in answer.json()["error_description"]
    assert "file_is_program" in text(refused)
    assert right.status_code == 201
    assert [one["sha256"] for one in simulator.outbox[0]["attachments"]] == [sha256(b"%PDF-1.7")]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([{"name": "setup.exe"}], "type that this server does not attach"),
        ([{"name": "../../etc/passwd"}], "path"),
        ([{"name": "invoice\u202efdp.exe"}], "control"),
        ([{"name": "a.pdf"}, {"name": "A.PDF"}], "same name"),
        ([{"name": "a.pdf", "size": 150_000_001}], "file_too_large"),
        ([{"name": "a.pdf", "size": 100_000_000}, {"name": "b.pdf", "size": 50_000_001}], "file_too_large"),
        ([{"name": "a.pdf", "size": -1}], "entry 1"),
        ([{"name": "a.pdf", "path": "/etc/passwd"}], "entry 1"),
        ([{"size": 1}], "entry 1"),
        ([], "0 entries"),
    ],
)
async def test_file_that_cannot_be_attached_is_refused_when_it_is_announced(
    attaching_ada: AttachingPerson, simulator: Simulator, files: list[dict[str, Any]], said: str
) -> None:
    """No draft and no link is made for a name, a type or a size that cannot go."""
    result = await attaching_ada.call("attach_files", **MAIL, files=files)

    assert result["isError"]
    assert said in text(result)
    assert simulator.count(method="POST", path="/v1.0/me/messages") == 0


async def test_missing_file_keeps_the_mail_back(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """Nothing is sent before every file is there, and the answer says which is missing; then it is sent once."""
    waiting = await attaching_ada.attach({"name": "a.txt"}, {"name": "b.txt"}, {"name": "c.txt"})
    first, second, third = (file["upload_url"] for file in waiting["files"])
    await put(first, b"a")
    await put(third, b"c")

    refused = await attaching_ada.send(waiting["draft_id"])
    assert simulator.outbox == []
    await put(second, b"b")
    sent = [await attaching_ada.send(waiting["draft_id"]) for _ in range(3)]

    assert refused["isError"]
    assert "attachments_missing: 1 of 3 files are missing: 'files' entry 2 has not arrived. Nothing was sent." in text(
        refused
    )
    assert not any(one["isError"] for one in sent)
    (message,) = simulator.outbox
    assert [one["name"] for one in message["attachments"]] == ["a.txt", "c.txt", "b.txt"]
    receipts = [one["structuredContent"] for one in sent]
    assert [one["duplicate_of"] for one in receipts] == [None, waiting["message_id"], waiting["message_id"]]
    assert [one["status"] for one in receipts] == ["sent", "already_sent", "already_sent"]


@pytest.mark.parametrize(
    ("announced", "data", "status", "code"),
    [
        (None, b"", 411, "length_needed"),
        (5, b"123456", 400, "upload_incomplete"),
        (None, 150_000_001, 413, "file_too_large"),
    ],
)
@pytest.mark.sample(1)
async def test_upload_of_another_length_is_refused_before_its_bytes(
    attaching_ada: AttachingPerson,
    simulator: Simulator,
    announced: int | None,
    data: bytes | int,
    status: int,
    code: str,
) -> None:
    """Without a length, with another one than announced, or with one no mail can carry: refused, link unharmed."""
    size: dict[str, Any] = {} if announced is None else {"size": announced}
    _, url = await attaching_ada.link(**size)

    async def chunked() -> AsyncIterator[bytes]:
        yield b"12345"

    found = await _only_head(url, data) if isinstance(data, int) else _found(await put(url, data or chunked()))
    right = await put(url, b"12345")

    assert found == (status, code)
    assert right.status_code == 201, right.text


def _found(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


async def _only_head(url: str, length: int) -> tuple[int, str]:
    """Ask as curl does, with Expect: 100-continue, and return what comes back instead."""
    where = httpx2.URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    head = f"PUT {where.path} HTTP/1.1\r\nHost: {where.host}:{where.port}\r\nContent-Length: {length}\r\n"
    writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return int(answer.split()[1]), json.loads(answer.partition("\r\n\r\n")[2])["error"]


async def test_mailbox_that_takes_less_is_said_so(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """What is over the mailbox's own limit is 413, in words."""
    simulator.control("PATCH", "switches", message_bytes=5_000_000)
    _, url = await attaching_ada.link()

    answer = await put(url, content())

    assert (answer.status_code, answer.json()["error"]) == (413, "file_too_large")
    assert "mailbox" in answer.json()["error_description"]


async def test_draft_that_is_gone_is_said_so(attaching_ada: AttachingPerson, simulator: Simulator) -> None:
    """When the person has deleted the draft, the upload is refused with advice."""
    _, url = await attaching_ada.link()
    simulator.control("POST", "faults", where={"path": "/v1.0/me/messages/*"}, what={"status": 404, "body": _GONE})

    answer = await put(url, content())

    assert answer.status_code == 400
    assert "attach_files" in answer.json()["error_description"]


_GONE = {"error": {"code": "ErrorItemNotFound", "message": "The specified object was not found in the store."}}


@pytest.mark.parametrize("path", ["/upload/x", f"/upload/{'A' * 43}", "/upload/"])
async def test_unknown_link_is_not_found(attaching_ada: AttachingPerson, path: str) -> None:
    """A guess is 404, as a page and as an upload."""
    async with direct_client() as http:
        replies = [
            await http.get(attaching_ada.server.url + path),
            await http.put(attaching_ada.server.url + path, content=b"x"),
        ]

    assert {reply.status_code for reply in replies} == {404}


async def test_foreign_page_cannot_use_a_link(attaching_ada: AttachingPerson) -> None:
    """A page of another site that knows a link is refused, and so is another host's name."""
    _, url = await attaching_ada.link()

    foreign = await put(url, b"x", Origin="https://evil.example")
    other_host = await put(url, b"x", Host="evil.example")

    assert (foreign.status_code, other_host.status_code) == (403, 421)


async def test_without_the_toolset_there_is_no_route_and_no_tool(simulator: Simulator, tmp_path: Path) -> None:
    """Nothing of it is there until the operator switches it on."""
    server = start_server(tmp_path, simulator)
    ada = AttachingPerson(server, await signed_in(server, simulator))

    async with direct_client() as http:
        status = (await http.get(f"{server.url}/upload/x")).status_code
    reply = await call_tool(server.url, ada.grant.access, "attach_files", **MAIL, files=[{"name": "a.txt"}])

    assert status == 404
    assert "nknown tool" in reply.text


async def test_log_holds_no_link_no_name_and_no_content(simulator: Simulator, tmp_path: Path) -> None:
    """At debug level, through success and failure, nothing of a file is logged."""
    server = start_server(tmp_path, simulator, M365_TOOLSETS="attachments", MCP_LOG_LEVEL="debug")
    ada = AttachingPerson(server, await signed_in(server, simulator))
    draft_id, url = await ada.link("c4n4ry.txt")

    simulator.control("POST", "faults", where={"method": "PUT", "path": UPLOADS}, what={"reset": True})
    await put(url, b"MZ c4n4ry")
    await put(url, b"c4n4ry" * 1_000_000)
    await ada.send(draft_id)
    await put(url, b"c4n4ry")
    server.program.end()

    assert len(simulator.outbox) == 1
    for secret in ("c4n4ry", url.rpartition("/")[2], "authtoken", draft_id):
        assert secret not in server.log, secret


@pytest.mark.full
async def test_150_mb_pass_through_a_process_that_hardly_grows(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The largest file Exchange takes raises the server's peak memory by less than 40 MB."""
    server = start_server(tmp_path, simulator, M365_TOOLSETS="attachments")
    ada = AttachingPerson(server, await signed_in(server, simulator))
    size, block = 150_000_000, content(MIB)
    (draft_id, url), (_, warm_url) = await ada.link(size=size), await ada.link()
    await put(warm_url, b"warm")
    before, digest = _peak(server), hashlib.sha256()

    async def parts() -> AsyncIterator[bytes]:
        for left in range(size, 0, -MIB):
            digest.update(block[:left])
            yield block[:left]

    answer = await put(url, parts(), **{"Content-Length": str(size)})
    grown = (_peak(server) - before) / 1_000_000
    sent = await ada.send(draft_id)

    with capsys.disabled():
        print(f"\npeak of the server: {before / 1e6:.1f} MB before, {grown:.1f} MB more for {size:,} bytes")  # noqa: T201
    assert (answer.status_code, answer.json()["sha256"]) == (201, digest.hexdigest())
    assert not sent["isError"], sent
    (attachment,) = simulator.outbox[0]["attachments"]
    assert (attachment["size"], attachment["sha256"]) == (size, digest.hexdigest())
    assert grown < 40


def _peak(server: Server) -> int:
    assert server.program.process is not None
    status = Path(f"/proc/{server.program.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def test_h17_announced_page_gives_a_warning(attaching_ada: AttachingPerson) -> None:
    """attach_files knows only the name, and says what may happen to a file of this type."""
    waiting = await attaching_ada.attach({"name": "a.pdf"}, {"name": "report.html"})

    assert any("a .html file" in warning and "'files' entry 2" in warning for warning in waiting["warnings"])
