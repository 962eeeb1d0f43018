"""The test cases that a directory's reviewers are given: what a person asks, the call, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GRACE = "grace@contoso.example"


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        prompt: what the person asks.
        tool: the tool that answers it.
        arguments: of the call.
        expected: what the page promises.
        says: a part of the tool's answer.
        mails: how many mails leave.
        is_refused: whether the tool must refuse the call.
    """

    prompt: str
    tool: str
    arguments: dict[str, Any]
    expected: str
    says: str
    mails: int = 0
    is_refused: bool = False


CASES = (
    Case("Who am I?", "get_my_profile", {}, "Ada's name and address.", "ada@contoso.example"),
    Case(
        "Send Grace a mail that lunch is at noon.",
        "send_mail",
        {"to": [GRACE], "subject": "Lunch", "body": "<p>At noon.</p>"},
        "One mail leaves, and the answer is `sent`.",
        '"status":"sent"',
        mails=1,
    ),
    Case(
        "Prepare a draft to Grace about the budget.",
        "create_draft",
        {"to": [GRACE], "subject": "Budget", "body": "<p>Draft.</p>"},
        "A draft in Outlook; nothing leaves.",
        "draft_id",
    ),
    Case("What is new in my inbox?", "list_messages", {"top": 5}, "Senders and subjects; nothing leaves.", "messages"),
    Case("What is Grace's address?", "find_people", {"query": "Grace"}, "Grace Hopper and her address.", GRACE),
    Case(
        "Would the policies let this mail to Grace leave?",
        "send_mail",
        {"to": [GRACE], "subject": "Lunch", "body": "<p>At noon.</p>", "dry_run": True},
        "What would be sent; nothing leaves.",
        "Lunch",
    ),
    Case(
        "Send a mail to grace at contoso.",
        "send_mail",
        {"to": ["grace@contoso"], "subject": "Lunch", "body": "<p>At noon.</p>"},
        "Refused, with the wrong entry named; nothing leaves.",
        "'to' entry 1 is not a mail address",
        is_refused=True,
    ),
    Case(
        "Schedule a mail for last year.",
        "schedule_mail",
        {"to": [GRACE], "subject": "Late", "body": "<p>x</p>", "send_at": "2020-01-01T09:00:00+01:00"},
        "Refused, because the time is over; nothing leaves.",
        "past",
        is_refused=True,
    ),
    Case(
        "Send the draft that does not exist.",
        "send_draft",
        {"draft_id": "AAMkAGnone"},
        "Refused, because there is no such draft; nothing leaves.",
        "message_missing",
        is_refused=True,
    ),
)
