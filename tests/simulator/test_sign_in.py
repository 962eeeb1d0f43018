"""The pages of a sign-in: account, proof, consent, and the ways back to the client."""

import json

import pytest

from m365_simulator import Simulator
from m365_simulator.app import TENANT_ID

from .client import ALL_SCOPES, API_SCOPE, Client, redirect_query

STEP_UP = json.dumps({"access_token": {"acrs": {"essential": True, "value": "c1"}}})


async def test_first_sign_in_asks_for_account_and_consent(client: Client) -> None:
    """The pages list the people, then the scopes in plain words, and end in a redirect with code and state."""
    accounts = await client.authorize()
    question = await client.post_step("login", accounts, username="ada@contoso.example")
    done = await client.post_step("consent", question, action="accept")

    assert 'name="username" value="grace@contoso.example"' in accounts.text
    assert "Send mail as you" in question.text
    assert "localhost:8000" in question.text
    assert redirect_query(done).keys() == {"code", "state", "session_state"}


async def test_second_sign_in_asks_only_for_the_account(client: Client) -> None:
    """Consent is remembered for the person, and for nobody else."""
    await client.sign_in()

    again = await client.post_step("login", await client.authorize(), username="ada@contoso.example")
    other = await client.post_step("login", await client.authorize(), username="grace@contoso.example")

    assert again.status_code == 302
    assert other.status_code == 200


async def test_session_is_reused_without_prompt(client: Client) -> None:
    """With a live session and no prompt, the redirect comes at once."""
    await client.sign_in()

    assert "code" in redirect_query(await client.authorize(prompt=None))


async def test_prompt_consent_asks_again(client: Client) -> None:
    """`prompt=consent` shows the question although it was answered before."""
    await client.sign_in()

    assert "Permissions requested" in (await client.authorize(prompt="consent")).text


@pytest.mark.parametrize("prompt", ["login", "select_account"])
async def test_prompt_for_an_account_ignores_the_session(client: Client, prompt: str) -> None:
    """The account is asked for although somebody is signed in."""
    await client.sign_in()

    assert "Choose an account" in (await client.authorize(prompt=prompt)).text


async def test_login_hint_comes_first(client: Client) -> None:
    """The hinted person leads the list."""
    page = (await client.authorize(prompt="login", login_hint="grace@contoso.example")).text

    assert page.index("grace@contoso.example") < page.index("ada@contoso.example")


async def test_prompt_none_without_session_needs_a_login(client: Client) -> None:
    """A silent request without a session is answered login_required."""
    query = redirect_query(await client.authorize(prompt="none"))

    assert query["error"] == "login_required"
    assert "AADSTS50058" in query["error_description"]


async def test_prompt_none_without_consent_needs_consent(client: Client) -> None:
    """A silent request for more scopes is answered consent_required."""
    await client.sign_in(scope=API_SCOPE)

    assert redirect_query(await client.authorize(prompt="none"))["error"] == "consent_required"


async def test_prompt_none_needs_interaction_for_mfa(client: Client) -> None:
    """A silent request with a step-up challenge is answered interaction_required."""
    await client.sign_in()

    assert redirect_query(await client.authorize(prompt="none", claims=STEP_UP))["error"] == "interaction_required"


async def test_prompt_none_succeeds_with_session_and_consent(client: Client) -> None:
    """A silent request gets its code when nobody has to be asked."""
    await client.sign_in()

    assert "code" in redirect_query(await client.authorize(prompt="none"))


@pytest.mark.parametrize("step", ["account", "consent"])
async def test_cancel_is_told_to_the_client(client: Client, step: str) -> None:
    """Giving up at either page is access_denied with the subcode cancel."""
    page = await client.authorize()
    if step == "account":
        response = await client.post_step("login", page, action="cancel")
    else:
        page = await client.post_step("login", page, username="ada@contoso.example")
        response = await client.post_step("consent", page, action="cancel")

    query = redirect_query(response)
    assert (query["error"], query["error_subcode"], query["state"]) == ("access_denied", "cancel", "the-state")


async def test_step_up_asks_for_a_proof(client: Client) -> None:
    """A claims challenge leads to the proof page, and the session counts as proven afterwards."""
    page = await client.post_step("login", await client.authorize(claims=STEP_UP), username="ada@contoso.example")
    assert "Approve this sign-in" in page.text

    question = await client.post_step("proof", page, action="approve")

    assert "Permissions requested" in question.text
    assert redirect_query(await client.post_step("proof", page, action="cancel"))["error"] == "access_denied"


