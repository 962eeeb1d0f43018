"""The delegated permissions of Graph that the server requests: for every server, and for each toolset.

Source: Microsoft Graph permissions reference.
"""

from __future__ import annotations

BASIC = ("Mail.Send", "User.Read")
# What each toolset needs besides.
PERMISSIONS: dict[str, tuple[str, ...]] = {
    "drafts": ("Mail.ReadWrite",),
    "attachments": ("Mail.ReadWrite",),
    "replies": ("Mail.ReadWrite",),
    "schedule": ("Mail.ReadWrite",),
    "people": ("People.Read", "User.ReadBasic.All"),
}
