"""Groups over the wire: a running server with a policy file, real sign-ins and tool calls."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.grants import Grant, call_tool, refresh, signed_in, start_server
from tests.e2e.programs import Server, Simulator

PRESS = "11111111-aaaa-4000-8000-000000000001"
CHECK = "/v1.0/me/checkMemberGroups"


async def write(server: Server, grant: Grant, subject: str) -> str:
    """Have a person write to somebody outside; return the status of the mail, or the refusal."""
    message = {"to": ["marie@fabrikam.example"], "subject": subject, "body": "<p>At noon?</p>"}
    result = (await call_tool(server.url, grant.access, "send_mail", **message)).json()["result"]
    return str(result["content"][0]["text"] if result.get("isError") else result["structuredContent"]["status"])


async def test_only_the_press_team_writes_to_outsiders(simulator: Simulator, tmp_path: Path) -> None:
    """A mail of a member leaves; others, former members after a refresh, and all while Graph is away are refused."""
    (tmp_path / "p.cedar").write_text(
        '@id("press") forbid(principal, action == Action::"Send", resource) when { resource.externalCount > 0 } '
        f'unless {{ principal in Group::"{simulator.ready["tenant_id"]}:{PRESS}" }};'
    )
    simulator.control("PATCH", "people/ada", groups=[PRESS])
    server = start_server(tmp_path, simulator, M365_POLICY_FILE=str(tmp_path / "p.cedar"))
    grace = await signed_in(server, simulator, "grace@contoso.example")
    ada = await signed_in(server, simulator)

    assert [await write(server, ada, subject) for subject in ("One", "Two")] == ["sent", "sent"]
    assert "policy_denied: The policy 'press'" in await write(server, grace, "Three")
    assert simulator.count(path=CHECK, person="ada") == 1

    simulator.control("PATCH", "people/ada", groups=[])
    ada = ada.after(await refresh(server.url, ada))
    assert "policy_denied" in await write(server, ada, "Four")

    simulator.control("PATCH", "people/ada", groups=[PRESS])
    ada = ada.after(await refresh(server.url, ada))
    away = {"status": 503, "headers": {"Retry-After": "60"}}
    simulator.control("POST", "faults", where={"path": CHECK}, what=away, times=1)
    refused = await write(server, ada, "Five")
    assert "policy_unavailable" in refused
    assert "Retry after 60 seconds" in refused
    assert [mail["subject"] for mail in simulator.outbox] == ["One", "Two"]
