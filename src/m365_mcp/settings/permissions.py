"""The delegated permissions of Graph that the server requests: for every server, and for each toolset.

Source: Microsoft Graph permissions reference.
"""

from __future__ import annotations

SEND = "Mail.Send"
PROFILE = "User.Read"
BASIC = (SEND, PROFILE)
# Asks for the groups that policies name. For the signed-in person the page "directoryObject: checkMemberGroups" names
# PROFILE alone. Microsoft's list of permissions (microsoft-graph-devx-content) does not name PROFILE, and Graph refused
# it (microsoft-graph-docs, issues 746 and 4853). All of them accept this one.
GROUPS = "GroupMember.Read.All"
# What each toolset needs besides.
PERMISSIONS: dict[str, tuple[str, ...]] = {
    "drafts": ("Mail.ReadWrite",),
    "attachments": ("Mail.ReadWrite",),
    "replies": ("Mail.ReadWrite",),
    "schedule": ("Mail.ReadWrite",),
    "people": ("People.Read", "User.ReadBasic.All"),
}
# What the reading tools of a toolset need, where no other tool is offered.
READING: dict[str, tuple[str, ...]] = {
    "drafts": (),
    "attachments": (),
    "replies": ("Mail.Read",),
    "schedule": ("Mail.Read",),
    "people": PERMISSIONS["people"],
}
