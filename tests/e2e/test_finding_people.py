"""find_people: one match, several, none; nothing is guessed."""

from __future__ import annotations

import pytest

from m365_mcp.graph.people import Person
from m365_mcp.tools.people import describe
from tests.e2e.grants import call_tool, grant_of
from tests.e2e.person import Assistant, done, refused
from tests.e2e.programs import Server, Simulator

pytestmark = pytest.mark.full

GRACE = {
    "name": "Grace Hopper",
    "address": "grace@contoso.example",
    "recipient": "Grace Hopper <grace@contoso.example>",
    "job_title": "Rear Admiral",
    "department": None,
    "found_in": ["people", "directory"],
}


@pytest.mark.parametrize("query", ["grace", "Grace Hopper", "hopper grace", "GRACE@contoso.example", 'gr"ace" \\'])
async def test_only_person_of_a_name_is_found_with_where_it_was_found(writer: Assistant, query: str) -> None:
    """A name, part of one or an address that only one person answers to returns that person, once."""
    query = query.replace('gr"ace" \\', '"grace" \\')

    found = await done(writer, "find_people", query=query)

    assert found["status"] == "one"
    assert found["people"] == [GRACE]


async def test_namesakes_are_listed_and_the_person_is_to_be_asked(writer: Assistant, simulator: Simulator) -> None:
    """Two people called alike are both listed, and the advice is to ask."""
    simulator.control("POST", "people", name="grace2", display_name="Grace Hopper")

    found = await done(writer, "find_people", query="Grace Hopper")

    assert found["status"] == "ask"
    assert {one["address"] for one in found["people"]} == {"grace@contoso.example", "grace2@contoso.example"}
    assert "Do not choose" in found["advice"]


async def test_namesake_beyond_what_is_shown_still_counts(writer: Assistant, simulator: Simulator) -> None:
    """A short list is not mistaken for a settled question: it says that there are more."""
    simulator.control("POST", "people", name="grace2", display_name="Grace Hopper")

    found = await done(writer, "find_people", query="Grace Hopper", top=1)

    assert found["status"] == "ask"
    assert len(found["people"]) == 1
    assert "1 more" in found["advice"]


@pytest.mark.full
async def test_g22_person_looks_people_up_so_often_an_hour(writer: Assistant, full_server: Server) -> None:
    """G22: of 121 calls the last is refused, with the time to wait; another tool that reads works on."""
    access = (await grant_of(writer)).access
    replies = [await call_tool(full_server.url, access, "find_people", query="grace") for _ in range(121)]
    results = [reply.json()["result"] for reply in replies]

    assert [result["isError"] for result in results] == [False] * 120 + [True]
    said = results[-1]["content"][0]["text"]
    assert said.startswith("rate_limited: You have reached the limit of 120 calls of find_people an hour. ")
    assert (await done(writer, "list_messages"))["messages"] == []


async def test_name_that_is_only_alike_is_not_taken_for_the_one_that_was_meant(writer: Assistant) -> None:
    """Graph's search finds what is alike; a misspelt name is shown and asked about, never settled."""
    found = await done(writer, "find_people", query="Grase")

    assert found["status"] == "ask"
    assert [one["address"] for one in found["people"]] == ["grace@contoso.example"]


@pytest.mark.parametrize("query", ["Nobody Anywhere", "linus"])
async def test_nobody_is_said_and_nothing_is_made_up(writer: Assistant, query: str) -> None:
    """An unknown name, or somebody without a mail address, is answered with nobody."""
    found = await done(writer, "find_people", query=query)

    assert (found["status"], found["people"]) == ("none", [])
    assert "ask the person" in found["advice"]


async def test_query_without_a_letter_is_refused(writer: Assistant, simulator: Simulator) -> None:
    """What cannot name anybody is not searched for."""
    assert (await refused(writer, "find_people", query='" :"')).startswith("invalid_argument: 'query'")
    assert simulator.count(path="/v1.0/me/people") == 0


@pytest.mark.parametrize(
    ("query", "names", "status"),
    [
        ("Ann", ["Ann", "Ann Lee"], "ask"),
        ("Ann Lee", ["Ann Lee", "Ann Leeson"], "ask"),
        ("Ann Lee", ["Ann Lee", "Anna Lies"], "one"),
        ("Ann", ["Ann Lee"], "one"),
        ("Ann", ["Anne-Marie Li"], "one"),
        ("Ann", ["Hanna Li"], "ask"),
        ("ann.lee@example.com", ["Ann Lee", "Ann Lee-Smith"], "one"),
    ],
)
def test_only_a_settled_question_has_one_answer(query: str, names: list[str], status: str) -> None:
    """One person only when nobody else is called so, or called so and more."""
    people = tuple(Person(f"{name.lower().replace(' ', '.')}@example.com", name) for name in names)

    assert describe(query, people, 10).status == status


@pytest.mark.parametrize("name", ["O'Brien, Seán (IT) [EXT]", "Kim @ Front Desk", "Sammy Davis, Jr.", "Team: Sales"])
async def test_k7_everyone_found_can_be_sent_to(writer: Assistant, simulator: Simulator, name: str) -> None:
    """The recipient that find_people returns goes into send_mail as it is, and the mail has this name and address."""
    simulator.control("POST", "people", name="sean", display_name=name)

    (found,) = (await done(writer, "find_people", query="sean@contoso.example"))["people"]
    await done(writer, "send_mail", to=[found["recipient"]], subject="Hello", body="Hi")

    assert simulator.outbox[-1]["to"] == [{"name": name, "address": "sean@contoso.example"}]
