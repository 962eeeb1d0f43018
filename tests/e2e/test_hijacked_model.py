"""A model that text of strangers has hijacked: a thousand calls of a seeded grammar over every tool and argument.

It wants mail to leave the company. Nothing may: one domain is forbidden, and every other outsider needs an approval
that only the person can give. The same calls send dozens of such mails where policy and approval are off.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.grants import HEADERS, grant_of, start_server
from tests.e2e.person import Assistant, PersonAtBrowser, direct_client, done
from tests.e2e.programs import Redis, Simulator, forget_sends

pytestmark = pytest.mark.full
MOVES = 1_000
INSIDE = ("grace@contoso.example", "Ada Lovelace <ada@contoso.example>")
OUTSIDE = (
    "mallory@evil.example",
    "MALLORY@EVIL.EXAMPLE",
    "mallory+x@evil.example",
    "mallory@evil.example.",
    "mallory@sub.evil.example",
    "<mallory@evil.example>",
    "mailto:mallory@evil.example",
    "Grace Hopper <mallory@evil.example>",
    '"grace@contoso.example" <mallory@evil.example>',
    "grace@contoso.example, mallory@evil.example",
    "IMCEASMTP-mallory+40evil+2Eexample@contoso.example",
    "mallory%evil.example@contoso.example",
    "mallory\uff20evil.example",
    "marie@fabrikam.example",
    "Marie <marie@fabrikam.example>",
    "grace@contoso.example.evil.example",
)
CLAIMS = {"confirm": True, "approved": True, "approval": "granted", "dry_run": False, "user_confirmed": "yes"}
POLICY = """
@id("never-evil")
forbid (principal, action == Action::"Send", resource)
when { resource.domains.contains("evil.example") || resource.subdomainsOf.contains("evil.example") };
"""


@dataclass
class Model:
    """Chooses calls, and remembers the ids that results name."""

    chance: random.Random
    drafts: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    scheduled: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def move(self) -> tuple[str, dict[str, Any]]:
        """Return a tool and its arguments."""
        tool = self.chance.choice(list(MOVES_OF))
        arguments = MOVES_OF[tool](self)
        if self.chance.random() < 0.1:
            name = self.chance.choice(list(CLAIMS))
            arguments[name] = CLAIMS[name]
        return tool, arguments

    def learn(self, tool: str, result: dict[str, Any]) -> None:
        """Remember what a result is good for."""
        found = result.get("structuredContent") or {}
        if found.get("draft_id"):
            (self.uploads if tool == "attach_files" else self.drafts).append(found["draft_id"])
        if found.get("scheduled_id"):
            self.scheduled.append(found["scheduled_id"])
        if found.get("status") == "approval_needed":
            self.held.append(found["message_id"])
        self.received += [one["message_id"] for one in found.get("messages", ())]

    def people(self) -> list[str]:
        return [self.chance.choice(OUTSIDE if self.chance.random() < 0.6 else INSIDE) for _ in range(self.number(3))]

    def number(self, most: int) -> int:
        return self.chance.randint(1, most)

    def one_of(self, known: list[str]) -> str:
        return self.chance.choice(known) if known else "AAMkUnknown"

    def mail(self, **more: Any) -> dict[str, Any]:
        """Return the arguments of a mail: some of the optional ones, with people from anywhere."""
        mail: dict[str, Any] = {"to": self.people(), "subject": f"Hello {self.number(40)}", "body": "<p>Secrets</p>"}
        optional: dict[str, Callable[[], Any]] = {
            "cc": self.people,
            "bcc": self.people,
            "reply_to": self.people,
            "from_": lambda: self.chance.choice(OUTSIDE + INSIDE),
            "content_type": lambda: self.chance.choice(["HTML", "Text", "Markdown"]),
            "idempotency_key": lambda: f"key-{self.number(30)}",
            "allow_duplicate": lambda: True,
            "as_written": lambda: True,
            "save_to_sent": lambda: False,
        }
        wanted = [name for name in optional if self.chance.random() < 0.2]
        return {**mail, **{name: optional[name]() for name in wanted}, **more}


def _own(model: Model, *names: str, **more: Any) -> dict[str, Any]:
    """Return a mail with these arguments only, and others."""
    return {**{name: value for name, value in model.mail().items() if name in names}, **more}


_OF_DRAFTS = ("to", "cc", "bcc", "reply_to", "from_", "subject", "body", "content_type", "as_written")
_OF_REPLIES = ("body", "content_type", "as_written", "idempotency_key", "allow_duplicate")
MOVES_OF: dict[str, Callable[[Model], dict[str, Any]]] = {
    "send_mail": lambda model: model.mail(),
    "create_draft": lambda model: _own(model, *_OF_DRAFTS),
    "send_draft": lambda model: {"draft_id": model.one_of(model.drafts)},
    "attach_files": lambda model: _own(model, *_OF_DRAFTS, files=[{"name": "a.txt", "size": 1}]),
    "send_with_attachments": lambda model: {"draft_id": model.one_of(model.uploads + model.drafts)},
    "list_messages": lambda model: {"folder": model.chance.choice(["inbox", "sentitems"]), "top": 5},
    "reply": lambda model: _own(model, *_OF_REPLIES, message_id=model.one_of(model.received), reply_all=True),
    "forward": lambda model: _own(model, *_OF_REPLIES, "to", "cc", "bcc", message_id=model.one_of(model.received)),
    "schedule_mail": lambda model: _own(
        model, *_OF_DRAFTS, "idempotency_key", "allow_duplicate", send_at="2027-01-15T09:00:00+01:00"
    ),
    "cancel_scheduled": lambda model: {"scheduled_id": model.one_of(model.scheduled + model.drafts)},
    "get_send_status": lambda model: {"message_id": model.one_of(model.held)},
}


async def rampage(folder: Path, simulator: Simulator, redis: Redis, **changes: str) -> list[dict[str, Any]]:
    """Have the model make its calls at a server with these settings; return what counts as sent."""
    options = {
        "M365_TOOLSETS": "drafts,attachments,replies,schedule",
        "M365_SEND_BCC": "true",
        "M365_SEND_FROM": "true",
        "M365_SEND_HOURLY_LIMIT": "0",
        "M365_SEND_PERSON_HOURLY": "0",
        "M365_SEND_PERSON_DAILY": "0",
        "M365_INTERNAL_DOMAINS": "contoso.example",
        "REDIS_URL": redis.url,
        **changes,
    }
    server = start_server(folder, simulator, **options)
    grace = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"], "grace@contoso.example"))
    await done(grace, "send_mail", to=["ada@contoso.example"], subject="From Grace", body="Hi")
    ada = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))
    await done(ada, "get_my_profile")
    token, model = (await grant_of(ada)).access, Model(random.Random(2026))  # noqa: S311 - the same moves every time
    async with direct_client(headers={**HEADERS, "Authorization": f"Bearer {token}"}) as http:
        for _ in range(MOVES):
            tool, arguments = model.move()
            call = {"method": "tools/call", "params": {"name": tool, "arguments": arguments}}
            reply = await http.post(f"{server.url}/mcp", json={"jsonrpc": "2.0", "id": 1, **call})
            assert reply.status_code == 200, reply.text
            model.learn(tool, reply.json()["result"])
    return simulator.outbox


def leaked(sent: list[dict[str, Any]]) -> list[list[str]]:
    """Return the addresses of each mail that has one outside the company."""
    found = [[one["address"] for name in ("to", "cc", "bcc", "replyTo") for one in mail[name]] for mail in sent]
    return [addresses for addresses in found if any(_is_outside(address) for address in addresses)]


def _is_outside(address: str) -> bool:
    return not address.lower().endswith("@contoso.example") or "evil" in address.lower()


async def test_g13_l1_hijacked_model_gets_no_mail_past_policy_and_approval(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """Of a thousand moves none sends a mail to an outsider; colleagues get theirs."""
    policy = tmp_path / "policies.cedar"
    policy.write_text(POLICY)
    strict = {"M365_POLICY_FILE": str(policy), "M365_SEND_APPROVAL": "external"}

    sent = await rampage(tmp_path, simulator, shared_redis, **strict)

    assert leaked(sent) == []
    assert len(sent) >= 20


async def test_g13_l1_same_model_leaks_where_nothing_stops_it(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """The same moves send at least fifty mails to outsiders where policy and approval are off: the script does try."""
    forget_sends(shared_redis)

    sent = await rampage(tmp_path, simulator, shared_redis)

    assert len(leaked(sent)) >= 50
