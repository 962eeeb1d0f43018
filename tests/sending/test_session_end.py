"""Mail that waits for approval when the session that wrote it ends: nothing of it stays, by whichever way it ends."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from key_value.aio.stores.memory import MemoryStore
from rich.console import Console

from m365_mcp.commands.sessions import end
from m365_mcp.errors import ApprovalOver, GraphUnavailable, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.sending.held_mail import MAX_HELD, HeldMail, HeldMails
from m365_mcp.sending.outbox import Outbox
from m365_mcp.sending.session_end import erase
from m365_mcp.storage.backends import LocalBackend, Text
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.guard import GuardedStore
from m365_mcp.storage.records import Records
from tests.auth.test_session_endings import REFRESH, refuse
from tests.ids import IDS
from tests.inprocess import ADA, GRACE, Tokens, World, running
from tests.sending.test_delivery import Direct
from tests.sending.test_outbox import post, send, to_grace

PERSON = PersonId(IDS["azure_tenant_id"], IDS["azure_client_id"])


@dataclass(frozen=True)
class Waiting:
    """A mail that waits of a session of Ada's, of another session of hers, and of a session of Grace's."""

    world: World
    tokens: Tokens
    code: str
    ada: Outbox
    others: tuple[Outbox, Outbox]

    async def held(self, outbox: Outbox) -> list[HeldMail]:
        """Return what waits that this session has written."""
        found = await outbox.outgoing.delivery.held.of(outbox.person)
        return [mail for mail in found if mail.session_id == outbox.origin.session_id]


@asynccontextmanager
async def waiting(folder: Path, **changes: Any) -> AsyncIterator[Waiting]:
    store = {"redis_url": "", "mcp_data_dir": folder, "mcp_refresh_grace_seconds": 0}
    async with running(**store, m365_send_approval="all", **changes) as world:
        client_id = (await world.register()).json()["client_id"]
        found = (await world.redeem(client_id, code := await world.code(client_id))).json()
        tokens = Tokens(client_id, found["access_token"], found["refresh_token"])
        ada, again = await world.outbox(tokens), await world.outbox(await world.sign_in(ADA))
        grace = await world.outbox(await world.sign_in(GRACE))
        for outbox in (ada, again, grace):
            await send(outbox, subject=outbox.origin.session_id)
        yield Waiting(world, tokens, code, ada, (again, grace))


async def revoke(one: Waiting) -> None:
    async with one.world.http() as http:
        await http.post("/revoke", data={"token": one.tokens.access, "client_id": one.tokens.client_id})


async def refresh(one: Waiting) -> None:
    form = {"grant_type": REFRESH, "refresh_token": one.tokens.refresh, "client_id": one.tokens.client_id}
    await one.world.token(**form, scope="mcp-access")


async def reuse(one: Waiting) -> None:
    await refresh(one)
    await refresh(one)


async def replay(one: Waiting) -> None:
    await one.world.redeem(one.tokens.client_id, one.code)


async def refused(one: Waiting, number: int) -> None:
    await refuse(one.world, REFRESH, number)
    await refresh(one)


async def operate(one: Waiting, person: str | None) -> None:
    await end(one.world.container.settings, Console(quiet=True), person, everybody=person is None)


WAYS: dict[str, tuple[Callable[[Waiting], Awaitable[None]], int]] = {
    "revoked": (revoke, 2),
    "refresh token used again": (reuse, 2),
    "code used again": (replay, 2),
    "ended by Microsoft": (lambda one: refused(one, 50173), 2),
    "more proof asked for": (lambda one: refused(one, 50076), 2),
    "ended by the operator": (lambda one: operate(one, ADA), 1),
    "all ended": (lambda one: operate(one, None), 0),
}


PLAIN = ("revoked", "ended by the operator")


@pytest.mark.parametrize("way", [way if way in PLAIN else pytest.param(way, marks=pytest.mark.full) for way in WAYS])
@pytest.mark.sample(1)
async def test_h18_ending_a_session_erases_what_it_holds(way: str, tmp_path: Path) -> None:
    """Content, subject and addresses are gone at once and the status is `expired`; other sessions keep theirs."""
    act, kept = WAYS[way]
    async with waiting(tmp_path) as one:
        [mail] = await one.held(one.ada)
        delivery = one.ada.outgoing.delivery
        await act(one)
        after = await one.held(one.ada)
        left = [await one.held(other) for other in one.others]
        record, content = await delivery.held.find(mail.id), await delivery.held.content(mail)
        entry = await one.ada.held_entry(mail.id)
        with pytest.raises(ApprovalOver):
            await one.world.container.approvals.approve(mail, "")
        sent = await one.world.sent()

    assert (after, content, sent) == ([], None, [])
    assert record is not None
    assert (record.is_decided, record.subject, record.addresses) == (True, "", ())
    assert entry.state == "held"
    assert entry.is_over(delivery.ledger.clock())
    assert sum(map(len, left)) == kept


async def test_h18_call_repeated_after_the_next_sign_in_asks_anew(tmp_path: Path) -> None:
    """What ended with its session was not declined: the same call from a new session waits as a mail of its own."""
    async with waiting(tmp_path) as one:
        [mail] = await one.held(one.ada)
        await revoke(one)
        again = await one.world.outbox(await one.world.sign_in(ADA))
        receipt = await send(again, subject=mail.session_id)
        [waits] = await one.held(again)

    assert receipt.approval is not None
    assert (receipt.approval.status, receipt.message_id) == ("approval_needed", waits.id)
    assert waits.id != mail.id


async def test_h18_end_of_a_session_is_recorded_for_each_mail_that_waited(tmp_path: Path) -> None:
    """The audit trail tells which mail was discarded, with its recipients' domains, and that nobody approved it."""
    trail = tmp_path / "audit.ndjson"
    async with waiting(tmp_path, m365_audit=f"file:{trail}") as one:
        [mail] = await one.held(one.ada)
        await revoke(one)
    records = [json.loads(line) for line in trail.read_text().splitlines()]
    [record] = [record for record in records if record.get("status") == "expired"]

    assert record["email"]["message_uid"] == mail.id
    assert record["unmapped"]["recipient_domains"] == {"contoso.example": 1}
    assert "status_detail" not in record


