"""Several tenants: who belongs to which, and a multi-tenant app registration that serves them all."""

import base64
import json

import pytest

from m365_simulator import Simulator
from m365_simulator.app import TENANT_ID
from m365_simulator.organizations import CONTOSO, FABRIKAM

from .client import ALL_SCOPES, MAIL_SEND, Client, codes, mail, read, redirect_query

MARIE = "marie@fabrikam.example"


async def allow_all_tenants(client: Client) -> None:
    """Make the app registration multi-tenant."""
    assert (await client.control("PATCH", "app", {"multi_tenant": True}))["multi_tenant"] is True


async def test_state_shows_both_tenants_and_whose_people_are_whose(client: Client) -> None:
    """The home tenant comes first; Marie belongs to the other one."""
    state = await client.control("GET", "state")

    assert [(tenant["id"], tenant["domain"]) for tenant in state["tenants"]] == [
        (CONTOSO.id, "contoso.example"),
        (FABRIKAM.id, "fabrikam.example"),
    ]
    assert state["tenant_id"] == TENANT_ID == CONTOSO.id
    assert {person["name"]: person["tenant_id"] for person in state["people"]} == {
        "ada": CONTOSO.id,
        "grace": CONTOSO.id,
        "linus": CONTOSO.id,
        "marie": FABRIKAM.id,
    }


async def test_person_is_added_to_the_named_tenant(client: Client) -> None:
    """Without a domain a new person belongs to the home tenant, else to the tenant with that domain or GUID."""
    home = await client.control("POST", "people", {"name": "eve"})
    other = await client.control("POST", "people", {"name": "pierre", "domain": "fabrikam.example"})
    by_guid = await client.control("POST", "people", {"name": "irene", "domain": FABRIKAM.id})

    assert (home["tenant_id"], home["mail"]) == (CONTOSO.id, "eve@contoso.example")
    assert (other["tenant_id"], other["mail"]) == (FABRIKAM.id, "pierre@fabrikam.example")
    assert by_guid["tenant_id"] == FABRIKAM.id


async def test_third_tenant_is_added_until_the_reset(client: Client) -> None:
    """A further tenant gets a GUID of its own and takes people; a reset forgets it."""
    added = await client.control("POST", "tenants", {"domain": "northwind.example"})
    person = await client.control("POST", "people", {"name": "nancy", "domain": "northwind.example"})

    state = await client.control("POST", "reset")

    assert (person["tenant_id"], person["mail"]) == (added["id"], "nancy@northwind.example")
    assert added["id"] not in (CONTOSO.id, FABRIKAM.id)
    assert [tenant["domain"] for tenant in state["tenants"]] == ["contoso.example", "fabrikam.example"]


async def test_mail_reaches_the_other_tenant(client: Client, simulator: Simulator) -> None:
    """A message from one tenant arrives in the mailbox of the other, where the page shows it."""
    await client.send(await client.graph_headers(), mail(MARIE, subject="Radium"))

    (arrived,) = simulator.tenant.mail.mailbox("marie").inbox
    assert arrived.subject == "Radium"
    assert "Radium" in (await client.tester.get("/?person=marie")).text


@pytest.mark.parametrize("segment", ["organizations", "common", FABRIKAM.id, "fabrikam.example"])
async def test_multi_tenant_app_is_off_by_default(client: Client, segment: str) -> None:
    """Without the setting the shared endpoints are AADSTS50194, and the other tenant does not know the app."""
    code = 90002 if segment in (FABRIKAM.id, "fabrikam.example") else 50194

    page = await client.at(segment).authorize()
    document = await client.microsoft.get(f"/{segment}/v2.0/.well-known/openid-configuration")
    refused = await client.at(segment).refresh("x")

    assert f"AADSTS{code}:" in page.text
    assert (codes(document), codes(refused)) == ([code], [code])


async def test_consumers_endpoint_stays_closed(client: Client) -> None:
    """A multi-tenant app serves work accounts only: /consumers is AADSTS90130 for it, AADSTS50194 for the others."""
    before = await client.at("consumers").authorize()
    await allow_all_tenants(client)

    after = await client.at("consumers").authorize()

    assert "AADSTS50194:" in before.text
    assert "AADSTS90130:" in after.text
    assert codes(await client.at("consumers").refresh("x")) == [90130]


@pytest.mark.parametrize("segment", ["organizations", "common"])
async def test_shared_metadata_has_a_placeholder_in_its_issuer(client: Client, segment: str) -> None:
    """The issuer says `{tenantid}`, and all addresses stay on the shared endpoint, whose keys verify tokens."""
    await allow_all_tenants(client)
    base = f"https://localhost:8443/{segment}"

    new = (await client.microsoft.get(f"/{segment}/v2.0/.well-known/openid-configuration")).json()
    old = (await client.microsoft.get(f"/{segment}/.well-known/openid-configuration")).json()
    keys = (await client.microsoft.get(new["jwks_uri"])).json()

    assert (new["issuer"], old["issuer"]) == (
        "https://localhost:8443/{tenantid}/v2.0",
        "https://sts.windows.net/{tenantid}/",
    )
    assert new["authorization_endpoint"] == f"{base}/oauth2/v2.0/authorize"
    assert new["token_endpoint"] == f"{base}/oauth2/v2.0/token"
    assert {key["issuer"] for key in keys["keys"]} == {"https://localhost:8443/{tenantid}/v2.0"}


