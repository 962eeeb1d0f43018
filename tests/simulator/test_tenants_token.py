"""The token endpoints of several tenants: where codes, refresh tokens and assertions are good."""

import pytest

from m365_simulator import Simulator
from m365_simulator.organizations import CONTOSO, FABRIKAM
from m365_simulator.permissions import GRAPH

from .client import Client, codes, mail, read
from .test_tenants import MARIE, allow_all_tenants


@pytest.mark.parametrize(
    ("issued_at", "redeemed_at", "accepted"),
    [
        ("organizations", "organizations", True),
        ("organizations", "common", True),
        ("common", "organizations", True),
        ("organizations", FABRIKAM.id, True),
        ("organizations", FABRIKAM.domain, True),
        ("organizations", CONTOSO.id, False),
        (FABRIKAM.id, FABRIKAM.domain, True),
        (FABRIKAM.id, CONTOSO.id, False),
        (FABRIKAM.id, "organizations", False),
    ],
)
async def test_code_is_for_the_endpoint_that_issued_it(
    client: Client, issued_at: str, redeemed_at: str, accepted: bool
) -> None:
    """A code of a shared endpoint is also good at the person's tenant; anywhere else it is AADSTS700005."""
    await allow_all_tenants(client)
    code = await client.at(issued_at).code(MARIE)

    response = await client.at(redeemed_at).redeem(code)

    if accepted:
        assert read(response.json()["access_token"])["tid"] == FABRIKAM.id
    else:
        assert (response.json()["error"], codes(response)) == ("invalid_grant", [700005])
        assert (await client.at(issued_at).redeem(code)).status_code == 200


@pytest.mark.parametrize("issued_at", ["organizations", FABRIKAM.id])
async def test_refresh_token_is_good_wherever_its_person_has_an_account(client: Client, issued_at: str) -> None:
    """The shared endpoints and the person's own tenant take it; another tenant does not know the account."""
    await allow_all_tenants(client)
    token = (await client.at(issued_at).tokens(MARIE))["refresh_token"]

    for segment in ("organizations", "common", FABRIKAM.id, FABRIKAM.domain):
        response = await client.at(segment).refresh(token)
        assert read(response.json()["access_token"])["tid"] == FABRIKAM.id
    refused = await client.refresh(token)

    assert (refused.json()["error"], codes(refused)) == ("invalid_grant", [50020])


async def test_refresh_ends_with_the_setting(client: Client) -> None:
    """Once the app is single-tenant again, a foreign person's refresh token is good nowhere."""
    await allow_all_tenants(client)
    token = (await client.at("organizations").tokens(MARIE))["refresh_token"]

    await client.control("PATCH", "app", {"multi_tenant": False})

    assert codes(await client.at("organizations").refresh(token)) == [50194]
    assert codes(await client.at(FABRIKAM.id).refresh(token)) == [90002]
    assert codes(await client.refresh(token)) == [50020]


@pytest.mark.parametrize("segment", ["organizations", "common", "consumers"])
async def test_exchange_is_not_offered_on_shared_endpoints(client: Client, segment: str) -> None:
    """On-Behalf-Of wants a tenant: elsewhere it is AADSTS9001023."""
    await allow_all_tenants(client)
    assertion = (await client.at("organizations").tokens(MARIE))["access_token"]

    response = await client.at(segment).exchange(assertion)

    assert (response.json()["error"], codes(response)) == ("invalid_request", [9001023])


@pytest.mark.parametrize(("segment", "other"), [(FABRIKAM.id, CONTOSO.id), (FABRIKAM.domain, CONTOSO.domain)])
async def test_exchange_happens_in_the_assertions_tenant(client: Client, segment: str, other: str) -> None:
    """The assertion's tenant gives a Graph token that names it; another tenant answers AADSTS50013."""
    await allow_all_tenants(client)
    assertion = (await client.at("organizations").tokens(MARIE))["access_token"]

    accepted = await client.at(segment).exchange(assertion)
    refused = await client.at(other).exchange(assertion)

    claims = read(accepted.json()["access_token"])
    assert (claims["aud"], claims["tid"]) == (GRAPH, FABRIKAM.id)
    assert claims["iss"] == f"https://sts.windows.net/{FABRIKAM.id}/"
    assert (refused.json()["error"], codes(refused)) == ("invalid_grant", [50013])


async def test_people_of_both_tenants_send_mail(client: Client) -> None:
    """Graph serves each from the person's own mailbox and under the person's own address."""
    await allow_all_tenants(client)
    for segment, username in ((CONTOSO.id, "ada@contoso.example"), (FABRIKAM.id, MARIE)):
        headers = await client.at(segment).graph_headers(username)

        assert (await client.send(headers, mail("grace@contoso.example"))).status_code == 202

    assert [message["from"]["address"] for message in await client.outbox()] == ["ada@contoso.example", MARIE]
    profile = await client.microsoft.get("/v1.0/me", headers=headers)
    assert profile.json()["mail"] == MARIE
    assert "grace@contoso.example" in (await client.tester.get("/?person=marie&folder=sent")).text


async def test_report_of_a_lost_message_comes_from_the_senders_own_tenant(client: Client, simulator: Simulator) -> None:
    """An unknown address of the sender's tenant is reported by its postmaster; one of another tenant is not."""
    await allow_all_tenants(client)
    headers = await client.at(FABRIKAM.id).graph_headers(MARIE)

    await client.send(headers, mail(("nobody@fabrikam.example", "nobody@contoso.example")))

    (report,) = simulator.tenant.mail.mailbox("marie").inbox
    assert report.sender.address == "postmaster@fabrikam.example"
    assert "nobody@fabrikam.example" in report.content
    assert "nobody@contoso.example" not in report.content
