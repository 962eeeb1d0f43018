"""Who gets mail from a person for the first time: counted only where a policy asks, and remembered once it was sent."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from key_value.aio.stores.memory import MemoryStore
from rich.console import Console

from m365_mcp import settings
from m365_mcp.commands import contacts as command
from m365_mcp.errors import InvalidArgument, OutcomeUnknown, PolicyDenied, PolicyUnavailable, StorageUnavailable
from m365_mcp.sending.contacts import Contacts
from m365_mcp.sending.dry_run import dry_run_of_message
from m365_mcp.sending.outbox import Outbox
from m365_mcp.storage.dated_sets import Bounds, LocalDatedSets
from m365_mcp.storage.guard import GuardedStore
from tests.inprocess import ADA, GRACE, SETTINGS
from tests.sending.test_outbox import MARIE, post, send, to_grace
from tests.sending.test_policies import WAYS, forbid, under

SEND = "/v1.0/me/sendMail"
LEE, KIM = "lee@fabrikam.example", "kim@fabrikam.example"


class Sets(LocalDatedSets):
    """Sets that note each call, and fail at those that `fails` names."""

    def __init__(self, *fails: str) -> None:
        super().__init__(GuardedStore(MemoryStore()))
        self.calls: list[str] = []
        self.stored: list[str] = []
        self.fails = fails

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.fails:
            raise StorageUnavailable(retry_after=7)

    async def dates(self, key: str, members: Sequence[str]) -> list[float | None]:
        self._note("read")
        return await super().dates(key, members)

    async def add(self, key: str, members: Collection[str], at: float, bounds: Bounds) -> None:
        self._note("write")
        self.stored += [key, *members]
        await super().add(key, members, at, bounds)


def keeping(outbox: Outbox, contacts: Contacts, condition: str, action: str = "Send") -> Outbox:
    """Return the outbox under a policy with this condition, on a server with these contacts."""
    asking = under(outbox, forbid(condition, action))
    limits = replace(asking.outgoing.delivery.limits, contacts=contacts)
    return replace(asking, outgoing=replace(asking.outgoing, delivery=replace(asking.outgoing.delivery, limits=limits)))


def first_times(number: int) -> str:
    return f"resource.firstTimeCount == {number}"


async def is_counted(ada: Outbox, contacts: Contacts, number: int, **request: Any) -> bool:
    """Return whether so many of the recipients of a message are new; sends nothing."""
    asking = keeping(ada, contacts, first_times(number))
    found = await dry_run_of_message(asking, await asking.compose(to_grace(**request)), "Send")
    return found.decision.refusal is not None


async def test_recipient_is_new_until_a_mail_to_them_was_sent() -> None:
    """Every field counts, in any spelling of the address; another person's mail and dry runs teach nothing."""
    sets = Sets()
    contacts = Contacts(sets, (b"secret",))
    everybody: dict[str, Any] = {"to": [GRACE], "cc": [MARIE], "bcc": [LEE], "reply_to": [KIM]}
    async with post(m365_send_bcc=True) as one:
        assert await is_counted(one.ada, contacts, 4, **everybody)
        await send(keeping(one.grace, contacts, first_times(9)), to=[GRACE, MARIE])
        assert await is_counted(one.ada, contacts, 4, **everybody)
        await send(keeping(one.ada, contacts, first_times(9)), **everybody)

        assert await is_counted(one.ada, contacts, 0, **everybody)
        assert await is_counted(one.ada, contacts, 0, to=["Grace <GRACE@Contoso.Example.>"])
        assert await is_counted(one.ada, contacts, 2, to=[GRACE, "grace+x@contoso.example", "new@fabrikam.example"])
    assert not any(name in text for text in sets.stored for name in ("grace", "marie", "lee", "kim", "example"))


@pytest.mark.sample(2)
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_out_remembers_its_recipients(way: str) -> None:
    """What leaves by any tool is remembered, and what a policy keeps back by any tool is not."""
    contacts = Contacts(Sets(), (b"secret",))
    async with post() as one:
        with pytest.raises(PolicyDenied):
            await WAYS[way](replace(one, ada=keeping(one.ada, contacts, "resource.firstTimeCount > 0")))
        before = await contacts.first_time(one.ada.person, ["grace@contoso.example", MARIE])
        await WAYS[way](replace(one, ada=keeping(one.ada, contacts, first_times(9))))
        after = await contacts.first_time(one.ada.person, ["grace@contoso.example", MARIE])

    assert len(before) == 2
    assert len(after) == 1


@pytest.mark.parametrize(("status", "is_new"), [(503, False), (400, True)])
async def test_unclear_outcome_counts_as_sent_and_a_refusal_does_not(status: int, is_new: bool) -> None:
    """After a lost answer the recipient may have the mail."""
    contacts = Contacts(Sets(), (b"secret",))
    async with post() as one:
        ada = keeping(one.ada, contacts, first_times(9))
        await one.world.fault({"path": SEND}, {"status": status, "body": {"error": {"code": "x", "message": "x"}}})
        with pytest.raises(OutcomeUnknown) if status == 503 else pytest.raises(Exception, match="message_refused"):
            await send(ada, to=[MARIE])

        assert await is_counted(one.ada, contacts, int(is_new), to=[MARIE])


