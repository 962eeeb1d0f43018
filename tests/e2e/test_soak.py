"""J3, compressed: many calls and refreshes of several clients, after which the process and the store are no larger."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis as redis_py

from tests.e2e.grants import HEADERS, Grant, signed_in, start_server
from tests.e2e.programs import Redis, Server, Simulator, make_redis

PEOPLE = ("ada@contoso.example", "grace@contoso.example")
CLIENTS = 8
ROUNDS = 12  # of each part; in each, every client calls three times and refreshes once
MOST_PARTS = 5  # pools grow by what is asked at once, and then no more; a leak adds to every part
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("tools/list", {}),
    ("tools/call", {"name": "get_my_profile", "arguments": {}}),
    ("tools/call", {"name": "send_mail", "arguments": {"to": ["x"], "subject": "s", "body": "b"}}),  # refused
)


@dataclass(frozen=True)
class Size:
    """What the process and the store hold."""

    files: int
    threads: int
    memory: int
    keys: Counter[str]


def size_of(server: Server, redis: Redis) -> Size:
    assert server.program.process is not None
    process = Path(f"/proc/{server.program.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    with redis_py.Redis.from_url(redis.url, decode_responses=True) as client:
        keys = Counter(key.partition(":")[0] for key in client.scan_iter("*"))
    memory = int(status["VmRSS"].split()[0]) * 1024
    return Size(len([*(process / "fd").iterdir()]), int(status["Threads"]), memory, keys)


async def use(http: httpx2.AsyncClient, grant: Grant, statuses: Counter[int]) -> Grant:
    """Call and refresh as one client does, one request after another; return its tokens of now."""
    for _ in range(ROUNDS):
        headers = {**HEADERS, "Authorization": f"Bearer {grant.access}"}
        for method, params in CALLS:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            statuses[(await http.post("/mcp", json=body, headers=headers)).status_code] += 1
        grant = grant.after(await http.post("/token", data=grant.refresh_form))
    return grant


@pytest.mark.full
async def test_j3_process_and_store_are_no_larger_after_hundreds_of_calls(simulator: Simulator, tmp_path: Path) -> None:
    """288 calls and 96 refreshes of eight clients, repeated: nobody is refused, and the last part adds nothing."""
    redis = make_redis(tmp_path)
    redis.start()
    server = start_server(tmp_path, simulator, REDIS_URL=redis.url)
    grants = [await signed_in(server, simulator, PEOPLE[number % 2]) for number in range(CLIENTS)]
    statuses: Counter[int] = Counter()
    sizes: list[Size] = []
    while len(sizes) < 2 or (len(sizes) < MOST_PARTS and sizes[-1].files > sizes[-2].files + 2):
        async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as http:
            grants = await asyncio.gather(*(use(http, grant, statuses) for grant in grants))
        async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as http:
            assert (await http.get("/livez")).status_code == 200
        sizes.append(size_of(server, redis))
    first, second = sizes[-2:]
    assert server.program.end() == redis.program.end() == 0

    assert statuses == {200: len(sizes) * CLIENTS * ROUNDS * len(CALLS)}
    assert second.files <= first.files + 2
    assert second.threads <= first.threads + 1
    assert second.keys <= first.keys  # what a sign-in needs for a few minutes has ended
    assert second.memory - first.memory < 8_000_000, (first.memory, second.memory)
    assert simulator.outbox == []
