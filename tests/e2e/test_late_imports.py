"""What a server still imports after its start: an import on the event loop stops every other call."""

import re
from pathlib import Path

from tests.e2e.person import Assistant, PersonAtBrowser, text_of
from tests.e2e.programs import Redis, Simulator, make_server

IMPORTED = re.compile(r"^import time: .*\| +(\S+)$", re.MULTILINE)
MAIL = {"to": ["grace@contoso.example"], "subject": "Hi", "body": "**Read** https://contoso.example"}


async def test_sign_in_and_send_import_nothing_of_weight(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """The first sign-in and the first mail find their modules imported, but for a few small ones."""
    server = make_server(tmp_path, simulator, REDIS_URL=shared_redis.url)
    server.program.preloaded = False
    server.program.arguments[1:1] = ["-X", "importtime"]
    server.start()
    started = len(server.log)

    result = await Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"])).call("send_mail", MAIL)
    late = IMPORTED.findall(server.log[started:])
    server.program.end()

    assert not result.is_error, text_of(result)
    assert len(IMPORTED.findall(server.log)) > 1_000
    assert len(late) <= 8, late  # 3: a codec, and two modules of FastMCP 4.2 that import nothing else
