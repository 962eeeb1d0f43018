"""A run in which nearly everything happens that the dashboard shows; a real Prometheus watches the real server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.prometheus import Prometheus, start_prometheus
from tests.e2e.attaching import AttachingPerson, content, put
from tests.e2e.grants import call_tool, post_token, refresh, signed_in
from tests.e2e.person import PersonAtBrowser, decide, direct_client
from tests.e2e.programs import Redis, Server, Simulator, free_port, make_redis, make_server, start_simulator

SEND = "/v1.0/me/sendMail"
POLICY = (
    '@id("no-{0}") forbid(principal, action == Action::"Send", resource) when {{ resource.domains.contains("{0}") }};'
)


@dataclass
class Observed:
    """The programs of a run, and how long each part of it lasts."""

    simulator: Simulator
    redis: Redis
    server: Server
    prometheus: Prometheus
    policies: Path
    pause: float  # seconds
    round: int = 0

    async def until(self, expression: str) -> None:
        """Return when Prometheus has a sample for the expression."""
        async with asyncio.timeout(120):
            while not self.prometheus.instant(expression):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.5)

    def browser(self, name: str = "ada@contoso.example") -> PersonAtBrowser:
        return PersonAtBrowser(self.simulator.ready["ca_file"], name)


@contextlib.contextmanager
def started(folder: Path, pause: float) -> Iterator[Observed]:
    """Start simulator, Redis, server and Prometheus in `folder`."""
    simulator, redis, metrics = start_simulator(folder), make_redis(folder), free_port()
    redis.start()
    policies = folder / "policies.cedar"
    policies.write_text(POLICY.format("fabrikam.example"))
    chosen = {
        "REDIS_URL": redis.url,
        "MCP_METRICS_PORT": str(metrics),
        "M365_TOOLSETS": "attachments",
        "M365_POLICY_FILE": str(policies),
        "M365_SEND_APPROVAL": "external",
        "M365_INTERNAL_DOMAINS": "contoso.example",
        "M365_SEND_HOURLY_LIMIT": "8",
        "M365_AUDIT": f"file:{folder / 'audit.ndjson'}",
    }
    server = make_server(folder, simulator, **chosen)
    server.program.preloaded = False  # a process of its own, whose memory is that of a server
    server.start()
    prometheus = start_prometheus(folder, metrics)
    yield Observed(simulator, redis, server, prometheus, policies, pause)
    for program in (prometheus.program, server.program, simulator.program, redis.program):
        assert program.end() == 0


async def everything_happens(run: Observed, rounds: int = 1) -> None:
    """Sign in, send, be refused, lose Graph and Redis, change policies; somebody works all the time."""
    await run.until("m365_mcp_build_info")
    person = AttachingPerson(run.server, await signed_in(run.server, run.simulator))
    async with _working(person, run.pause):
        for run.round, step in itertools.product(range(rounds), STEPS):
            await step(run, person)
            await asyncio.sleep(run.pause)


@contextlib.asynccontextmanager
async def _working(person: AttachingPerson, pause: float) -> AsyncIterator[None]:
    """Have the person look at their profile, and send a mail now and then, while the rest happens."""

    async def work() -> None:
        number = 0
        while True:
            number += 1
            await _call(person)
            if number % 4 == 0:
                await _send(person, f"Note {number}", f"colleague{number}@contoso.example")
            await asyncio.sleep(pause / 8)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _call(person: AttachingPerson, tool: str = "get_my_profile", **arguments: Any) -> None:
    await call_tool(person.server.url, person.grant.access, tool, **arguments)


async def _send(person: AttachingPerson, subject: str, to: str = "grace@contoso.example") -> None:
    await _call(person, "send_mail", to=[to], subject=subject, body=f"About {subject}.")


async def _others_sign_in(run: Observed, _: AttachingPerson) -> None:
    """Two people sign in; one refreshes, once and again with the same token, and signs out."""
    await signed_in(run.server, run.simulator, "grace@contoso.example")
    grant = await signed_in(run.server, run.simulator)
    newer = grant.after(await refresh(run.server.url, grant))
    await refresh(run.server.url, grant)
    async with direct_client() as http:
        form = {"token": newer.refresh, "client_id": newer.client_id}
        assert (await http.post(f"{run.server.url}/revoke", data=form)).status_code == 200


async def _sign_ins_are_refused(run: Observed, person: AttachingPerson) -> None:
    """Codes and redirects that nobody knows, and one consent page that is opened again and again."""
    query = {"response_type": "code", "client_id": person.grant.client_id, "redirect_uri": "https://evil.example/"}
    query |= {"code_challenge": "x" * 43, "code_challenge_method": "S256", "state": "s"}
    async with direct_client() as http:
        for _ in range(3):
            await http.get(f"{run.server.url}/authorize", params=query)
        for _ in range(12):
            await http.get(f"{run.server.url}/consent?txn_id=unknown")
    form = {"grant_type": "authorization_code", "code": "x", "client_id": person.grant.client_id}
    await post_token(run.server.url, {**form, "code_verifier": "x" * 43, "redirect_uri": "http://localhost/callback"})


async def _files_are_sent(run: Observed, person: AttachingPerson) -> None:
    draft, link = await person.link()
    await put(link, content(100_000))
    await person.send(draft)


async def _limits_and_policies_refuse(run: Observed, person: AttachingPerson) -> None:
    """The ninth mail to Grace is over a limit, and a policy forbids mail to Fabrikam."""
    for number in range(10):
        await _send(person, f"Hello {number}")
    await _send(person, "Secret", "marie@fabrikam.example")


async def _mail_is_approved(run: Observed, person: AttachingPerson) -> None:
    result = await person.call("send_mail", to=["kai@partner.example"], subject=f"Offer {run.round}", body="See below.")
    await decide(run.browser(), result["structuredContent"]["approval_url"], "send")


async def _graph_is_at_fault(run: Observed, person: AttachingPerson) -> None:
    """Graph throttles, is slow, and breaks a connection off when it has sent the mail, or not."""
    where = {"path": "/v1.0/me"}
    throttled = {"status": 429, "headers": {"Retry-After": "1"}, "body": {"error": {"code": "TooManyRequests"}}}
    run.simulator.control("POST", "faults", where=where, what=throttled, times=3)
    run.simulator.control("POST", "faults", where=where, what={"delay_seconds": 0.6}, skip=3, times=4)
    for when in ("before", "after"):
        run.simulator.control("POST", "faults", where={"path": SEND}, what={"reset": True}, when=when)
        await _send(person, f"Lost {when} {run.round}", f"{when}@contoso.example")
    run.simulator.control("POST", "faults", where={"path": SEND}, what={"status": 503}, times=4)
    await _send(person, f"Refused {run.round}", "refused@contoso.example")


async def _store_is_away(run: Observed, person: AttachingPerson) -> None:
    """Redis is killed until the alert fires, and comes back."""
    assert run.redis.program.end(signal.SIGKILL) == -signal.SIGKILL
    await run.until('ALERTS{alertname="M365McpStoreUnavailable", alertstate="firing"}')
    await asyncio.sleep(run.pause)
    run.redis.start()
    run.server.wait_until_ready()


async def _policies_change(run: Observed, _: AttachingPerson) -> None:
    """The file of policies is changed, first well, then with a mistake."""
    for text in (POLICY.format(f"evil{run.round}.example"), "forbid("):
        run.policies.write_text(text)
        run.server.program.send(signal.SIGHUP)
        outcome = "refused" if text == "forbid(" else "in_force"
        await run.until(f'm365_mcp_policy_changes_total{{outcome="{outcome}"}}')


STEPS = (
    _others_sign_in,
    _sign_ins_are_refused,
    _files_are_sent,
    _limits_and_policies_refuse,
    _mail_is_approved,
    _graph_is_at_fault,
    _store_is_away,
    _policies_change,
)
