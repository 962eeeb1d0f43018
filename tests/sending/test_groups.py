"""Groups and app roles in policies: who is in them is known before a message leaves, or it does not leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from m365_mcp.entra.on_behalf_of import Caller
from m365_mcp.errors import PolicyDenied, PolicyUnavailable, SignInNeeded
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.storage.redis_client import connect
from m365_simulator.app import TENANT_ID
from m365_simulator.organizations import FABRIKAM
from tests.e2e.programs import Redis
from tests.inprocess import ADA, GRACE, Tokens, World, running
from tests.sending.test_outbox import MARIE, send, to_grace

PRESS, SALES = "11111111-aaaa-4000-8000-000000000001", "11111111-aaaa-4000-8000-000000000002"
PERMISSION = "https://graph.microsoft.com/GroupMember.Read.All"
THROTTLED = {"status": 429, "headers": {"Retry-After": "90"}}


def group(id_: str, tenant: str = TENANT_ID) -> str:
    return f'Group::"{tenant}:{id_}"'


def only(*entities: str, action: str = "Send") -> str:
    """Return the policy that only these groups and roles write to outsiders."""
    inside = " || ".join(f"principal in {entity}" for entity in entities)
    return (
        f'@id("press") @advice("Ask the press team.") forbid(principal, action == Action::"{action}", resource) '
        f"when {{ resource.externalCount > 0 }} unless {{ {inside} }};"
    )


@dataclass(frozen=True)
class Newsroom:
    """A server whose policies are a file, and the tokens of the people who have signed in."""

    world: World
    file: Path
    tokens: dict[str, Tokens]

    async def write(self, username: str = ADA, to: str = MARIE) -> None:
        """Have a person send a mail, in a call of its own."""
        await send(await self.world.outbox(self.tokens[username]), to=[to], copy=True)

    async def sign_in(self, username: str) -> None:
        self.tokens[username] = await self.world.sign_in(username)

    async def refresh(self, username: str = ADA) -> None:
        """Have the client of a person refresh its tokens, which refreshes Entra's."""
        old = self.tokens[username]
        form = {"grant_type": "refresh_token", "refresh_token": old.refresh, "client_id": old.client_id}
        found = (await self.world.token(**form)).json()
        self.tokens[username] = Tokens(old.client_id, found["access_token"], found["refresh_token"])

    async def put_into(self, username: str, *groups: str) -> None:
        await self.world.control("PATCH", f"people/{username}", {"groups": groups})

    async def reload(self, text: str) -> None:
        """Put other policies in force."""
        self.file.write_text(text)
        await self.world.container.policy_watcher.look()

    @property
    def asked(self) -> list[list[str]]:
        """The ids of each request about groups."""
        seen = [one for one in self.world.network.seen if one.url.path.endswith("checkMemberGroups")]
        return [json.loads(one.content)["groupIds"] for one in seen]

    async def count(self) -> int:
        return len(await self.world.sent())


@asynccontextmanager
async def newsroom(folder: Path, text: str, *people: str, **changes: Any) -> AsyncIterator[Newsroom]:
    """Run a server with these policies, where Ada is in the press team and these people have signed in."""
    file = folder / "policies.cedar"
    file.write_text(text)
    settings = {"m365_policy_file": file, "m365_internal_domains": "contoso.example", "m365_toolsets": "drafts"}
    async with running(**{**settings, **changes}) as world:
        await world.control("PATCH", f"people/{ADA}", {"groups": [PRESS]})
        room = Newsroom(world, file, {})
        for username in people or (ADA,):
            await room.sign_in(username)
        yield room


async def test_only_the_group_writes_to_outsiders_and_is_asked_for_once(tmp_path: Path) -> None:
    """A member's mail leaves, another person's does not; each session asks Graph once, with the ids of the policies."""
    async with newsroom(tmp_path, only(group(PRESS)), ADA, GRACE) as room:
        for _ in range(3):
            await room.write(ADA)
        for _ in range(2):
            with pytest.raises(PolicyDenied, match="'press'"):
                await room.write(GRACE)
            await room.write(GRACE, to=ADA)

        assert room.asked == [[PRESS], [PRESS]]
        assert [mail["from"]["address"] for mail in await room.world.sent()] == [ADA, ADA, ADA, GRACE, GRACE]


