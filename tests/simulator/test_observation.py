"""What becomes of a request whose client leaves in the middle of it."""

from starlette.types import Message

from m365_simulator import Simulator
from m365_simulator.app import TENANT_ID


async def test_half_a_request_has_no_effect(simulator: Simulator) -> None:
    """A client that leaves before the end of its body is neither answered nor noted."""
    arriving: list[Message] = [
        {"type": "http.request", "body": b"grant_type=", "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers: list[Message] = []
    scope = {"type": "http", "method": "POST", "path": f"/{TENANT_ID}/oauth2/v2.0/token", "headers": []}

    async def receive() -> Message:
        return arriving.pop(0)

    async def send(message: Message) -> None:
        answers.append(message)

    await simulator.microsoft(scope, receive, send)

    assert answers == []
    assert len(simulator.tenant.requests.records) == 0
