"""A refused host or origin: what the operator reads in the log, and what the page says."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
import structlog.testing

from m365_mcp.commands.demo.sign_in import read_form
from tests.web.apps import consent, opened

STEPS = [
    ("POST", "/register", "register"),
    ("GET", "/authorize?client_id=abc", "authorize"),
    ("GET", "/consent?txn_id=x", "consent"),
    ("POST", "/consent", "consent"),
    ("GET", "/auth/callback?code=x&state=y", "callback"),
    ("GET", "/auth/callback/?code=x&state=y", "callback"),
    ("POST", "/token", "token"),
]
REFUSED = [
    ({"Host": "Other.example:8000"}, "misdirected_request", {"host": "Other.example:8000"}),
    ({"Origin": "https://other.example"}, "forbidden_origin", {"origin": "https://other.example"}),
]


async def lines_of(http: httpx2.AsyncClient, method: str, path: str, **headers: str) -> list[Any]:
    with structlog.testing.capture_logs() as lines:
        answer = await http.request(method, path, headers=headers)
    assert answer.status_code in (403, 421)
    return [line for line in lines if line["event"] in ("sign_in", "request_refused")]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize(("method", "path", "step"), STEPS)
@pytest.mark.parametrize(("headers", "code", "told"), REFUSED)
@pytest.mark.sample(8)
async def test_f5_refused_caller_of_a_sign_in_is_one_line(
    headers: dict[str, str], code: str, told: dict[str, str], method: str, path: str, step: str, accept: str
) -> None:
    """The line has the step, the code, the host or origin, and which setting to change."""
    async with opened() as http:
        [line] = await lines_of(http, method, path, Accept=accept, **headers)

    assert (line["event"], line["outcome"], line["step"], line["code"]) == ("sign_in", "refused", step, code)
    assert {name: line.get(name) for name in told} == told
    assert "MCP_ALLOWED_" in line["advice"]


@pytest.mark.parametrize(("headers", "code", "told"), REFUSED)
async def test_f5_refused_caller_elsewhere_is_one_line(
    headers: dict[str, str], code: str, told: dict[str, str]
) -> None:
    """Where there is no sign-in, the line has the code and the host or origin."""
    async with opened({"Accept": "application/json"}) as http:
        lines = await lines_of(http, "POST", "/mcp", **headers)

    assert lines == [{"event": "request_refused", "log_level": "info", "code": code, **told}]


async def test_f5_text_of_a_stranger_is_cleaned_in_the_log() -> None:
    """No address and no token stands in the line, and it is short."""
    async with opened() as http:
        [line] = await lines_of(http, "GET", "/authorize", Origin=f"https://ada@contoso.example/{'x' * 500}")

    assert "contoso" not in line["origin"]
    assert len(line["origin"]) <= 80


async def test_f18_consent_form_without_an_origin_is_refused_as_what_it_is() -> None:
    """A sandboxed window hides the origin of the form; the page says so, and names no other browser."""
    async with opened() as http:
        page = await consent(http)
        form = read_form(str(page.url), page.text)
        with structlog.testing.capture_logs() as lines:
            refused = await http.post(
                form.action, data={**form.fields, "action": "approve"}, headers={"Origin": "null"}
            )
        passed = await http.post(form.action, data={**form.fields, "action": "approve"})

    assert (refused.status_code, "origin_hidden" in refused.text) == (403, True)
    assert [(line["code"], line["origin"]) for line in lines if line["event"] == "sign_in"] == [
        ("origin_hidden", "null")
    ]
    assert passed.headers["Location"].startswith("https://login.microsoftonline.com/")


@pytest.mark.parametrize("path", ["/auth/callback", "/auth/callback/", "//auth//callback"])
async def test_f13_page_of_a_callback_links_to_no_other_language(path: str) -> None:
    """A code counts once, so that the page at the callback offers no second request in any spelling of its path."""
    async with opened() as http:
        page = await http.get(f"{http.base_url}{path}?code=x&state=y")

    assert "lang=" not in re.sub(r"<html[^>]*>", "", page.text)


@pytest.mark.parametrize("path", ["/no/consent", "/x/auth/callback", "/x/mcp", "/x/authorize"])
async def test_f13_path_that_only_ends_like_a_page_is_unknown(path: str) -> None:
    """A program gets 404 and no page, and a person reads that nothing is there."""
    async with opened() as http:
        person, program = await http.get(path), await http.get(path, headers={"Accept": "*/*"})

    assert (person.status_code, program.status_code) == (404, 404)
    assert "page_unknown" in person.text
    assert "<html" not in program.text
