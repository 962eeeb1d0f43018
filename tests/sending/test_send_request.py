"""The request that a send begins with."""

from __future__ import annotations

from m365_mcp.person import PersonId
from m365_mcp.sending.send_request import SendRequest, new_message_id

ADA = PersonId("t", "ada")


def test_id_of_a_message_is_new_each_time() -> None:
    """32 hexadecimal digits."""
    assert len(bytes.fromhex(new_message_id())) == 16
    assert new_message_id() != new_message_id()


def test_records_of_a_request_have_the_names_of_v0_1_0_and_ours() -> None:
    """A key names one record; a message two, that of v0.1.0 first; a deliberate copy one that nobody else has."""
    plain = SendRequest(ADA, "ours", composed_fingerprint="theirs")
    copies = [SendRequest(ADA, "ours", allow_duplicate=True).names() for _ in range(2)]
    keyed = SendRequest(ADA, "ours", "k", allow_duplicate=True, composed_fingerprint="theirs")

    assert plain.names() == (ADA.digest("message theirs"), ADA.record_key("request ours"))
    assert SendRequest(ADA, "ours").names() == (ADA.digest("message ours"), ADA.record_key("request ours"))
    assert keyed.names() == (ADA.digest("key k"),)
    assert plain.stored_fingerprint == "theirs"
    assert SendRequest(ADA, "ours").stored_fingerprint == "ours"
    assert [len(names) for names in copies] == [1, 1]
    assert copies[0] != copies[1]
    assert copies[0][0].startswith(ADA.record_key("x")[:18])
    assert len(copies[0][0]) == len(ADA.record_key("x"))
    assert plain.save_to_sent is True


def test_own_key_is_no_key_of_a_caller() -> None:
    """Whatever a caller writes, its key names another record than ours, which has the name of every version."""
    ours = SendRequest(ADA, "ours", own_key="draft d")
    theirs = [SendRequest(ADA, "ours", key) for key in ("draft d", "own draft d", "caller draft d", "key draft d")]

    assert ours.names() == (ADA.digest("key draft d"),)
    assert ours.names()[0] not in {name for one in theirs for name in one.names()}
    assert [one.earlier_names() for one in theirs] == [(ADA.digest("key draft d"),), (), (), ()]
    assert ours.earlier_names() == ()
    assert (ours.has_key, theirs[0].has_key, SendRequest(ADA, "ours").has_key) == (True, True, False)
