"""Ways to tamper with files of the audit trail, one by one: each is found, or harmless and written in docs/audit.md."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console

from m365_mcp.audit.chain import LINK, TIP, Chain, canonical
from m365_mcp.audit.ocsf import Options, own_activity
from m365_mcp.audit.verification import Verification
from m365_mcp.commands.audit import verify
from m365_mcp.errors import InvalidArgument
from tests.audit.test_verification import KEY, chain_with_tips, relinked

Files = dict[str, list[bytes]]


def two_replicas() -> Files:
    """Return the files of two replicas with a key: `a1` and `a2` of one, an older and a newer, and `b` of the other.

    The tip of the first stands in the records of the second, and the other way round.
    """
    chain, lines = chain_with_tips(20)
    other, others = chain_with_tips(20)
    others.append(_with_tips(other, chain))
    lines.append(_with_tips(chain, other))
    return {"a1": lines[:12], "a2": lines[12:], "b": others}


def _with_tips(chain: Chain, *others: Chain) -> bytes:
    tips = [one.tip.signed(KEY).as_json() for one in (chain, *others) if one.number]
    return chain.add(own_activity("audit.tips", 1, Options()) | {"unmapped": {TIP: tips}})


def found(files: Files) -> list[str]:
    """Return the problems of files, in this order."""
    verification = Verification(KEY.public_key())
    for name, lines in files.items():
        verification.read(name, lines)
    verification.finish()
    return verification.problems


def _changed(line: bytes, **changes: object) -> bytes:
    return canonical({**json.loads(line), **changes}) + b"\n"


def swap_files(files: Files) -> Files:
    return {"a1": files["a2"], "a2": files["a1"], "b": files["b"]}


def rename_chain(files: Files) -> Files:
    """Give the records of one replica the name of the other's chain, linked anew."""
    name = json.loads(files["b"][0])["unmapped"][LINK]["id"]
    renamed = [line.replace(json.loads(line)["unmapped"][LINK]["id"].encode(), name.encode()) for line in files["a1"]]
    return {**files, "a1": relinked(renamed, 0)}


def splice(files: Files) -> Files:
    """Have the first replica's newer file continue with records of the second."""
    return {**files, "a2": files["b"][12:]}


def splice_and_link(files: Files) -> Files:
    """The same, written as if they were the first replica's own."""
    own, other = (json.loads(files[name][0])["unmapped"][LINK]["id"].encode() for name in ("a1", "b"))
    lines = relinked([*files["a1"], *(line.replace(other, own) for line in files["b"][12:])], 12)
    return {**files, "a1": lines[:12], "a2": lines[12:]}


def cut_at_own_tip(files: Files) -> Files:
    """Cut a file right after a record with its own signed tip, which agrees with what is left."""
    return {"a1": files["a1"][:10], "b": files["b"]}


def remove_file(files: Files) -> Files:
    return {"b": files["b"]}


def remove_older_file(files: Files) -> Files:
    return {"a2": files["a2"], "b": files["b"]}


def blank_line(files: Files) -> Files:
    return {**files, "a1": [*files["a1"][:3], b"\n", *files["a1"][3:]]}


def white_space(files: Files) -> Files:
    return {**files, "a1": [files["a1"][0][:-1] + b" \n", *files["a1"][1:]]}


def windows_line_ends(files: Files) -> Files:
    return {**files, "a1": [line.replace(b"\n", b"\r\n") for line in files["a1"]]}


def byte_order_mark(files: Files) -> Files:
    return {**files, "a1": [b"\xef\xbb\xbf" + files["a1"][0], *files["a1"][1:]]}


def other_escapes(files: Files) -> Files:
    """Write a letter as an escape: the same JSON to every parser."""
    return {**files, "a1": [files["a1"][0].replace(b"audit", b"\\u0061udit", 1), *files["a1"][1:]]}


def other_order_of_names(files: Files) -> Files:
    record = json.loads(files["a1"][0])
    line = json.dumps(dict(reversed(record.items())), separators=(",", ":")).encode() + b"\n"
    return {**files, "a1": [line, *files["a1"][1:]]}


def equal_number(files: Files) -> Files:
    """Write a whole number as 1.0: equal in Python, and another text."""
    return {**files, "a1": [_changed(files["a1"][0], time=1.0), *files["a1"][1:]]}


def truth_for_a_number(files: Files) -> Files:
    return {**files, "a1": [_changed(files["a1"][0], time=True), *files["a1"][1:]]}


def hash_anew(files: Files) -> Files:
    """Change one record and its own hash, and leave the next one as it is."""
    changed = relinked([*files["a1"][:3], _changed(files["a1"][3], time=7)], 3)
    return {**files, "a1": [*changed, *files["a1"][4:]]}


def foreign_tips(files: Files) -> Files:
    """Write a chain anew from its beginning, with tips of another key."""
    chain, lines = chain_with_tips(20, Ed25519PrivateKey.generate())
    name = json.loads(files["b"][0])["unmapped"][LINK]["id"].encode()
    return {**files, "b": relinked([line.replace(chain.id.encode(), name) for line in lines], 0)}


