"""What `m365-mcp doctor` says of the audit trail: one line, and a warning for each setting that does too little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from m365_mcp import settings
from m365_mcp.commands.audit_in_force import audit_line, audit_warnings
from tests.audit.test_verification import private_pem
from tests.ids import IDS

COLLECTOR = "https://collector.example/in?token=a-secret"


def said(folder: Path, **chosen: Any) -> tuple[str, list[str]]:
    """Return the line, and the variables that each warning is about, for these settings."""
    (folder / "key.pem").write_bytes(private_pem())
    given = {name: value.format(folder=folder) if isinstance(value, str) else value for name, value in chosen.items()}
    found = settings.load(**IDS, **given)
    return audit_line(found), list(audit_warnings(found))


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        ({}, "off: nothing is recorded"),
        (
            {"m365_audit": "stdout"},
            "to standard output; no send waits for its record; not signed; no address, subject or body",
        ),
        (
            {"m365_audit": "file:{folder}/a", "m365_audit_required": True, "m365_audit_content": "recipients,subject"},
            "to the file {folder}/a; required before each send; not signed; with recipients, subject of each mail",
        ),
        (
            {"m365_audit": COLLECTOR, "m365_audit_spool": "{folder}/s", "m365_audit_key_file": "{folder}/key.pem"},
            "to https://collector.example, spool {folder}/s, at most 100 MB; no send waits for its record; signed; "
            "no address, subject or body",
        ),
    ],
    ids=["off", "stdout", "file", "collector"],
)
def test_line_says_where_records_go_and_what_they_are(tmp_path: Path, chosen: dict[str, Any], line: str) -> None:
    """Output, spool, whether a send needs its record, signature and content, and no query, which may be secret."""
    assert said(tmp_path, **chosen)[0] == line.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("chosen", "begin"),
    [
        ({}, []),
        ({"m365_audit_key_file": "{folder}/key.pem"}, ["M365_AUDIT is off"]),
        ({"m365_audit": "file:{folder}/a", "m365_audit_key_file": "{folder}/key.pem", "m365_audit_required": True}, []),
        ({"m365_audit": "file:{folder}/a"}, ["M365_AUDIT_KEY_FILE is not set"]),
        (
            {"m365_audit": "stdout", "m365_audit_required": True, "m365_audit_key_file": "{folder}/key.pem"},
            ["M365_AUDIT_REQUIRED with M365_AUDIT=stdout"],
        ),
        (
            {
                "m365_audit": "http://collector.example/in",
                "m365_audit_spool": "{folder}/s",
                "m365_audit_key_file": "{folder}/key.pem",
            },
            ["M365_AUDIT is an http address", "M365_AUDIT_REQUIRED is not set"],
        ),
        (
            {
                "m365_audit": "http://127.0.0.1:9/in",
                "m365_audit_spool": "{folder}/s",
                "m365_audit_key_file": "{folder}/key.pem",
                "m365_audit_required": True,
            },
            [],
        ),
        (
            {"m365_audit": "stdout", "m365_audit_spool": "{folder}/s", "m365_audit_key_file": "{folder}/key.pem"},
            ["M365_AUDIT_SPOOL is set"],
        ),
    ],
)
def test_warning_names_what_does_less_than_it_seems(tmp_path: Path, chosen: dict[str, Any], begin: list[str]) -> None:
    """Settings without effect, records nobody signs, a required record that is on no disk, a collector without TLS."""
    found = said(tmp_path, **chosen)[1]

    assert len(found) == len(begin)
    assert [one for one, expected in zip(found, begin, strict=True) if not one.startswith(expected)] == []
