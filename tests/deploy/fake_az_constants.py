"""What the stand-in for az and its tests both know: an empty directory and well-known ids."""

from __future__ import annotations

from typing import Any

TENANT = "11111111-2222-4333-8444-555555555555"
GRAPH = "https://graph.microsoft.com"
EMPTY: dict[str, Any] = {"calls": [], "apps": [], "principals": [], "grants": {}, "lag": 0, "faults": {}}
PERMISSIONS = {  # https://learn.microsoft.com/graph/permissions-reference
    "e383f46e-2787-4529-855e-0e479a3ffac0": "Mail.Send",
    "e1fe6dd8-ba31-4d61-89e7-88639da4683d": "User.Read",
    "570282fd-fa5c-430d-a7fd-fc8dc98a9dca": "Mail.Read",
    "024d486e-b451-40bb-833d-3e66d98c5c73": "Mail.ReadWrite",
    "a367ab51-6b49-43bf-a716-a1fb06d2a174": "Mail.Send.Shared",
    "ba47897c-39ec-4d83-8086-ee8256fa737d": "People.Read",
    "b340eb25-3456-403f-be2f-af7a0d370277": "User.ReadBasic.All",
    "bc024368-1153-4739-b217-4326f2e966d0": "GroupMember.Read.All",
    "37f7f235-527c-4136-accd-4a02d197296e": "openid",
}
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
WANTED = [{"id": permission, "type": "Scope"} for permission in list(PERMISSIONS)[:2]]
