"""Finds records that were changed, removed, moved or cut off, in files of the audit trail.

Pure. Within a chain, each record must follow the one before. A chain that was cut, or written anew from some record on,
is consistent in itself; a tip does not agree with it then: one of its own, or one in the records of another replica.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from m365_mcp.audit.chain import LINK, START, TIP, Tip, canonical, hash_of, read_tip


@dataclass
class VerifiedChain:
    """What the files have of one chain.

    Attributes:
        hashes: the hash of each record, by number.
        last: the number of the last record.
        covered_up_to: the number of the newest record that a tip names: with a public key, a tip signed by its key.
    """

    hashes: dict[int, str] = field(default_factory=dict)
    last: int = 0
    covered_up_to: int = 0


@dataclass
class Verification:
    """Reads lines in order, and collects what is wrong with them.

    Attributes:
        public_key: verifies the tips; None: signatures are not looked at.
        chains: the chains that were found.
        problems: what is wrong, one sentence each.
        records: how many records there are.
        repeated: how many of them are there again, as a collector may get them.
    """

    public_key: Ed25519PublicKey | None = None
    chains: dict[str, VerifiedChain] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    records: int = 0
    repeated: int = 0
    _tips: list[tuple[str, Tip]] = field(default_factory=list, init=False)

    def read(self, name: str, lines: Iterable[bytes]) -> None:
        """Read the lines of one file."""
        for number, line in enumerate(lines, start=1):
            self._read_line(f"{name}, line {number}", line)

    def finish(self) -> None:
        """Compare the chains with every tip that was found; call it once, after the last file."""
        for where, tip in self._tips:
            if self.public_key is not None and not tip.is_signed_by(self.public_key):
                self.problems.append(f"{where}: the signature of the tip of chain {tip.chain} is not valid.")
                continue
            self._compare(where, tip)

    @property
    def uncovered(self) -> tuple[str, ...]:
        """The chains that no tip covers, so that nothing shows who wrote them; ask after `finish`."""
        return tuple(sorted(name for name, chain in self.chains.items() if not chain.covered_up_to))

    def _read_line(self, where: str, line: bytes) -> None:
        record = _parse(line)
        if record is None:
            self.problems.append(f"{where}: this is no record as the server writes one.")
            return
        self.records += 1
        link, number = record["unmapped"][LINK], record["metadata"]["sequence"]
        if hash_of(record) != link["hash"]:
            self.problems.append(f"{where}: record {number} of chain {link['id']} was changed.")
        for found in record["unmapped"].get(TIP, ()):
            tip = read_tip(found)
            if tip is None:
                self.problems.append(f"{where}: a tip cannot be read.")
            else:
                self._tips.append((where, tip))
        self._add(where, link, number)

    def _add(self, where: str, link: dict[str, str], number: int) -> None:
        """Compare a record with the one before it in its chain."""
        chain = self.chains.setdefault(link["id"], VerifiedChain())
        named = f"record {number} of chain {link['id']}"
        if number in chain.hashes:
            if chain.hashes[number] != link["hash"]:
                self.problems.append(f"{where}: there are two different ones of {named}.")
            self.repeated += 1
            return
        chain.hashes[number] = link["hash"]
        if number < chain.last:
            self.problems.append(f"{where}: {named} is out of order.")
            return
        if number > chain.last + 1:
            self.problems.append(f"{where}: before {named}, {number - chain.last - 1} records are missing.")
        elif link["previous"] != chain.hashes.get(chain.last, START):
            self.problems.append(f"{where}: {named} does not follow the record before it.")
        chain.last = number

    def _compare(self, where: str, tip: Tip) -> None:
        chain = self.chains.get(tip.chain)
        if chain is None:
            self.problems.append(f"{where}: chain {tip.chain} is missing, with {tip.number} records or more.")
        elif tip.number > chain.last:
            self.problems.append(
                f"{where}: chain {tip.chain} was cut after record {chain.last} of {tip.number} or more."
            )
        elif chain.hashes.get(tip.number) != tip.hash:
            self.problems.append(
                f"{where}: record {tip.number} of chain {tip.chain} is not the one that the tip names."
            )
        else:
            chain.covered_up_to = max(chain.covered_up_to, tip.number)


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record in a line; None if the line is not exactly what the server writes for a record."""
    try:
        record = json.loads(line)
        if canonical(record) != line.removesuffix(b"\n"):
            return None
        link, number = record["unmapped"][LINK], record["metadata"]["sequence"]
        texts = [link[name] for name in ("id", "previous", "hash")]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    is_linked = all(isinstance(text, str) for text in texts) and isinstance(number, int) and number > 0
    tips = record["unmapped"].get(TIP, [])
    return record if is_linked and isinstance(tips, list) else None