async def test_nothing_is_kept_unless_a_policy_names_it() -> None:
    """Without such a policy the store is neither asked nor told; with one, it is each once for a mail."""
    sets = Sets()
    contacts = Contacts(sets, (b"new", b"old"))
    async with post() as one:
        for condition in ("resource.recipientCount > 99", '"firstTimeCount" == "\\\\"', "false"):
            await send(keeping(one.ada, contacts, condition), to=[MARIE], subject=condition)
        await send(keeping(one.ada, contacts, first_times(1), "Read"), to=[MARIE])
        assert sets.calls == []

        many = [f"p{number}@fabrikam.example" for number in range(20)]
        await send(keeping(one.ada, contacts, "resource.firstTimeCount > 20"), to=many)

    assert sets.calls == ["read", "write"]


@pytest.mark.parametrize("call", ["read", "write"])
async def test_store_that_does_not_respond(call: str) -> None:
    """A count that cannot be read sends nothing; one that cannot be written leaves the recipient new."""
    sets = Sets(call)
    contacts = Contacts(sets, (b"secret",))
    async with post() as one:
        with pytest.raises(PolicyUnavailable) if call == "read" else nullcontext() as caught:
            await send(keeping(one.ada, contacts, first_times(9)), to=[MARIE])
        sent = len(await one.world.sent())

    assert (caught is None) == (sent == 1) == (call == "write")
    assert caught is None or caught.value.retry_after == 7


async def test_contact_is_forgotten_after_the_days_and_survives_a_new_secret() -> None:
    """An address counts as new again when its last mail is too old; a rotated secret keeps what the old one wrote."""
    now, sets = [1_000_000.0], Sets()
    old = Contacts(sets, (b"old",), days=2, clock=lambda: now[0])
    rotated = replace(old, secrets=(b"new", b"old"))
    async with post() as one:
        await send(keeping(one.ada, old, first_times(9)), to=[MARIE])
        now[0] += 2 * 86_400
        assert await is_counted(one.ada, rotated, 0, to=[MARIE])
        assert await is_counted(one.ada, replace(old, secrets=(b"other",)), 1, to=[MARIE])
        now[0] += 1

        assert await is_counted(one.ada, rotated, 1, to=[MARIE])


async def test_page_of_a_held_mail_marks_who_is_new(tmp_path: Path) -> None:
    """The person sees who gets mail for the first time; what they approve is remembered."""
    file = tmp_path / "policies.cedar"
    file.write_text(forbid("resource.firstTimeCount > 0", "SendUnasked"))
    async with post(m365_policy_file=file) as one:
        approvals = one.world.container.approvals
        await send(one.ada, to=[GRACE])
        [first] = await approvals.of(one.ada.person)
        await approvals.approve(first, (await approvals.show(first)).digest)
        assert (await send(one.ada, to=[GRACE], subject="Again")).approval is None
        await send(one.ada, to=[GRACE, MARIE])
        [mail] = await approvals.of(one.ada.person)

        assert (await approvals.show(mail)).first_time == {MARIE}


async def test_setting_says_how_long_a_contact_counts() -> None:
    """M365_POLICY_CONTACT_DAYS reaches what remembers."""
    async with post(m365_policy_contact_days=7) as one:
        contacts = one.ada.outgoing.delivery.limits.contacts

    assert contacts is not None
    assert contacts.days == 7


@pytest.mark.parametrize("name", ["sign-in name", "object id"])
@pytest.mark.sample(1)
async def test_operator_deletes_a_persons_contacts(name: str, tmp_path: Path) -> None:
    """After `m365-mcp contacts forget` every recipient is new again for this person, and for nobody else."""
    stored = {"redis_url": "", "mcp_data_dir": tmp_path}
    said, chosen = io.StringIO(), settings.load(**{**SETTINGS, **stored})
    async with post(**stored) as one:
        contacts = one.ada.outgoing.delivery.limits.contacts
        assert contacts is not None
        for outbox in (one.ada, one.grace):
            await send(under(outbox, forbid(first_times(9))), to=[MARIE])
        await command.forget(chosen, Console(file=said), ADA if name == "sign-in name" else one.ada.person.object_id)

        assert await contacts.first_time(one.ada.person, [MARIE]) == {MARIE}
        assert await contacts.first_time(one.grace.person, [MARIE]) == set()
        await command.forget(chosen, Console(file=said), ADA)
        with pytest.raises(InvalidArgument, match="has a session"):
            await command.forget(chosen, Console(file=said), "nobody@contoso.example")
    assert said.getvalue().splitlines() == ["The contacts were deleted.", "There were no contacts."]