async def test_calls_at_once_ask_once(tmp_path: Path) -> None:
    """Five first sends of one session at the same time need one request about groups."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        await asyncio.gather(*(room.write() for _ in range(5)))

        assert (room.asked, await room.count()) == ([[PRESS]], 5)


async def test_who_was_removed_is_refused_after_the_next_refresh(tmp_path: Path) -> None:
    """Membership holds as long as Entra's token: it is asked for again when that is refreshed, and not before."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        await room.write()
        await room.put_into(ADA)
        await room.write()
        await room.refresh()

        with pytest.raises(PolicyDenied):
            await room.write()
        assert (room.asked, await room.count()) == ([[PRESS]] * 2, 2)


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        ({"status": 503, "headers": {"Retry-After": "60"}}, 60),
        pytest.param(THROTTLED, 90, marks=pytest.mark.full),
        pytest.param({"status": 200, "body": {"value": None}}, 5, marks=pytest.mark.full),
        ({"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "No."}}}, 300),
        pytest.param(
            {"status": 400, "body": {"error": {"code": "Request_BadRequest", "message": "No."}}},
            300,
            marks=pytest.mark.full,
        ),
    ],
)
async def test_nothing_leaves_while_membership_cannot_be_told(
    tmp_path: Path, failure: dict[str, Any], seconds: int
) -> None:
    """Graph away, throttled, without an answer or refusing: `policy_unavailable`, and the next call asks again."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        await room.world.fault({"path": "/v1.0/me/checkMemberGroups"}, failure, times=1)
        with pytest.raises(PolicyUnavailable) as caught:
            await room.write()
        left = await room.count()
        await room.write()

        assert (left, await room.count()) == (0, 1)
    assert (caught.value.code, caught.value.retry_after) == ("policy_unavailable", seconds)
    assert caught.value.needs_administrator == (failure["status"] in (400, 403))


async def test_forbidding_a_group_is_not_undone_by_what_is_not_known(tmp_path: Path) -> None:
    """A policy that forbids something to members lets nobody through while Graph does not say who is one."""
    text = f'@id("a") forbid(principal in {group(PRESS)}, action == Action::"Send", resource);'
    async with newsroom(tmp_path, text, GRACE) as room:
        await room.world.fault({"path": "/v1.0/me/checkMemberGroups"}, THROTTLED, times=1)
        with pytest.raises(PolicyUnavailable):
            await room.write(GRACE)
        await room.write(GRACE)

        assert await room.count() == 1


async def test_drafts_need_no_groups_where_only_sending_names_them(tmp_path: Path) -> None:
    """An action whose policies name no group asks for none, and works while Graph does not tell."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        outbox = await room.world.outbox(room.tokens[ADA])
        await OwnDrafts(outbox).create(await outbox.compose(to_grace(to=[MARIE])))
        drafted = list(room.asked)
        await room.reload(only(group(PRESS), action="Draft"))
        outbox = await room.world.outbox(room.tokens[ADA])
        await OwnDrafts(outbox).create(await outbox.compose(to_grace(to=[MARIE])))

        assert (drafted, room.asked) == ([], [[PRESS]])


async def test_reading_needs_groups_only_where_a_policy_about_it_names_them(tmp_path: Path) -> None:
    """Tools read while Graph does not tell, unless a policy about `Read` names the group; that one holds for others."""
    reading = (
        f'@id("r") forbid(principal, action == Action::"Read", resource) unless {{ principal in {group(PRESS)} }};'
    )
    async with newsroom(tmp_path, only(group(PRESS)), ADA, GRACE) as room:
        ada, grace = [(await room.world.outbox(room.tokens[name])).policy for name in (ADA, GRACE)]
        await ada.reading("list_messages")
        unasked = list(room.asked)
        await room.reload(reading)
        await room.world.fault({"path": "/v1.0/me/checkMemberGroups"}, THROTTLED, times=1)
        with pytest.raises(PolicyUnavailable):
            await ada.reading("list_messages")
        await ada.reading("list_messages")
        with pytest.raises(PolicyDenied):
            await grace.reading("list_messages")

        assert (unasked, room.asked) == ([], [[PRESS]] * 3)


