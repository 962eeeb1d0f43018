"""What may never be logged is taken out, whoever logs it."""

import json
import logging
import subprocess
import sys

import pytest

from m365_mcp.logs import redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
CODE = "Zx9-kP3_vQ7rT1yU8iO5pA2sD4fG6hJ0kL"


@pytest.mark.parametrize(
    "text",
    [
        "no mailbox for ada@contoso.example here",
        f"bad token {JWT}",
        f"bad token {JWT[:60]}",
        f"Authorization code not found: {CODE}",
        f"GET /auth/callback?code={CODE}&state=abc HTTP/1.1",
        "小明@例え.example.org wrote",
        "小明@пример.рф wrote",
    ],
)
def test_secrets_and_addresses_are_taken_out(text: str) -> None:
    """Addresses, tokens, codes and query strings disappear; the rest stays readable."""
    cleaned = redact(text)

    assert cleaned != text
    for secret in ("ada@", JWT[:60], CODE, "小明@", "state=abc"):
        assert secret not in cleaned


@pytest.mark.parametrize(
    "text", ["AADSTS65001", "request 6f2c1c0e-7a0b-4c56-9a3c-1d2e3f4a5b6c took 3 ms", "outcome=mailbox_missing"]
)
def test_ids_and_codes_stay(text: str) -> None:
    """What support needs is left alone."""
    assert redact(text) == text


def test_k2_records_of_libraries_are_redacted_too() -> None:
    """A traceback and a library's warning come out as JSON without the secret in them, and without local values."""
    program = (
        "import logging\n"
        "from m365_mcp import logs\n"
        "logs.configure('debug', 'json')\n"
        "logging.getLogger('somebody').warning('mail for %s', 'ada@contoso.example')\n"
        "def send(body, token):\n    local = body\n    raise ValueError('ada@contoso.example')\n"
        "try:\n    send('b0dy', 't0ken')\n"
        "except ValueError:\n    logging.getLogger('somebody').exception('broken')\n"
        "logging.getLogger('fastmcp.server').debug('arguments: hush')\n"
        "logs.get('ours').info('event', tool='send_mail')\n"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    records = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [record["event"] for record in records] == ["mail for [address]", "broken", "event"]
    assert "ValueError: [address]" in records[1]["exception"]
    assert records[2]["tool"] == "send_mail"
    assert "ada@" not in ran.stderr
    assert [word for word in ("hush", "b0dy", "t0ken") if word in ran.stderr] == []


def test_importing_changes_no_logging() -> None:
    """Logging is set up by the program, not by an import."""
    assert logging.getLogger("m365_mcp").handlers == []
