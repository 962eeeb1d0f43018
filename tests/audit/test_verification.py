"""Whoever changes, removes, moves or cuts records is found, given one honest tip."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from rich.console import Console

from m365_mcp.audit.chain import LINK, TIP, Chain, canonical, hash_of
from m365_mcp.audit.ocsf import Options, own_activity
from m365_mcp.audit.verification import Verification
from m365_mcp.commands.audit import verify

KEY = Ed25519PrivateKey.generate()
RECORDS, TIP_EVERY = 30, 10


def chain_with_tips(count: int = RECORDS, key: Ed25519PrivateKey = KEY) -> tuple[Chain, list[bytes]]:
    """Return a chain of so many records, every tenth of which has its own signed tip."""
    chain, lines = Chain(), []
    for number in range(1, count + 1):
        record = own_activity("audit.tips", number, Options()) | {"unmapped": {"what": f"event {number}"}}
        if number % TIP_EVERY == 0:
            record["unmapped"][TIP] = [chain.tip.signed(key).as_json()]
        lines.append(chain.add(record))
    return chain, lines


def witness(chain: Chain) -> list[bytes]:
    """Return the records of another replica, which has the tip of `chain`."""
    other = Chain()
    tips = {"unmapped": {TIP: [chain.tip.signed(KEY).as_json()]}}
    return [other.add(own_activity("audit.tips", 1, Options()) | tips)]


def problems(lines: list[bytes], honest: list[bytes], *, with_key: bool = True) -> list[str]:
    """Return what is found in `lines`, given the honest records of another replica."""
    verification = Verification(KEY.public_key() if with_key else None)
    verification.read("file", lines)
    verification.read("witness", honest)
    verification.finish()
    return verification.problems


def relinked(lines: list[bytes], start: int) -> list[bytes]:
    """Give each record from `start` on the number, the link and the hash that it needs there, as a forger does."""
    fixed = lines[:start]
    previous = json.loads(fixed[-1])["unmapped"][LINK]["hash"] if fixed else "0" * 64
    for number, line in enumerate(lines[start:], start=start + 1):
        record = json.loads(line)
        record["metadata"]["sequence"] = number
        record["metadata"]["uid"] = f"{record['unmapped'][LINK]['id']}-{number}"
        record["unmapped"][LINK]["previous"] = previous
        previous = record["unmapped"][LINK]["hash"] = hash_of(record)
        fixed.append(canonical(record) + b"\n")
    return fixed


def mutated(lines: list[bytes], rng: random.Random) -> list[bytes]:
    """Return the lines with one random change; half of the time everything after it is linked anew."""
    changed = list(lines)
    place = rng.randrange(len(lines))
    kind = rng.choice(["byte", "field", "delete", "move", "swap", "cut", "cut_in_line", "head", "insert", "all"])
    if kind == "byte":
        line = bytearray(changed[place])
        position = rng.randrange(len(line) - 1)
        line[position] = rng.choice([value for value in range(256) if value not in (line[position], 10)])
        changed[place] = bytes(line)
        return changed  # most are no JSON any more, so nothing can be linked anew
    if kind == "cut_in_line":
        return [*changed[:place], changed[place][: rng.randrange(1, len(changed[place]) - 1)]]
    if kind == "field":
        record: dict[str, Any] = json.loads(changed[place])
        record["unmapped"]["what"] = f"another event {rng.random()}".replace(".", "")
        changed[place] = canonical(record) + b"\n"
    elif kind == "delete":
        del changed[place]
    elif kind == "move":
        other = rng.choice([index for index in range(len(lines)) if index != place])
        changed.insert(other, changed.pop(place))
    elif kind == "swap":
        other = rng.choice([index for index in range(len(lines)) if index != place])
        changed[place], changed[other] = changed[other], changed[place]
    elif kind == "cut":
        return changed[:place]
    elif kind == "head":
        del changed[: place + 1]
        place = 0
    elif kind == "insert":
        record = json.loads(changed[place])
        record["unmapped"]["what"] = "invented"
        changed.insert(place, canonical(record) + b"\n")
    else:
        changed.clear()
    return relinked(changed, 0 if kind in ("move", "swap") else place) if rng.random() < 0.5 else changed


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.full)])
def test_every_mutation_is_found_given_one_honest_tip(count: int) -> None:
    """A changed, deleted, moved, cut or inserted record is found, also when a forger links all that follows anew."""
    chain, lines = chain_with_tips()
    honest = witness(chain)
    rng = random.Random(20261126)  # noqa: S311 chooses mutations
    mutations = [changed for changed in (mutated(lines, rng) for _ in range(count)) if changed != lines]

    missed = [mutation for mutation in mutations if not problems(mutation, honest)]

    assert len(mutations) > count * 0.98
    assert missed == []
    assert problems(lines, honest) == []


def test_forger_without_the_key_is_found_at_the_next_own_tip() -> None:
    """Without another replica's records a forged record is found if a signed tip of its own chain follows it."""
    _, lines = chain_with_tips()
    record = json.loads(lines[3])
    record["unmapped"]["what"] = "another event"

    assert problems(relinked([*lines[:3], canonical(record) + b"\n", *lines[4:]], 3), []) != []


