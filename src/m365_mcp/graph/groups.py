"""Asks Graph which groups the signed-in person is in.

Source: Graph "directoryObject: checkMemberGroups": at most 20 groups a request; membership through other groups counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from m365_mcp.errors import GraphUnavailable
from m365_mcp.graph.decipher import decipher
from m365_mcp.graph.mailbox import Mailbox

PATH = "/me/checkMemberGroups"
MOST_AT_ONCE = 20


async def member_groups(mailbox: Mailbox, groups: Iterable[str]) -> frozenset[str]:
    """Return those of the groups that the person is in. Raises M365Error; then it is known of none.

    Args:
        mailbox: makes the requests for the person.
        groups: object ids, in lower case.
    """
    ids, found = sorted(groups), frozenset[str]()
    for start in range(0, len(ids), MOST_AT_ONCE):
        found |= await _member_of(mailbox, ids[start : start + MOST_AT_ONCE])
    return found


async def _member_of(mailbox: Mailbox, ids: Sequence[str]) -> frozenset[str]:
    response = await mailbox.query(PATH, "checkMemberGroups", json.dumps({"groupIds": ids}).encode())
    if response.status != 200:
        raise decipher(response, changes_something=False)
    value = response.json.get("value")
    if not isinstance(value, list):
        raise GraphUnavailable("Microsoft Graph did not say which groups the person is in.")
    return frozenset(str(one).lower() for one in value).intersection(ids)
