"""Which argument is meant by a name that a tool does not have."""

from __future__ import annotations

from itertools import permutations

import pytest

from m365_mcp.tools.names import ARGUMENTS, FIELDS, MEANINGS, RECIPIENT_FIELDS, is_quotable
from tests.schemas import TOOL_SCHEMAS
from tests.yardstick import idle_core_seconds

TOOLS = {name: set(tool["inputSchema"]["properties"]) for name, tool in TOOL_SCHEMAS.items()}
EVERY_NAME = set.union(*TOOLS.values())
SEND_MAIL = TOOLS["send_mail"]


@pytest.mark.parametrize(
    ("tool", "given", "meant"),
    [
        ("send_mail", "priority", "importance"),
        ("send_mail", "html_body", "body"),
        ("send_mail", "htmlBody", "body"),
        ("send_mail", "message", "body"),
        ("send_mail", "text", "body"),
        ("send_mail", "content", "body"),
        ("send_mail", "recipients", "to"),
        ("send_mail", "recipient", "to"),
        ("send_mail", "to_addresses", "to"),
        ("send_mail", "toRecipients", "to"),
        ("send_mail", "To", "to"),
        ("send_mail", "recipeints", "to"),
        ("send_mail", "cc_recipients", "cc"),
        ("send_mail", "CC", "cc"),
        ("send_mail", "blind_copy", "bcc"),
        ("send_mail", "replyTo", "reply_to"),
        ("send_mail", "sender", "from_"),
        ("send_mail", "from", "from_"),
        ("send_mail", "format", "content_type"),
        ("send_mail", "body_type", "content_type"),
        ("send_mail", "is_html", "content_type"),
        ("send_mail", "files", "attachments"),
        ("send_mail", "file", "attachments"),
        ("attach_files", "file", "files"),
        ("send_mail", "read_receipt", "request_read_receipt"),
        ("send_mail", "saveToSentItems", "save_to_sent"),
        ("send_mail", "subjct", "subject"),
        ("schedule_mail", "scheduled_time", "send_at"),
        ("reply", "id", "message_id"),
        ("reply", "messageId", "message_id"),
        ("send_draft", "id", "draft_id"),
        ("send_draft", "message_id", "draft_id"),
        ("cancel_scheduled", "messageId", "scheduled_id"),
        ("reply", "reply_to_all", "reply_all"),
        ("find_people", "name", "query"),
        ("find_people", "limit", "top"),
        ("send_mail", "banana", None),
        ("reply", "bcc", None),
        ("reply", "to", None),
        ("reply", "reply_to", None),
        ("get_my_profile", "priority", None),
    ],
)
def test_k8_name_leads_to_the_argument_that_is_meant(tool: str, given: str, meant: str | None) -> None:
    """K8: a name is found by its meaning, its spelling or nearly so; nothing is guessed beyond that."""
    assert ARGUMENTS.meaning(given, TOOLS[tool]) == meant


@pytest.mark.parametrize("gone", sorted(RECIPIENT_FIELDS))
def test_k8_no_word_of_a_recipient_field_leads_to_another(gone: str) -> None:
    """K8: where a recipient field is missing, none of its words, and no misspelling of them, leads to another one."""
    others = RECIPIENT_FIELDS - {gone}
    words = {gone, *MEANINGS[gone].split()}
    spellings = {
        spelling
        for word in words
        for at in range(len(word))
        for spelling in (word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word.upper(), word + "s")
    } - {word for other in others for word in (other, *MEANINGS[other].split())}

    found = {spelling: ARGUMENTS.meaning(spelling, EVERY_NAME - {gone}) for spelling in words | spellings}

    assert not {spelling: meant for spelling, meant in found.items() if meant in others}


def test_k8_words_of_recipient_fields_are_their_own() -> None:
    """K8: no word stands for two recipient fields."""
    for one, other in permutations(RECIPIENT_FIELDS, 2):
        assert not {one, *MEANINGS[one].split()} & {other, *MEANINGS[other].split()}


def test_k8_every_argument_has_words() -> None:
    """K8: a new argument needs a line in MEANINGS, so that callers find it."""
    assert set(MEANINGS) == EVERY_NAME


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("contentBytes", "content_base64"),
        ("path", "content_base64"),
        ("url", "content_base64"),
        ("filename", "name"),
        ("mimeType", "content_type"),
        ("cid", "content_id"),
        ("is_inline", None),
    ],
)
def test_k8_field_of_an_attachment_is_found_by_meaning(given: str, meant: str | None) -> None:
    """K8: the fields of a file are found like arguments."""
    assert FIELDS.meaning(given, {"name", "content_base64", "content_type", "content_id"}) == meant


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [("priority", True), ("html-body", True), ("a" * 41, False), ("ada@contoso.example", False), ("a b", False)],
)
def test_k8_only_a_short_identifier_is_repeated(name: str, is_plain: bool) -> None:
    """K8: a name that the caller made up may hold anything, so an error repeats it only if it is plain."""
    assert is_quotable(name) is is_plain


def test_k8_guessing_is_quick() -> None:
    """K8: the names that one error deals with cost little."""

    def guess() -> None:
        for number in range(10):
            ARGUMENTS.meaning(f"recipient_{number}_of_the_carbon_copy_subject"[:40], SEND_MAIL)

    assert idle_core_seconds(guess, enough=0.1) < 0.1