def test_forged_tip_is_found_with_the_public_key_only() -> None:
    """A forger who signs tips with another key passes without the public key, and is found with it."""
    _, lines = chain_with_tips(key=Ed25519PrivateKey.generate())

    assert problems(lines, [], with_key=False) == []
    assert len(problems(lines, [])) == RECORDS // TIP_EVERY


@pytest.mark.parametrize(("old", "new"), [(b'{"', b'{ "'), (b'"time"', b'"time":0,"time"'), (b"Audit", b"\\u0041udit")])
def test_line_in_another_form_is_found_although_it_means_the_same(old: bytes, new: bytes) -> None:
    """White space, a name that is there twice, and another spelling: other programs may read them otherwise."""
    chain, lines = chain_with_tips()
    changed = lines[4].replace(old, new, 1)
    assert changed != lines[4]

    assert problems([*lines[:4], changed, *lines[5:]], witness(chain))[0].startswith("file, line 5: this is no record")


def test_moved_record_is_named() -> None:
    """A record that was moved to a later place is said to be out of order, and missing where it was."""
    chain, lines = chain_with_tips()
    found = problems([*lines[:3], *lines[4:8], lines[3], *lines[8:]], witness(chain))

    assert found == [
        f"file, line 4: before record 5 of chain {chain.id}, 1 records are missing.",
        f"file, line 8: record 4 of chain {chain.id} is out of order.",
    ]


def test_repeated_delivery_is_no_problem() -> None:
    """A collector that got a batch twice has the same records twice, and nothing is wrong with that."""
    chain, lines = chain_with_tips()

    assert problems([*lines[:20], *lines[10:]], witness(chain)) == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b'{"unmapped":{"chain":1}}\n',
        b'{"metadata":{"sequence":true},"unmapped":{"chain":{"hash":"","id":"","previous":""}}}\n',
        b'{"metadata":{"sequence":1},"unmapped":{"chain":{"hash":"","id":"","previous":""},"tips":7}}\n',
        b'{"metadata":{"sequence":1},"unmapped":{"chain":{"hash":"","id":"","previous":""},"tips":[{}]}}\n',
        b"[" * 100_000,
        b"\xff\xfe\n",
    ],
)
def test_line_that_is_no_record_is_a_problem(line: bytes) -> None:
    """Whatever stands in a file, the verification ends and names the line."""
    assert [problem for problem in problems([line], []) if problem.startswith("file, line 1: ")]


def test_command_says_what_is_wrong_and_exits_accordingly(tmp_path: Path) -> None:
    """`audit verify` exits with 3 for whole files of which one is unsigned, and with 1 for a file that was cut."""
    chain, lines = chain_with_tips()
    file, other, public = tmp_path / "a.ndjson", tmp_path / "b.ndjson", tmp_path / "audit.pub.pem"
    file.write_bytes(b"".join(lines))
    other.write_bytes(b"".join(witness(chain)))
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    whole, cut = io.StringIO(), io.StringIO()

    assert verify([file, other], public, Console(file=whole, width=200)) == 3
    file.write_bytes(b"".join(lines[:-1]))
    assert verify([file, other], public, Console(file=cut, width=200)) == 1

    assert f"chain {chain.id}: 30 records, signed up to 30" in whole.getvalue()
    assert f"chain {chain.id} was cut after record 29 of 30 or more." in cut.getvalue()


def private_pem(key: Ed25519PrivateKey = KEY) -> bytes:
    """Return the key as M365_AUDIT_KEY_FILE has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