async def scopes_of(world: World) -> list[str]:
    """Return the scopes of the next sign-in at Entra."""
    await world.sign_in(GRACE)
    [*_, last] = [one for one in world.network.seen if one.url.path.endswith("/authorize")]
    return str(last.url.params["scope"]).split()


async def test_policies_without_groups_ask_for_nothing(tmp_path: Path) -> None:
    """The permission is asked for at a sign-in while the policies name groups, and only then; so is Graph."""
    async with newsroom(tmp_path, "", ADA) as room:
        await room.write()
        before = await scopes_of(room.world)
        await room.reload(only(group(PRESS)))
        named = await scopes_of(room.world)
        await room.reload(only('Role::"Press"'))
        after = await scopes_of(room.world)

        assert PERMISSION not in before
        assert named == [*before[:-3], PERMISSION, *before[-3:]]
        assert (after, room.asked) == (before, [])


async def test_policy_that_begins_to_name_groups_needs_consent_and_no_new_sign_in(tmp_path: Path) -> None:
    """Who signed in before is refused with the permission to grant; once an administrator has, the mail leaves."""
    async with newsroom(tmp_path, "") as room:
        await room.write()
        await room.reload(only(group(PRESS)))
        with pytest.raises(PolicyUnavailable) as caught:
            await room.write()
        profile = await (await room.world.outbox(room.tokens[ADA])).mailbox.profile()
        await room.world.control("POST", "consents", {"admin": True, "scopes": [PERMISSION]})
        await room.write()

        assert (room.asked, await room.count()) == ([[PRESS]], 2)
    assert profile.mail == ADA
    assert caught.value.needs_administrator
    assert "GroupMember.Read.All" in caught.value.advice


async def test_reload_asks_only_for_the_group_that_is_new(tmp_path: Path) -> None:
    """What Graph has said stays known; a further group is asked for alone, at the next message."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        await room.write()
        await room.reload(only(group(SALES)))
        with pytest.raises(PolicyDenied):
            await room.write()
        await room.reload(only(group(SALES), group(PRESS)))
        await room.write()

        assert (room.asked, await room.count()) == ([[PRESS], [SALES]], 2)


async def test_answer_counts_for_what_was_asked_and_in_any_case(tmp_path: Path) -> None:
    """Ids that Graph returns in capitals are known, and one that was not asked for is not believed."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        answer = {"status": 200, "body": {"value": [PRESS.upper(), SALES]}}
        await room.world.fault({"path": "/v1.0/me/checkMemberGroups"}, answer, times=1)
        await room.write()
        await room.reload(only(group(SALES)))
        with pytest.raises(PolicyDenied):
            await room.write()

        assert (room.asked, await room.count()) == ([[PRESS], [SALES]], 1)


