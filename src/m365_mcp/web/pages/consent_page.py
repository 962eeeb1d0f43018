"""What the consent page says: who asks, what will be possible, where the answer goes. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from m365_mcp.auth.client_texts import MAX_NAME
from m365_mcp.auth.consent import ConsentRequest
from m365_mcp.loopback import is_loopback
from m365_mcp.mail.text import clean
from m365_mcp.settings import Settings

MAX_DETAIL = 1000


@dataclass(frozen=True)
class Abilities:
    """What the tools of this server can do with a person's account.

    Attributes:
        toolsets: the toolsets besides sending.
        shared: whether mail can be sent from shared mailboxes.
        previews: whether the list of messages shows their first words.
        level: whether the tools send mail, only leave drafts, or only read.
    """

    toolsets: tuple[str, ...]
    shared: bool
    previews: bool
    level: str

    @classmethod
    def of(cls, settings: Settings) -> Abilities:
        """Return what the settings allow."""
        return cls(
            settings.m365_toolsets, settings.m365_send_from, settings.m365_show_previews, settings.m365_send_level
        )


def values(asked: ConsentRequest, abilities: Abilities) -> dict[str, Any]:
    """Return what the template shows."""
    kind, address = describe_redirect(asked.redirect_uri)
    return {
        "client": clean(asked.client_name, MAX_NAME),
        "verified_by": asked.named_by,
        "abilities": abilities,
        "redirect_kind": kind,
        "redirect_address": clean(address, MAX_DETAIL),
        "client_id": clean(asked.client_id, MAX_DETAIL),
        "redirect_uri": clean(asked.redirect_uri, MAX_DETAIL),
        "scopes": clean(" ".join(asked.scopes), MAX_DETAIL),
        "fields": asked.form_fields,
    }


def describe_redirect(uri: str) -> tuple[str, str]:
    """Return where a redirect URI goes: `this_computer`, `site` or `app`, and the part of it that tells which one."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return "app", f"{parts.scheme}:" if not parts.netloc else f"{parts.scheme}://{parts.netloc}"
    return ("this_computer" if is_loopback(parts.hostname) else "site"), parts.netloc
