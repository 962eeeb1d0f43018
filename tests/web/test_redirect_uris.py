"""Redirect URIs with characters that no URI has are refused, and not registered as something else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.web.apps import BROWSER, CALLBACK, authorize, opened, register

ODD = {
    "line feed": "http://local\nhost:1234/callback",
    "tab": "http://localhost:1234/call\tback",
    "header": "http://localhost:1234/callback\r\nX: y",
    "NUL": "http://localhost:1234/callback\x00",
    "delete": "http://localhost:1234/call\x7fback",
    "blank in front": " http://localhost:1234/callback",
    "blank behind": "http://localhost:1234/callback ",
    "backslash": "http://localhost:1234\\callback",
}
NAMED = pytest.mark.parametrize("uri", ODD.values(), ids=ODD)


@pytest.fixture
async def program() -> AsyncIterator[httpx2.AsyncClient]:
    async with opened({"Accept": "application/json"}) as http:
        yield http


@NAMED
async def test_a15_h21_registration_with_it_is_refused(program: httpx2.AsyncClient, uri: str) -> None:
    """A15: it is not stripped, and neither is it beside a good URI."""
    body = {"token_endpoint_auth_method": "none"}
    refused = [
        await program.post("/register", json={**body, "redirect_uris": [*more, uri]}) for more in ([], [CALLBACK])
    ]

    for answer in refused:
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")
        assert "a blank, a control character or a backslash" in answer.json()["error_description"]


@NAMED
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.sample(5)
async def test_h21_authorization_request_with_it_is_refused(program: httpx2.AsyncClient, uri: str, method: str) -> None:
    """It is not taken for the registered URI, a person sees why, and nobody is redirected."""
    fields = {"response_type": "code", "client_id": await register(program), "redirect_uri": uri}
    fields |= {"code_challenge": "c" * 43, "code_challenge_method": "S256"}
    sent = {"params": fields} if method == "GET" else {"data": fields}

    answer = await program.request(method, "/authorize", **sent)  # type: ignore[arg-type]
    page = await program.request(method, "/authorize", headers=BROWSER, **sent)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert page.status_code == 400
    assert "This sign-in cannot begin" in page.text
    assert "a blank, a control character or a backslash" in page.text


async def test_h21_token_request_with_it_is_refused(program: httpx2.AsyncClient) -> None:
    """The URI of a code is compared as it was sent."""
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": ODD["tab"], "client_id": "c"}

    answer = await program.post("/token", data=form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    ["[]", "{", '{"redirect_uris": "x"}', '{"redirect_uris": [1]}', '{"redirect_uris": {"a": "\\n"}}', "[" * 9000],
)
async def test_h21_registration_of_another_form_is_the_sdks_to_refuse(program: httpx2.AsyncClient, body: str) -> None:
    """What is no list of texts has no URIs to look at."""
    answer = await program.post("/register", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_h21_ordinary_uris_pass(program: httpx2.AsyncClient) -> None:
    """Escapes and international names are no such characters."""
    uri = "http://localhost:1234/caf%C3%A9%20bar"
    client_id = await register(program, redirect_uris=[uri])
    begun = await authorize(program, client_id, redirect_uri=uri)

    assert begun.status_code == 302


@pytest.mark.parametrize("member", ["client_uri", "jwks_uri", "logo_uri", "policy_uri", "tos_uri"])
@pytest.mark.parametrize("uri", ["https://exa\nmple.com/", "https://example.com/\t", "\x00https://example.com/"])
async def test_t2_registration_with_a_control_character_in_a_uri_is_refused(
    program: httpx2.AsyncClient, member: str, uri: str
) -> None:
    """T2: no URI of the client is registered as another one than it sent, and the answer names the member."""
    body = {"token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK], "client_name": "Claude"}
    answer = await program.post("/register", json={**body, member: uri})
    good = await program.post("/register", json={**body, "client_uri": "https://example.com/my app"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert answer.json()["error_description"] == f"{member} has a control character in it."
    assert good.status_code == 201
