"""Files inside a call, as clients write them and as they arrive."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tests.e2e.person import Assistant, done, refused
from tests.e2e.programs import Simulator

MAIL = {"to": ["grace@contoso.example"], "subject": "Files", "body": "<p>Hi</p>"}
INVITATION = (
    "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nORGANIZER:mailto:{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.mark.parametrize(("organizer", "is_said"), [("Ada@Contoso.example", False), ("boss@contoso.example", True)])
async def test_h17_only_the_invitation_of_another_person_gives_a_warning(
    writer: Assistant, simulator: Simulator, organizer: str, is_said: bool
) -> None:
    """The server knows whose invitation it is by the sign-in name, and the invitation carries its method."""
    content = base64.encodebytes(INVITATION.format(organizer).encode()).decode()

    receipt = await done(writer, "send_mail", **MAIL, attachments=[{"name": "a.ics", "content_base64": content}])

    (file,) = simulator.outbox[-1]["attachments"]
    assert file["content_type"] == "text/calendar; method=REQUEST; charset=UTF-8"
    assert file["sha256"] == hashlib.sha256(INVITATION.format(organizer).encode()).hexdigest()
    assert any(organizer in warning for warning in receipt["warnings"]) is is_said


async def test_k11_file_that_is_no_file_is_not_sent(writer: Assistant, simulator: Simulator) -> None:
    """Words in the place of base64 send nothing, and the person is told why."""
    said = await refused(writer, "send_mail", **MAIL, attachments=[{"name": "a.pdf", "content_base64": "test"}])

    assert "'attachments' entry 1 has content that is not base64, but text" in said
    assert simulator.outbox == []
