"""What garbage collections of a serving process look at."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette

from m365_mcp.web.health import Readiness
from m365_mcp.web.listening import listen
from m365_mcp.web.serving import YOUNG_OBJECTS, Server, configure


@pytest.fixture(autouse=True)
def collections_as_before() -> Iterator[None]:
    """Leave the collector of the test process as it was."""
    thresholds, was_frozen = gc.get_threshold(), gc.get_freeze_count() > 0
    gc.unfreeze()
    yield
    gc.set_threshold(*thresholds)
    (gc.freeze if was_frozen else gc.unfreeze)()


async def test_what_a_server_starts_with_is_never_collected_again() -> None:
    """Once it serves, a full collection has nothing to look at but what came since."""
    config = configure(Starlette(), host="127.0.0.1", port=0)
    config.load()
    server = Server(config, Readiness(()), 0)
    server.lifespan = config.lifespan_class(config)
    objects = len(gc.get_objects())

    await server.startup(sockets=listen("127.0.0.1", 0))
    try:
        assert gc.get_freeze_count() > objects // 2
        assert len(gc.get_objects()) < objects // 10
        assert gc.get_threshold()[0] == YOUNG_OBJECTS
    finally:
        await server.shutdown()
