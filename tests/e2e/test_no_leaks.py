"""Nothing personal and nothing secret reaches a log, whatever happens."""

from pathlib import Path
from typing import Any

from tests.e2e.person import Assistant, PersonAtBrowser, text_of
from tests.e2e.programs import Simulator, make_server

CANARY = "c4n4ry-subject-and-body"
MAIL: dict[str, Any] = {
    "to": ["Grace Hopper <grace@contoso.example>"],
    "subject": f"{CANARY} subject",
    "body": f"<p>{CANARY} body</p>",
}


async def test_k1_g26_log_of_a_whole_run_at_debug_holds_no_secret(simulator: Simulator, tmp_path: Path) -> None:
    """Sign-in, sends, refusals, faults and bad arguments: no token, code, address, subject or body is logged."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://", MCP_LOG_LEVEL="debug")
    server.start()
    ada = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))

    assert not (await ada.call("send_mail", MAIL)).is_error
    where = {"path": "/v1.0/me/sendMail"}
    body = {"error": {"code": "ErrorInvalidRecipients", "message": f"{CANARY} grace@contoso.example"}}
    for what in ({"status": 400, "body": body}, {"status": 500, "html": True}, {"reset": True}):
        simulator.control("POST", "faults", where=where, what=what)
        refused = await ada.call("send_mail", {**MAIL, "allow_duplicate": True})
        assert refused.is_error
        assert CANARY not in text_of(refused)
    for change in ({"to": [f"{CANARY}@"]}, {"subject": f"{CANARY}\n"}, {"to": CANARY}, {CANARY: 1}):
        assert (await ada.call("send_mail", {**MAIL, **change})).is_error
    token = await ada.token()
    server.program.end()

    log = server.log
    assert log.count("tool_called") == 8
    for secret in (CANARY, "@contoso.example", "Grace", token, token.split(".")[1], "eyJ", "code=", "state="):
        assert secret not in log, secret
    assert simulator.ready["client_secret"] not in log