class Counting(LocalBackend):
    """A store that counts what is overwritten at once."""

    def __init__(self) -> None:
        super().__init__(GuardedStore(MemoryStore()))
        self.overwritten: list[int] = []

    async def overwrite(self, texts: Sequence[Text]) -> None:
        self.overwritten.append(len(texts))
        return await super().overwrite(texts)


async def test_h18_contents_of_all_mails_of_a_session_are_erased_in_one_round_trip() -> None:
    """However much waits, one write erases the contents and what names the people."""
    backend = Counting()
    held = HeldMails(Records(backend, RecordCipher(Fernet(Fernet.generate_key()))), time.time)
    mails = [held_mail(str(number)) for number in range(MAX_HELD)]
    async with post() as one:
        message = await one.ada.compose(to_grace())
    for mail in mails:
        await held.hold(mail, message, 60.0)
    found = await held.of(PERSON)
    backend.overwritten.clear()
    await erase(held, PERSON, found)

    assert backend.overwritten == [2 * MAX_HELD]
    assert len(found) == MAX_HELD
    assert [await held.content(mail) for mail in mails] == [None] * MAX_HELD
    assert await held.of(PERSON) == ()


def held_mail(mail_id: str) -> HeldMail:
    now = time.time()
    return HeldMail(
        id=mail_id, person=PERSON, session_id="s", client="c", sign_in_name=ADA, rule="r", held_at=now,
        expires_at=now + 60, names=("n",), fingerprint="f", window_seconds=60, way="direct",
    )  # fmt: skip


class Away(LocalBackend):
    """A store that does not answer when it shall erase."""

    async def overwrite(self, texts: Sequence[Text]) -> None:
        raise StorageUnavailable


async def test_h18_session_ends_also_when_its_mail_cannot_be_erased() -> None:
    """The end of a session is not held up; its mail cannot be sent, and goes when its time is over."""
    async with running(m365_send_approval="all") as world:
        outbox = await world.outbox(await world.sign_in(ADA))
        await send(outbox)
        [mail] = await outbox.outgoing.delivery.held.of(outbox.person)
        backend = world.container.storage.records._backend
        backend.__class__ = Away
        ended = await world.container.sign_ins.sessions.end(outbox.origin.session_id, "by_client")
        with pytest.raises(ApprovalOver):
            await world.container.approvals.approve(mail, "")

    assert ended


async def test_h18_session_that_ends_during_an_approved_send_leaves_nothing_to_approve(tmp_path: Path) -> None:
    """Where Graph then does not take the mail, the next call of a new session is no repeat of one that waits."""
    async with waiting(tmp_path) as one:
        [mail] = await one.held(one.ada)
        delivery = one.ada.outgoing.delivery

        async def fails(_: str) -> str:
            await revoke(one)
            raise GraphUnavailable

        with pytest.raises(GraphUnavailable):
            await delivery.send_held(mail, Direct(fails))
        found = await delivery.ledger.find(mail.names)
        sent = await one.world.sent()

    assert found is not None
    assert found.entry.state == "failed"
    assert sent == []