async def test_metadata_of_the_other_tenant_names_its_issuer(client: Client) -> None:
    """The other tenant's document is found by domain and by GUID, and carries the GUID."""
    await allow_all_tenants(client)

    for segment in ("fabrikam.example", FABRIKAM.id):
        document = (await client.microsoft.get(f"/{segment}/v2.0/.well-known/openid-configuration")).json()

        assert document["issuer"] == f"https://localhost:8443/{FABRIKAM.id}/v2.0"
        assert document["token_endpoint"] == f"https://localhost:8443/{FABRIKAM.id}/oauth2/v2.0/token"


@pytest.mark.parametrize("segment", ["organizations", "common"])
async def test_everybody_signs_in_at_the_shared_endpoints(client: Client, segment: str) -> None:
    """All people are offered there, and each one's tokens name the person's own tenant."""
    await allow_all_tenants(client)

    accounts = await client.at(segment).authorize()
    ada = await client.at(segment).tokens()
    marie = await client.at(segment).tokens(MARIE)

    assert MARIE in accounts.text
    assert "ada@contoso.example" in accounts.text
    assert 'action="/organizations/login"' in accounts.text
    for tokens, tenant_id in ((ada, CONTOSO.id), (marie, FABRIKAM.id)):
        for kind in ("access_token", "id_token"):
            claims = read(tokens[kind])
            assert (claims["tid"], claims["iss"]) == (tenant_id, f"https://localhost:8443/{tenant_id}/v2.0")


@pytest.mark.parametrize(
    ("segment", "foreign", "own"),
    [(CONTOSO.id, MARIE, "ada@contoso.example"), ("fabrikam.example", "ada@contoso.example", MARIE)],
)
async def test_tenants_endpoint_is_for_its_own_people(client: Client, segment: str, foreign: str, own: str) -> None:
    """A person of another tenant who is chosen there is shown AADSTS50020."""
    await allow_all_tenants(client)
    accounts = await client.at(segment).authorize()

    refused = await client.at(segment).post_step("login", accounts, username=foreign)
    welcome = await client.at(segment).post_step("login", accounts, username=own)

    assert foreign in accounts.text
    assert refused.status_code == 400
    assert "AADSTS50020:" in refused.text
    assert "Permissions requested" in welcome.text


async def test_foreign_person_is_refused_by_a_single_tenant_app(client: Client) -> None:
    """Without the setting nobody of another tenant gets in."""
    accounts = await client.authorize()

    refused = await client.post_step("login", accounts, username=MARIE)

    assert MARIE not in accounts.text
    assert "AADSTS50020:" in refused.text
    assert FABRIKAM.id in refused.text


async def test_setting_counts_at_the_moment_of_the_sign_in(client: Client) -> None:
    """Who began to sign in while the app was multi-tenant is refused once it no longer is."""
    await allow_all_tenants(client)
    accounts = await client.at("organizations").authorize()
    await client.control("PATCH", "app", {"multi_tenant": False})

    refused = await client.post_step("login", accounts, username=MARIE)

    assert "AADSTS50020:" in refused.text


async def test_session_of_another_tenant_does_not_count(client: Client) -> None:
    """A tenant's own endpoint asks for an account although somebody of another tenant is signed in."""
    await allow_all_tenants(client)
    await client.at("organizations").sign_in(MARIE)

    at_home = await client.authorize(prompt=None)
    silently = redirect_query(await client.authorize(prompt="none"))
    shared = await client.at("common").authorize(prompt=None)

    assert "Choose an account" in at_home.text
    assert "AADSTS50058" in silently["error_description"]
    assert "code" in redirect_query(shared)


@pytest.mark.parametrize("version", [None, 1])
async def test_v1_tokens_name_the_persons_tenant_too(client: Client, version: int | None) -> None:
    """The old issuer carries the person's own tenant."""
    await allow_all_tenants(client)
    await client.control("PATCH", "app", {"token_version": version})

    claims = read((await client.at("organizations").tokens(MARIE))["access_token"])

    assert (claims["tid"], claims["iss"]) == (FABRIKAM.id, f"https://sts.windows.net/{FABRIKAM.id}/")


async def test_client_info_names_the_persons_tenant(client: Client) -> None:
    """Microsoft's libraries learn from `client_info` whose person it is."""
    await allow_all_tenants(client)
    code = await client.at("organizations").code(MARIE)

    body = (await client.at("organizations").redeem(code, client_info="1")).json()

    info = json.loads(base64.urlsafe_b64decode(body["client_info"] + "=="))
    assert (info["uid"], info["utid"]) == (read(body["access_token"])["oid"], FABRIKAM.id)


async def test_administrators_consent_for_their_own_tenant(client: Client) -> None:
    """What the home tenant's administrator granted is still asked in the other one, until its own grants it too."""
    await allow_all_tenants(client)
    shared = client.at("organizations")
    grant = {"admin": True, "scopes": ALL_SCOPES.split()}
    await client.control("POST", "consents", grant)
    before = await shared.post_step("login", await shared.authorize(), username=MARIE)

    state = await client.control("POST", "consents", grant | {"domain": "fabrikam.example"})

    after = await shared.post_step("login", await shared.authorize(), username=MARIE)
    assert "Permissions requested" in before.text
    assert "code" in redirect_query(after)
    assert {"tenant_id": FABRIKAM.id, "person": None, "admin": True, "scope": MAIL_SEND} in state["consents"]