async def test_mfa_at_sign_in_by_switch(client: Client) -> None:
    """With the switch, a person who must do MFA is asked without any challenge."""
    await client.control("PATCH", "people/ada", {"must_do_mfa": True})
    await client.control("PATCH", "switches", {"mfa_only_when_claims_ask": False})

    page = await client.post_step("login", await client.authorize(), username="ada@contoso.example")

    assert "Approve this sign-in" in page.text


async def test_admin_approval_by_switch(client: Client) -> None:
    """Where people may not consent, the page says so and accepting is no way round it."""
    await client.control("PATCH", "switches", {"user_consent_allowed": False})

    page = await client.post_step("login", await client.authorize(), username="ada@contoso.example")

    assert "AADSTS90094" in page.text
    assert redirect_query(await client.post_step("consent", page, action="accept"))["error"] == "access_denied"


async def test_admin_consent_spares_the_question(client: Client) -> None:
    """Scopes that an administrator granted are not asked for."""
    await client.control("POST", "consents", {"admin": True, "scopes": ALL_SCOPES.split()})

    response = await client.post_step("login", await client.authorize(), username="grace@contoso.example")

    assert response.status_code == 302


async def test_unknown_or_expired_flow_gets_a_clear_page(client: Client, simulator: Simulator) -> None:
    """A flow token that is foreign, finished or older than ten minutes is AADSTS50089."""
    page = await client.authorize()
    foreign = await client.microsoft.post(f"/{TENANT_ID}/login", data={"flow": "x", "username": "ada@contoso.example"})
    simulator.tenant.clock.offset_seconds = 601

    late = await client.post_step("login", page, username="ada@contoso.example")

    assert "AADSTS50089" in foreign.text
    assert "AADSTS50089" in late.text


async def test_consent_needs_an_account_first(client: Client) -> None:
    """Nobody can consent before somebody signed in."""
    page = await client.authorize()

    assert "AADSTS50089" in (await client.post_step("consent", page, action="accept")).text
    assert "AADSTS50089" in (await client.post_step("proof", page, action="approve")).text


@pytest.mark.parametrize(("username", "code"), [("nobody@contoso.example", 50034), ("", 50034), ("grace", 50057)])
async def test_account_that_cannot_sign_in_is_shown(client: Client, username: str, code: int) -> None:
    """Unknown and disabled accounts get a page."""
    await client.control("PATCH", "people/grace", {"enabled": False})

    page = await client.post_step("login", await client.authorize(), username=username)

    assert f"AADSTS{code}:" in page.text


async def test_disabled_app_is_shown(client: Client) -> None:
    """A disabled app registration is AADSTS7000112."""
    await client.control("PATCH", "app", {"enabled": False})

    assert "AADSTS7000112" in (await client.authorize()).text


async def test_fragment_mode_uses_the_fragment(client: Client) -> None:
    """`response_mode=fragment` keeps the code out of the query."""
    location = (await client.sign_in(response_mode="fragment")).headers["location"]

    assert location.startswith("http://localhost:8000/auth/callback#code=")


async def test_form_post_mode_posts_a_form(client: Client) -> None:
    """`response_mode=form_post` answers a form for the redirect URI that submits itself."""
    response = await client.sign_in(response_mode="form_post")

    assert response.status_code == 200
    assert '<form method="post" action="http://localhost:8000/auth/callback">' in response.text
    assert 'name="code"' in response.text
    assert "script-src 'sha256-" in response.headers["content-security-policy"]


async def test_state_comes_back_without_html(client: Client) -> None:
    """Markup is stripped from the state."""
    assert redirect_query(await client.sign_in(state="a<b>c"))["state"] == "ac"


async def test_log_out_ends_the_session_of_the_browser(client: Client) -> None:
    """After logging out the account is asked for again; only a registered URI is redirected to."""
    await client.sign_in()
    path = f"/{TENANT_ID}/oauth2/v2.0/logout"

    foreign = await client.microsoft.get(path, params={"post_logout_redirect_uri": "https://evil.example/"})

    assert foreign.status_code == 200
    assert "Choose an account" in (await client.authorize(prompt=None)).text


async def test_sign_in_pages_escape_and_lock_down(client: Client, simulator: Simulator) -> None:
    """A name full of markup is shown as text, and no page may load or run anything."""
    simulator.tenant.change_person("ada", display_name="<script>alert(1)</script>")

    accounts = await client.authorize(login_hint='"><img src=x>', prompt="login")
    question = await client.post_step("login", accounts, username="ada")

    for page in (accounts, question, await client.authorize(client_id="<script>alert(2)</script>")):
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
