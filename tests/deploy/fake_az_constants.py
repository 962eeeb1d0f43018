"""What the stand-in for az and its tests both know: an empty directory and well-known ids."""

from __future__ import annotations

from typing import Any

TENANT = "11111111-2222-4333-8444-555555555555"
GRAPH = "https://graph.microsoft.com"
EMPTY: dict[str, Any] = {"calls": [], "apps": [], "principals": [], "grants": {}, "lag": 0, "faults": {}}
PERMISSIONS = {  # https://learn.microsoft.com/graph/permissions-reference
    "e383f46e-2787-4529-855e-0e479a3ffac0": "Mail.Send",
    "e1fe6dd8-ba31-4d61-89e7-88639da4683d": "User.Read",
    "37f7f235-527c-4136-accd-4a02d197296e": "openid",
}
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
WANTED = [{"id": permission, "type": "Scope"} for permission in list(PERMISSIONS)[:2]]
