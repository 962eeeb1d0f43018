"""What the upload page says when a service behind it is away."""

from __future__ import annotations

from typing import Any

import pytest

from m365_mcp.uploads.links import UploadLink
from tests.inprocess import World, running

BROWSER = {"Accept": "text/html,*/*", "Content-Type": "application/octet-stream"}
WAIT = {
    "en": "Wait a moment, then choose the file again. The link still works.",
    "zh-Hant": "請稍候，然後重新選擇檔案。連結仍然有效。",
}
LONG = {"headers": {"Retry-After": "3600"}, "body": None}  # so that the server does not wait for another try
AWAY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Graph": ({"path": "/v1.0/*"}, {"status": 503, **LONG}),
    "Graph asks to wait": ({"path": "/v1.0/*"}, {"status": 429, **LONG}),
    "Entra": ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"status": 503, **LONG}),
}


async def link_of(world: World, size: int | None = None) -> str:
    """Sign a person in, and return the path of a link of theirs."""
    await world.sign_in()
    [session] = [one async for one in world.container.sign_ins.sessions.all()]
    links = world.container.services.uploads.links
    expires_at = links.clock() + 600
    known: dict[str, Any] = {"draft_id": "d", "name": "a.bin", "size": size, "expires_at": expires_at}
    secret = await links.issue(UploadLink(person=session.person, session_id=session.id, **known))
    return f"/upload/{secret}"


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("language", WAIT)
async def test_f8_outage_during_an_upload_asks_to_wait_and_not_to_connect_again(away: str, language: str) -> None:
    """F8: the person is told to wait and choose the file again; that the sign-in is good needs no other advice."""
    async with running(m365_toolsets="attachments") as world:
        path, (where, what) = await link_of(world), AWAY[away]
        await world.fault(where, what, times=None)
        async with world.http() as http:
            reply = await http.put(f"{path}?lang={language}", content=b"data", headers=BROWSER)

    assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
    message = reply.json()["message"]
    assert message.endswith(WAIT[language])
    assert "connect again" not in message
    assert "重新連線" not in message
