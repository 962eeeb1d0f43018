"""Sign-ins that end, sign-ins that must not end, and people who must not be mixed up."""

import asyncio
from pathlib import Path

import httpx2

from tests.e2e.person import Assistant, PersonAtBrowser, direct_client, text_of
from tests.e2e.programs import Server, Simulator, make_server

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
REFRESH = {"grant_type": "refresh_token"}


def start(folder: Path, simulator: Simulator, **settings: str) -> Server:
    server = make_server(folder, simulator, REDIS_URL="memory://", **settings)
    server.start()
    return server


def assistant_for(server: Server, simulator: Simulator, name: str = "ada@contoso.example") -> Assistant:
    return Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"], name))


async def list_tools(assistant: Assistant) -> httpx2.Response:
    async with direct_client(headers={**HEADERS, "Authorization": f"Bearer {await assistant.token()}"}) as http:
        return await http.post(assistant.endpoint, json=LIST)


async def test_revoked_person_is_asked_to_sign_in_once(simulator: Simulator, tmp_path: Path) -> None:
    """After an administrator revoked the sessions, one call says so, the next one signs in anew and works."""
    server = start(tmp_path, simulator)
    ada = assistant_for(server, simulator)
    assert not (await ada.call("get_my_profile")).is_error
    simulator.control("PATCH", "people/ada", revoked=True)

    told = await ada.call("get_my_profile")
    then = await ada.call("get_my_profile")
    later = await ada.call("get_my_profile")
    server.program.end()

    assert text_of(told).startswith("sign_in_needed")
    assert [then.is_error, later.is_error] == [False, False]
    assert ada.sign_ins == 2


async def test_week_of_work_is_one_sign_in(simulator: Simulator, tmp_path: Path) -> None:
    """Entra's tokens run out again and again; the server renews them and the person notices nothing."""
    simulator.control("PATCH", "app", expires_in=200)  # always within the early renewal
    server = start(tmp_path, simulator)
    ada = assistant_for(server, simulator)

    results = [await ada.call("get_my_profile") for _ in range(4)]
    server.program.end()

    assert not any(result.is_error for result in results)
    assert ada.sign_ins == 1
    assert simulator.count(**REFRESH) >= 3


async def test_entra_that_hangs_stalls_nobody_whose_token_is_good(simulator: Simulator, tmp_path: Path) -> None:
    """A failed early renewal is short, and is not tried again at every call."""
    simulator.control("PATCH", "app", expires_in=200)
    server = start(tmp_path, simulator)
    ada = assistant_for(server, simulator)
    assert not (await ada.call("get_my_profile")).is_error
    simulator.control("POST", "faults", where=REFRESH, what={"delay_seconds": 30}, times=None)
    simulator.control("DELETE", "requests")

    replies = await asyncio.gather(*(list_tools(ada) for _ in range(5)))
    replies += [await list_tools(ada) for _ in range(3)]
    simulator.control("DELETE", "faults")
    server.program.end()

    assert {reply.status_code for reply in replies} == {200}
    assert server.log.count("refresh_token") == 0
    assert max(reply.elapsed.total_seconds() for reply in replies) < 10


async def test_cookies_of_microsoft_are_nobodys(simulator: Simulator, tmp_path: Path) -> None:
    """What Entra or Graph sets while serving one person is not sent along for the next."""
    for where in ({"path": "*/token"}, {"path": "/v1.0/me"}):
        what = {"headers": {"Set-Cookie": "who=ada; Path=/"}}
        simulator.control("POST", "faults", where=where, what=what, when="after", times=None)
    server = start(tmp_path, simulator)
    for name in ("ada@contoso.example", "grace@contoso.example"):
        assert not (await assistant_for(server, simulator, name).call("get_my_profile")).is_error
    server.program.end()

    seen = simulator.control("GET", "requests")
    assert not [request for request in seen if request.get("cookies") and request["user_agent"].startswith("m365-mcp")]


async def test_refusal_at_entra_is_passed_on_in_our_words(server: Server, simulator: Simulator) -> None:
    """A text in the callback's address is neither shown, nor logged, nor handed to the client."""
    text = "AADSTS53003 c4n4ry ada@contoso.example"
    async with direct_client() as http:
        query = {"error": "access_denied", "error_description": text, "state": "c4n4ry-state"}
        page = await http.get(f"{server.url}/auth/callback", params=query)

    assert page.status_code == 403
    assert "c4n4ry" not in page.text + server.log
    assert "person_not_allowed" in page.text
