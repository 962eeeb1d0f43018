"""Several tenants: who belongs to which, and a multi-tenant app registration that serves them all."""

from m365_simulator import Simulator
from m365_simulator.app import TENANT_ID
from m365_simulator.organizations import CONTOSO, FABRIKAM

from .client import Client, mail

MARIE = "marie@fabrikam.example"


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