TAMPERING: dict[Callable[[Files], Files], str] = {
    swap_files: "is out of order",
    rename_chain: "there are two different ones of record 1",
    splice: "was cut after record 12 of 20 or more",
    splice_and_link: "is not the one that the tip names",
    cut_at_own_tip: "was cut after record 10 of 20 or more",
    remove_file: "is missing, with 20 records or more",
    remove_older_file: "12 records are missing",
    blank_line: "a1, line 4: this is no record",
    white_space: "a1, line 1: this is no record",
    windows_line_ends: "a1, line 12: this is no record",
    byte_order_mark: "a1, line 1: this is no record",
    other_escapes: "a1, line 1: this is no record",
    other_order_of_names: "a1, line 1: this is no record",
    equal_number: "record 1 of chain",
    truth_for_a_number: "record 1 of chain",
    hash_anew: "does not follow the record before it",
    foreign_tips: "the signature of the tip",
}


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_way_to_tamper_is_found_and_named(tamper: Callable[[Files], Files]) -> None:
    """Each of these is a problem, with a sentence that says what is wrong; the files as they were have none."""
    files = two_replicas()

    assert found(files) == []
    assert [problem for problem in found(tamper(files)) if TAMPERING[tamper] in problem]


@pytest.mark.parametrize(
    "change",
    [
        lambda files: {**files, "again": files["a1"]},
        lambda files: {"b": files["b"], **files},
        lambda files: {"all": [*files["a1"], *files["b"], *files["a2"]]},
        lambda files: {**files, "b": [*files["b"][:-1], files["b"][-1].rstrip(b"\n")]},
    ],
    ids=["a file twice", "replicas in another order", "one file of all", "no line feed at the end"],
)
def test_what_changes_no_record_is_no_problem(change: Callable[[Files], Files]) -> None:
    """Repeated, merged and reordered replicas say the same; see docs/audit.md."""
    assert found(change(two_replicas())) == []


def test_tail_after_the_newest_tip_can_be_cut_unseen() -> None:
    """What remains, as docs/audit.md says: a cut right after the newest tip that anybody has leaves a whole chain."""
    files = two_replicas()
    _, lines = chain_with_tips(25)

    assert found({**files, "c": lines[:20]}) == []
    assert found({**files, "c": lines}) == []


def ran(
    folder: Path, *files: list[bytes], key: Ed25519PrivateKey | None = KEY, require: bool = False
) -> tuple[int, str]:
    """Return the exit code of `audit verify` and what it prints."""
    public, names, out = folder / "audit.pub.pem", [], io.StringIO()
    if key is not None:
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for number, lines in enumerate(files):
        names.append(folder / f"{number}.ndjson")
        names[-1].write_bytes(b"".join(lines))
    code = verify(names, None if key is None else public, Console(file=out, width=200), require_tip=require)
    return code, out.getvalue()


def test_chain_without_a_signed_tip_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """3 says that nothing is wrong and nothing shows who wrote it; with --require-tip that is a problem, and 1."""
    _, signed = chain_with_tips()
    young = Chain()
    unsigned = [young.add(own_activity("audit.tips", 1, Options()) | {"unmapped": {}})]

    assert ran(tmp_path, signed)[0] == 0
    assert ran(tmp_path, signed, require=True)[0] == 0
    code, text = ran(tmp_path, signed, unsigned)
    assert (code, f"chain {young.id}: 1 records, no signed tip" in text) == (3, True)
    assert "1 chain(s) without a signed tip: nothing shows who wrote them." in text
    code, text = ran(tmp_path, signed, unsigned, require=True)
    assert (code, f"chain {young.id}: no tip that the key has signed." in text) == (1, True)
    assert ran(tmp_path, signed[:10], key=Ed25519PrivateKey.generate())[0] == 1


def test_tip_in_the_file_of_another_replica_covers_a_chain(tmp_path: Path) -> None:
    """A replica that died before its first own tip is covered by the tip that another one has recorded of it."""
    chain, lines = chain_with_tips(5)

    assert ran(tmp_path, lines, require=True)[0] == 1
    other = Chain()
    crossed = [_with_tips(other, chain)]
    code, text = ran(tmp_path, lines, [*crossed, _with_tips(other)], require=True)

    assert f"chain {chain.id}: 5 records, signed up to 5" in text
    assert code == 0


def test_without_a_public_key_no_tip_counts_as_signed(tmp_path: Path) -> None:
    """The text says that signatures were not verified, and --require-tip is refused."""
    _, lines = chain_with_tips(key=Ed25519PrivateKey.generate())
    code, text = ran(tmp_path, lines, key=None)

    assert (code, "a tip names" in text, "signed up to" in text) == (0, True, False)
    assert "signatures were not verified" in text
    with pytest.raises(InvalidArgument):
        ran(tmp_path, lines, key=None, require=True)