async def test_answer_does_not_outlive_the_token_that_it_was_asked_with(tmp_path: Path) -> None:
    """Where the token is renewed while Graph is asked, the answer serves this one message, and the next asks again."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        outbox = await room.world.outbox(room.tokens[ADA])
        lookup = outbox.outgoing.groups

        def renewing(caller: Caller) -> Mailbox:
            mailbox = lookup.mailbox(caller)

            async def get() -> str:
                token = await mailbox.tokens.get()
                await room.refresh()
                return token

            return replace(mailbox, tokens=replace(mailbox.tokens, get=get))

        outgoing = replace(outbox.outgoing, groups=replace(lookup, mailbox=renewing))
        await send(replace(outbox, outgoing=outgoing), to=[MARIE], copy=True)
        await room.put_into(ADA)
        with pytest.raises(PolicyDenied):
            await room.write()

        assert (room.asked, await room.count()) == ([[PRESS], [PRESS]], 1)


async def test_group_of_another_tenant_never_matches(tmp_path: Path) -> None:
    """The same id under another tenant is not asked for, and nobody of this tenant is in it."""
    async with newsroom(tmp_path, only(group(PRESS, FABRIKAM.id))) as room:
        with pytest.raises(PolicyDenied):
            await room.write()

        assert (room.asked, await room.count()) == ([], 0)


async def test_many_groups_are_asked_for_in_twenties(tmp_path: Path) -> None:
    """Graph takes twenty ids a request; the last of 41 is found."""
    ids = [str(UUID(int=number, version=4)) for number in range(41)]
    async with newsroom(tmp_path, only(*map(group, ids))) as room:
        await room.put_into(ADA, ids[-1])
        await room.write()

        assert [len(one) for one in room.asked] == [20, 20, 1]
        assert sorted(id_ for one in room.asked for id_ in one) == ids


async def test_roles_come_with_the_token_and_change_with_it(tmp_path: Path) -> None:
    """An app role in Entra's token permits, without a request to Graph; who loses it is refused after a refresh."""
    async with newsroom(tmp_path, only('Role::"Mail.External"'), GRACE) as room:
        with pytest.raises(PolicyDenied):
            await room.write(GRACE)
        await room.world.control("PATCH", f"people/{GRACE}", {"roles": ["Mail.External"]})
        await room.refresh(GRACE)
        await room.write(GRACE)
        await room.world.control("PATCH", f"people/{GRACE}", {"roles": ["mail.external", "Other"]})
        await room.write(GRACE)
        await room.refresh(GRACE)
        with pytest.raises(PolicyDenied):
            await room.write(GRACE)

        assert (room.asked, await room.count()) == ([], 2)


async def test_approved_mail_is_decided_with_the_groups_of_then(tmp_path: Path) -> None:
    """A mail that waited is sent for a member, and refused once the person is no longer one."""
    async with newsroom(tmp_path, only(group(PRESS)), m365_send_approval="all") as room:
        await room.write()
        await room.write(to=GRACE)
        approvals = room.world.container.approvals
        first, second = await approvals.of((await room.world.outbox(room.tokens[ADA])).person)
        outside, inside = (first, second) if MARIE in first.addresses else (second, first)
        digests = [(await approvals.show(mail)).digest for mail in (outside, inside)]
        await room.put_into(ADA)
        await room.refresh()
        with pytest.raises(PolicyDenied):
            await approvals.approve(outside, digests[0])
        await approvals.approve(inside, digests[1])

        assert [mail["to"][0]["address"] for mail in await room.world.sent()] == [GRACE]


async def test_session_that_has_ended_is_asked_about_no_more(tmp_path: Path) -> None:
    """A call whose session ends before the groups are known needs a new sign-in, and sends nothing."""
    async with newsroom(tmp_path, only(group(PRESS))) as room:
        outbox = await room.world.outbox(room.tokens[ADA])
        assert outbox.caller is not None
        await room.world.container.sign_ins.sessions.end(outbox.caller.session_id, "by_operator")
        with pytest.raises(SignInNeeded):
            await send(outbox, to=[MARIE])

        assert (room.asked, await room.count()) == ([], 0)


@pytest.mark.filterwarnings("ignore:.*deprecated.*setex:DeprecationWarning")
async def test_warm_send_costs_no_further_command_in_the_store(tmp_path: Path, redis: Redis) -> None:
    """Once the groups are known, a send makes as many requests to Redis and to Microsoft as without groups."""
    client = connect(redis.url)

    async def cost(room: Newsroom) -> tuple[dict[str, int], list[str]]:
        await room.write()
        await room.write()
        room.world.network.seen.clear()
        await client.config_resetstat()
        await room.write()
        stats = await client.info("commandstats")
        calls = {name: one["calls"] for name, one in stats.items() if "config" not in name}
        return calls, [f"{one.method} {one.url.path}" for one in room.world.network.seen]

    async with newsroom(tmp_path, only(group(PRESS)), redis_url=redis.url) as room:
        named = await cost(room)
        await room.reload("")
        plain = await cost(room)
    await client.flushall()
    await client.aclose()

    assert named == plain
