"""Tells the sender which links of a mail are not what they seem."""

from __future__ import annotations

from m365_mcp.mail.html.links import dead_anchors, misleading_links
from m365_mcp.mail.quotes import named
from m365_mcp.mail.report import Note, Weight


def link_notes(html: str) -> tuple[Note, ...]:
    """Return the notes about the links in `html`, which must be sanitised."""
    notes = []
    if misleading := misleading_links(html):
        which = named(f"{link.shown} → {link.leads_to}" for link in misleading)
        one = "1 link shows one address and leads to another"
        many = f"{len(misleading)} links show one address and lead to another"
        notes.append(Note(Weight.MISLEADING, f"{one if len(misleading) == 1 else many}: {which}. Check the targets."))
    if dead := dead_anchors(html):
        which = named(f'"{text}"' for text in dead)
        one, many = "1 link leads to a place", f"{len(dead)} links lead to places"
        notes.append(
            Note(
                Weight.LOST,
                f"{one if len(dead) == 1 else many} that this mail does not have, so nothing opens: {which}.",
            )
        )
    return tuple(notes)
