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
UNCOVERED = 3  # the exit code where nothing is wrong, and nothing shows who wrote a chain


def verify(files: Sequence[Path], public_key: Path | None, console: Console, *, require_tip: bool = False) -> int:
    """Print what is wrong and what was verified; return the exit code.

    Args:
        files: the files, the oldest first.
        public_key: verifies the tips; None: signatures are not looked at.
        console: takes the text.
        require_tip: whether a chain that no valid tip covers is a problem.

    Returns:
        0: nothing is wrong. 1: something is. 3: nothing is, but a chain has no tip signed by the key.

    Raises:
        InvalidArgument: a file cannot be read, or no public key is given although a tip is required.
    """
    if not files:
        raise InvalidArgument("No file is named.", advice="m365-mcp audit verify --help shows examples.")
    if require_tip and public_key is None:
        raise InvalidArgument(
            "Without the public key no tip can be verified.", advice="Give --public-key, or leave --require-tip out."
        )
    verification = _read(files, None if public_key is None else _read_key(public_key))
    if require_tip:
        verification.problems += [
            f"chain {name[:64]}: no tip that the key has signed." for name in verification.uncovered
        ]
    for problem in verification.problems[:MAX_SHOWN]:
        console.print(f"[red]{escape(problem)}[/]", soft_wrap=True)
    if len(verification.problems) > MAX_SHOWN:
        console.print(f"and {len(verification.problems) - MAX_SHOWN} more")
    _summarize(verification, console)
    if verification.problems:
        return 1
    return UNCOVERED if public_key is not None and verification.uncovered else 0


def _read(files: Sequence[Path], key: Ed25519PublicKey | None) -> Verification:
    verification = Verification(key)
    for path in files:
        try:
            with path.open("rb") as file:
                verification.read(str(path), file)
        except OSError:
            raise InvalidArgument("A file cannot be read.", advice="Check the names and permissions.") from None
    verification.finish()
    return verification


def _summarize(verification: Verification, console: Console) -> None:
    is_verified = verification.public_key is not None
    for name, chain in sorted(verification.chains.items()):
        covered = f"signed up to {chain.covered_up_to}" if is_verified else f"a tip names {chain.covered_up_to}"
        none = "no signed tip" if is_verified else "no tip"
        told = covered if chain.covered_up_to else none
        console.print(escape(f"chain {name[:64]}: {chain.last} records, {told}"), soft_wrap=True)
    if not is_verified:
        console.print("No public key is given, so the signatures were not verified (--public-key).")
    elif verification.uncovered:
        console.print(
            f"{len(verification.uncovered)} chain(s) without a signed tip: nothing shows who wrote them.",
            soft_wrap=True,
        )
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
