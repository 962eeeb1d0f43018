"""Finds the argument that a caller means by a name that a tool does not have. Pure functions.

Names are compared without case, underscores and hyphens. A name that is known by its meaning (`priority`), or is nearly
spelled like one, leads to the argument. A name never leads from one recipient field to another: `blind_copy` means
`bcc` or nothing, because a blind copy that becomes a copy is seen by everybody.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

MAX_NAMED = 10  # unknown names that an error deals with one by one
RECIPIENT_FIELDS = frozenset({"to", "cc", "bcc", "reply_to", "from_"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}", re.ASCII)
_SHORTEST_MISSPELLED = 5  # characters; shorter names are too near to each other
_CLOSE = 0.8  # of the ratio of difflib
_EQUALLY_CLOSE = 0.06

# Words for each argument. A word may stand for several arguments; a tool has at most one of them, or the first counts.
MEANINGS: dict[str, str] = {
    "to": "recipients recipient to_recipients to_recipient to_addresses to_address to_emails to_email send_to mail_to "
    "email_to addressee addressees email emails address addresses destination",
    "cc": "cc_recipients cc_recipient cc_addresses cc_address cc_emails cc_email carbon_copy carbon_copies copy_to",
    "bcc": "bcc_recipients bcc_recipient bcc_addresses bcc_address bcc_emails bcc_email blind_copy blind_copies "
    "blind_carbon_copy blind_carbon_copies blind_copy_to blind_copy_recipients hidden_copy hidden_recipients",
    "reply_to": "reply_address reply_to_address reply_to_addresses reply_to_email reply_to_recipients replies_to "
    "reply_recipients answer_to",
    "from_": "from sender from_address from_email from_mailbox from_account shared_mailbox mailbox send_from send_as "
    "send_on_behalf_of on_behalf_of author",
    "subject": "title subject_line email_subject mail_subject topic headline heading",
    "body": "html_body htmlcontent html_content html body_html html_text text_body body_text text plain_text plaintext "
    "content body_content message message_body message_text email_body email_content mail_body markdown comment note",
    "content_type": "format body_type body_format body_content_type text_format mime_type type is_html html_format "
    "as_html is_markdown message_format content_format subtype",
    "importance": "priority urgency urgent is_urgent is_important important high_priority high_importance",
    "files": "file attached_files file_names filenames documents uploads paths",
    "attachments": "attachment files file attached_files documents attach inline_attachments images",
    "request_read_receipt": "read_receipt read_receipts read_receipt_requested is_read_receipt_requested receipt "
    "request_receipt read_confirmation notify_on_read",
    "save_to_sent": "save_to_sent_items save_sent save_copy save_in_sent save_in_sent_items keep_copy",
    "send_at": "scheduled_time schedule_time scheduled_at schedule_at scheduled_for schedule_for scheduled_date "
    "send_time send_date send_on send_datetime date_time datetime time date when deliver_at delivery_time "
    "delay_until at",
    "as_written": "verbatim raw as_is unchanged skip_checks",
    "idempotency_key": "key request_id client_request_id idempotency_id idempotency_token dedupe_key deduplication_key "
    "unique_id transaction_id",
    "allow_duplicate": "allow_duplicates allow_repeat allow_resend resend send_again send_anyway duplicate",
    "dry_run": "dryrun simulate simulation simulate_only preview preview_only check_only validate_only test_run",
    "reply_all": "reply_to_all to_all answer_all is_reply_all all everyone",
    "message_id": "id original_id original_message_id reply_to_id reply_to_message_id in_reply_to email_id "
    "mail_id item_id",
    "draft_id": "id draft draft_message_id message_id email_id mail_id item_id",
    "scheduled_id": "id scheduled schedule_id scheduled_message_id message_id email_id mail_id item_id",
    "query": "name search search_query search_term search_text q term keyword keywords text person person_name "
    "display_name email address",
    "top": "limit count max_results maximum max num n number page_size results size",
    "folder": "folder_name folder_id mail_folder mailbox directory",
}
# The fields of a file in `attachments` and `files`.
FIELD_MEANINGS: dict[str, str] = {
    "content_base64": "content_bytes contentbytes content data base64 base64_content file_content file_data body bytes "
    "path file_path url uri source source_url",
    "name": "filename file_name title display_name attachment_name path file_path",
    "content_type": "mime_type mimetype media_type type file_type",
    "content_id": "cid content_identifier inline_id",
    "size": "length bytes file_size size_in_bytes content_length",
}


class Names:
    """The known names, by meaning."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self._meanings: dict[str, list[str]] = defaultdict(list)
        for name in meanings:
            self._meanings[_key(name)].append(name)
        for name, words in meanings.items():
            for word in words.split():
                self._meanings[_key(word)].append(name)

    def meaning(self, given: str, known: Collection[str]) -> str | None:
        """Return the one of the `known` names that is meant by the name `given`, or None."""
        key = _key(given)
        if key in self._meanings:
            return _first(self._meanings[key], known)
        if len(key) < _SHORTEST_MISSPELLED:
            return None
        close = _closest(key, self._meanings)
        fields = {name for one in close for name in self._meanings[one] if name in RECIPIENT_FIELDS}
        meant = next((name for one in close if (name := _first(self._meanings[one], known)) is not None), None)
        return None if meant in RECIPIENT_FIELDS and fields != {meant} else meant


def is_quotable(name: str) -> bool:
    """Tell whether an error may repeat a name that the caller made up: whether it is a short identifier."""
    return _IDENTIFIER.fullmatch(name) is not None


def _key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _closest(key: str, words: Collection[str]) -> list[str]:
    """Return the words that are spelled nearly like `key`, the nearest first, and none that is clearly farther."""
    close = difflib.get_close_matches(key, words, n=5, cutoff=_CLOSE)
    likeness = {word: difflib.SequenceMatcher(None, word, key).ratio() for word in close}
    return [word for word in close if likeness[word] > likeness[close[0]] - _EQUALLY_CLOSE]


def _first(meanings: Sequence[str], known: Collection[str]) -> str | None:
    return next((name for name in meanings if name in known), None)


ARGUMENTS = Names(MEANINGS)
FIELDS = Names(FIELD_MEANINGS)
