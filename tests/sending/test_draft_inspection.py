"""A draft is inspected when it is sent: as it is in the mailbox then, by the rules of then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from m365_mcp.errors import (
    AlreadySent,
    AttachmentsMissing,
    InvalidArgument,
    M365Error,
    MessageMissing,
    PermissionMissing,
    RecipientNotAllowed,
)
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.items import FILES, MARKER, read_item
from m365_mcp.mail import MailRules
from m365_mcp.sending.draft_inspection import DraftInspection
from m365_mcp.sending.strategies import ExistingDraftSend
from tests.graph.mailboxes import mailbox_over
from tests.sending.policies import no_policies

OPEN, STRICT = MailRules(), MailRules(allowed_domains=("contoso.example",))
FILE = "#microsoft.graph.fileAttachment"


def people(*addresses: str) -> list[dict[str, Any]]:
    return [{"emailAddress": {"address": address}} for address in addresses]


@dataclass
class OneDraft:
    """A Graph with one draft of this server, and the requests that came."""

    changes: dict[str, Any] = field(default_factory=dict)
    attachments: Sequence[dict[str, Any]] = ()
    announced: tuple[str, ...] = ()
    folder: str = "drafts"
    sent: int = 0
    page: int = 250

    def draft(self) -> dict[str, Any]:
        extended = [{"id": MARKER.lower(), "value": "our-id"}]
        if self.announced:
            extended.append({"id": FILES.lower(), "value": "\n".join(self.announced)})
        plain = {"id": "AAMk1", "isDraft": True, "toRecipients": people("grace@contoso.example")}
        return {**plain, "singleValueExtendedProperties": extended, **self.changes}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path.endswith("/send"):
            self.sent += 1
            return httpx2.Response(202)
        if path.endswith("/attachments"):
            skip = int(request.url.params.get("$skip", 0))
            link = f"https://elsewhere.example{path}?$skip={skip + self.page}"
            more = {"@odata.nextLink": link} if len(self.attachments) > skip + self.page else {}
            return httpx2.Response(200, json={"value": self.attachments[skip : skip + self.page], **more})
        if path.endswith("/messages"):
            return httpx2.Response(200, json={"value": [{"id": "AAMk1"}] if f"/{self.folder}/" in path else []})
        if path.endswith("/me"):
            aliases = ["SMTP:ada@contoso.example", "smtp:a.lovelace@contoso.example", "SIP:team@contoso.example"]
            profile = {
                "mail": "ada@contoso.example",
                "userPrincipalName": "ada@corp.example",
                "proxyAddresses": aliases,
            }
            return httpx2.Response(200, json=profile)
        return httpx2.Response(200, json=self.draft())

    def drafts(self) -> Drafts:
        return Drafts(mailbox_over(self))


def inspection_of(graph: OneDraft, rules: MailRules) -> DraftInspection:
    return DraftInspection(graph.drafts(), rules, no_policies(graph.drafts()))


async def refusal(graph: OneDraft, rules: MailRules = OPEN) -> M365Error:
    """Return the error that forbids to send the draft; nothing was sent."""
    with pytest.raises(M365Error) as caught:
        await send(graph, rules)
    assert graph.sent == 0
    return caught.value


async def send(graph: OneDraft, rules: MailRules = OPEN) -> ExistingDraftSend:
    async def record(_: str) -> None:
        return

    strategy = ExistingDraftSend(graph.drafts(), "AAMk1", "our-id", inspection_of(graph, rules))
    await strategy.send("our-id", record)
    return strategy


async def test_draft_within_the_rules_is_sent_as_it_is_now() -> None:
    """The strategy sends the draft and tells the recipients that it has now."""
    graph = OneDraft({"ccRecipients": people("marie@contoso.example"), "from": people("ADA@contoso.example")[0]})

    strategy = await send(graph, STRICT)

    assert graph.sent == 1
    assert strategy.inspected is not None
    assert strategy.inspected.addresses == ("grace@contoso.example", "marie@contoso.example")


@pytest.mark.parametrize("name", ["toRecipients", "ccRecipients", "replyTo"])
async def test_h4_h18_addresses_are_checked_when_the_draft_is_sent(name: str) -> None:
    """H4, H18: a recipient or reply-to address outside the domains of now stops the draft."""
    error = await refusal(OneDraft({name: people("m@evil.example")}), STRICT)

    assert isinstance(error, RecipientNotAllowed)
    assert "evil" not in error.explain()


async def test_h4_blind_copies_and_number_are_checked_when_the_draft_is_sent() -> None:
    """H4: blind copies that were switched off since, and too many recipients, stop the draft."""
    blind = await refusal(OneDraft({"bccRecipients": people("m@contoso.example")}))
    many = await refusal(OneDraft({"ccRecipients": people("m@contoso.example")}), MailRules(max_recipients=1))
    nobody = await refusal(OneDraft({"toRecipients": [], "replyTo": people("m@contoso.example")}))

    assert "M365_SEND_BCC" in blind.advice
    assert "2 recipients" in many.sentence
    assert "no recipient" in nobody.sentence


@pytest.mark.parametrize("sender", ["team@contoso.example", "ada@evil.example"])
async def test_h18_sender_is_checked_when_the_draft_is_sent(sender: str) -> None:
    """H18: another sender is refused where from_ is switched off, and passes where it is on."""
    graph = OneDraft({"from": people(sender)[0]})

    error = await refusal(graph)
    await send(graph, MailRules(allow_from=True))

    assert "'from_' is switched off" in error.sentence
    assert graph.sent == 1


@pytest.mark.parametrize("sender", ["Ada@Contoso.example", "a.lovelace@contoso.example", "ada@corp.example"])
async def test_h18_every_address_of_the_person_is_their_own(sender: str) -> None:
    """H18: the main address, an alias and the sign-in name are no other sender."""
    graph = OneDraft({"from": people(sender)[0]})

    await send(graph)

    assert graph.sent == 1


async def test_h13_announced_files_must_be_in_the_draft() -> None:
    """H13: a draft of attach_files is not sent without each announced file; the error tells their numbers only."""
    there = {"@odata.type": FILE, "id": "1", "name": "Plan.PDF"}
    graph = OneDraft(attachments=[there], announced=("plan.pdf", "secret name.txt"))

    error = await refusal(graph)
    graph.announced = ("plan.pdf",)
    await send(graph)

    assert isinstance(error, AttachmentsMissing)
    assert "1 of 2 files are not in the draft: 'files' entry 2." in error.sentence
    assert "secret" not in error.explain()
    assert graph.sent == 1


@pytest.mark.parametrize("page", [1, 3, 250])
async def test_h4_attachments_are_checked_when_the_draft_is_sent(page: int) -> None:
    """H4: a blocked type that the person added in Outlook stops the draft, on whatever page of the list it is."""
    fine = [{"@odata.type": FILE, "id": str(number), "name": f"{number}.txt"} for number in range(5)]
    graph = OneDraft(attachments=[*fine, {"@odata.type": FILE, "id": "x", "name": "setup.exe"}], page=page)

    error = await refusal(graph)
    await send(graph, MailRules(blocked_extensions=frozenset()))

    assert error.sentence.startswith("Attachment 6 of the draft")
    assert graph.sent == 1


async def test_attached_message_may_have_any_subject() -> None:
    """An attached message or a link has a subject or title for a name, which is no file name."""
    graph = OneDraft(attachments=[{"@odata.type": "#microsoft.graph.itemAttachment", "id": "1", "name": "Re: a/b.exe"}])

    await send(graph)

    assert graph.sent == 1


async def test_h4_number_of_attachments_is_checked_when_the_draft_is_sent() -> None:
    """H4: more attachments than Exchange takes are said before Graph is asked."""
    many = [{"@odata.type": FILE, "id": str(number), "name": f"{number}.txt"} for number in range(251)]

    assert "more than 250 attachments" in (await refusal(OneDraft(attachments=many, page=100))).sentence


async def test_sent_deleted_and_foreign_drafts_are_not_sent() -> None:
    """What was sent, what lies elsewhere and what others made stays where it is."""
    assert isinstance(await refusal(OneDraft({"isDraft": False})), AlreadySent)
    assert isinstance(await refusal(OneDraft(folder="deleteditems")), MessageMissing)
    assert isinstance(await refusal(OneDraft({"singleValueExtendedProperties": []})), InvalidArgument)


async def test_unreadable_attachments_stop_the_draft() -> None:
    """Without a list of the attachments nothing is sent."""
    graph = OneDraft()

    def broken(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(403) if request.url.path.endswith("/attachments") else graph(request)

    inspection = DraftInspection(Drafts(mailbox_over(broken)), OPEN, no_policies(Drafts(mailbox_over(broken))))
    with pytest.raises(PermissionMissing):
        await inspection.inspect("AAMk1")


async def test_h4_draft_that_is_sent_once_more_is_inspected_again() -> None:
    """H4: after an unclear response, a draft that today's rules forbid is not sent by looking it up."""
    graph = OneDraft({"toRecipients": people("m@evil.example")})
    strict, loose = (
        ExistingDraftSend(graph.drafts(), "AAMk1", "our-id", inspection_of(graph, rules), poll_pauses=(0.0,))
        for rules in (STRICT, OPEN)
    )

    with pytest.raises(RecipientNotAllowed):
        await strict.reconcile("our-id", "AAMk1")
    assert graph.sent == 0
    assert await loose.reconcile("our-id", "AAMk1") is True
    assert graph.sent == 1


async def test_scheduled_mail_is_compared_with_the_rules_of_now() -> None:
    """H18: a scheduled message whose reply-to address or sender the rules forbid now is told from the others."""
    graph = OneDraft()
    inspection = inspection_of(graph, STRICT)
    items = [
        read_item(OneDraft(changes).draft())
        for changes in (
            {},
            {"replyTo": people("m@evil.example")},
            {"from": people("team@contoso.example")[0]},
            {"from": people("ada@contoso.example")[0]},
        )
    ]

    own = await inspection.own_keys(items)

    assert [inspection.is_allowed(item, own) for item in items] == [True, False, False, True]
