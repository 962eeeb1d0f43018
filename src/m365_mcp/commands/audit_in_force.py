"""What the audit trail does on a server with these settings, in one line, and what its operator should know of it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from m365_mcp.errors import Filled
from m365_mcp.loopback import is_loopback
from m365_mcp.settings import Settings
from m365_mcp.settings.audit import FILE


def audit_line(settings: Settings) -> Filled:
    """Return where the records go, whether a send needs one, what they contain, and whether they are signed."""
    if settings.m365_audit == "off":
        return Filled("off: nothing is recorded")
    waits = Filled("required before each send" if settings.m365_audit_required else "no send waits for its record")
    signed = Filled("signed") if settings.m365_audit_key_file else Filled("not signed")
    parts = {"output": _output(settings), "waits": waits, "signed": signed, "content": _content(settings)}
    return Filled("%(output)s; %(waits)s; %(signed)s; %(content)s", **parts)


def audit_warnings(settings: Settings) -> Iterator[str]:
    """Return one sentence for each setting of the audit trail that does less than somebody may expect."""
    if settings.m365_audit == "off":
        if settings.m365_audit_key_file or settings.m365_audit_spool or settings.m365_audit_content:
            yield "M365_AUDIT is off, so the other settings of the audit trail have no effect."
        return
    if settings.m365_audit_key_file is None:
        yield (
            "M365_AUDIT_KEY_FILE is not set: whoever can write to all records can write them anew, and "
            "m365-mcp audit verify cannot tell."
        )
    if settings.m365_audit == "stdout" and settings.m365_audit_required:
        yield (
            "M365_AUDIT_REQUIRED with M365_AUDIT=stdout only makes sure that the container engine was given each "
            "record; a file, or a collector with its spool, is on a disk before the mail leaves."
        )
    yield from _of_collector(settings)


def _of_collector(settings: Settings) -> Iterator[str]:
    is_collector = settings.m365_audit.startswith("http")
    if settings.m365_audit_spool is not None and not is_collector:
        yield "M365_AUDIT_SPOOL is set, and M365_AUDIT is no collector: nothing goes to the spool."
    if not is_collector:
        return
    address = urlsplit(settings.m365_audit)
    if address.scheme == "http" and not is_loopback(address.hostname or ""):
        yield "M365_AUDIT is an http address: the records and M365_AUDIT_AUTHORIZATION travel unencrypted."
    if not settings.m365_audit_required:
        yield (
            "M365_AUDIT_REQUIRED is not set: while the collector is away and the spool is full, mail leaves without "
            "a record."
        )


def _output(settings: Settings) -> Filled:
    if settings.m365_audit == "stdout":
        return Filled("to standard output")
    if settings.m365_audit.startswith(FILE):
        return Filled("to the file %(file)s", file=settings.m365_audit.removeprefix(FILE))
    address = urlsplit(settings.m365_audit)  # its query may have a token
    spool = {"spool": str(settings.m365_audit_spool), "most": str(settings.m365_audit_spool_mb)}
    form = "to %(address)s, spool %(spool)s, at most %(most)s MB"
    return Filled(form, address=f"{address.scheme}://{address.netloc}", **spool)


def _content(settings: Settings) -> Filled:
    named = ", ".join(settings.m365_audit_content)
    return Filled("with %(parts)s of each mail", parts=named) if named else Filled("no address, subject or body")
