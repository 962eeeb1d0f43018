"""The command `audit verify`: says whether records of the audit trail were changed, removed, moved or cut off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from rich.console import Console
from rich.markup import escape

from m365_mcp.audit.verification import Verification
from m365_mcp.errors import InvalidArgument

MAX_SHOWN = 50  # problems


def verify(files: Sequence[Path], public_key: Path | None, console: Console) -> int:
    """Print what is wrong and return 1, or print what was verified and return 0. Raises InvalidArgument."""
    if not files:
        raise InvalidArgument("No file is named.", advice="m365-mcp audit verify --help shows examples.")
    verification = Verification(None if public_key is None else _read_key(public_key))
    for path in files:
        try:
            with path.open("rb") as file:
                verification.read(str(path), file)
        except OSError:
            raise InvalidArgument("A file cannot be read.", advice="Check the names and permissions.") from None
    verification.finish()
    for problem in verification.problems[:MAX_SHOWN]:
        console.print(f"[red]{escape(problem)}[/]", soft_wrap=True)
    if len(verification.problems) > MAX_SHOWN:
        console.print(f"and {len(verification.problems) - MAX_SHOWN} more")
    _summarize(verification, console)
    return 1 if verification.problems else 0


def _summarize(verification: Verification, console: Console) -> None:
    for name, chain in sorted(verification.chains.items()):
        covered = f"signed up to {chain.signed_up_to}" if chain.signed_up_to else "no signed tip"
        console.print(escape(f"chain {name[:64]}: {chain.last} records, {covered}"), soft_wrap=True)
    if verification.public_key is None:
        console.print("No public key is given, so the signatures were not verified (--public-key).")
    again = f" ({verification.repeated} of them repeated)" if verification.repeated else ""
    count = f"{verification.records} records{again}, {len(verification.problems)} problems"
    console.print(count)


def _read_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidArgument(
            "The file of the public key is no PEM file with an Ed25519 public key.",
            advice="Make it from the private key: openssl pkey -in audit.pem -pubout -out audit.pub.pem",
        )
    return key
