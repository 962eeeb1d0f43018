"""M365_SEND_LEVEL: which tools are offered, what is asked for at Entra, and what a reply does where nothing is sent."""

from __future__ import annotations

from pathlib import Path

from m365_mcp.tools import TOOLSETS
from tests.e2e.grants import assistant_at, start_server
from tests.e2e.outlook import Outlook
from tests.e2e.person import done, refused
from tests.e2e.programs import Simulator
from tests.e2e.test_toolsets import OIDC, asked_for, names_of

EVERYTHING = ",".join(TOOLSETS)
TO_ADA = {"to": ["ada@contoso.example"], "subject": "Lunch?", "body": "<p>At noon?</p>"}


async def test_level_draft_leaves_a_reply_as_a_draft_and_asks_for_no_mail_send(
    simulator: Simulator, outlook: Outlook, tmp_path: Path
) -> None:
    """A server with M365_SEND_LEVEL=draft offers no tool that sends; reply and forward leave drafts for the person."""
    grace = assistant_at(start_server(tmp_path, simulator), simulator, "grace@contoso.example")
    await done(grace, "send_mail", **TO_ADA)
    chosen = {"M365_SEND_LEVEL": "draft", "M365_SEND_MODE": "draft", "M365_SEND_FROM": "true"}
    server = start_server(tmp_path, simulator, M365_TOOLSETS=EVERYTHING, **chosen)
    ada = assistant_at(server, simulator)

    names = await names_of(ada)
    [original] = (await done(ada, "list_messages"))["messages"]
    reply = await done(ada, "reply", message_id=original["message_id"], body="<p>Yes</p>")
    forward = await done(ada, "forward", message_id=original["message_id"], to=["eve@fabrikam.example"])
    with_file = await done(ada, "attach_files", **TO_ADA, files=[{"name": "menu.pdf"}])
    sent = await refused(ada, "send_with_attachments", draft_id=with_file["draft_id"])

    assert names == {
        *("get_my_profile", "find_people", "list_messages", "reply", "forward", "create_draft", "discard_draft"),
        *("attach_files", "list_scheduled", "cancel_scheduled"),
    }
    assert asked_for(ada) == {"User.Read", "Mail.ReadWrite", "People.Read", "User.ReadBasic.All"} | OIDC
    assert (reply["status"], reply["recipients"]) == ("draft", ["grace@contoso.example"])
    assert (forward["status"], forward["recipients"]) == ("draft", ["eve@fabrikam.example"])
    assert reply["web_link"].startswith("https://outlook.office365.com/")
    assert sent.startswith("Unknown tool")
    assert sorted(await outlook.subjects("drafts")) == ["FW: Lunch?", "Lunch?", "RE: Lunch?"]
    assert [mail["from"]["address"] for mail in simulator.outbox] == ["grace@contoso.example"]


async def test_level_off_only_reads(simulator: Simulator, tmp_path: Path) -> None:
    """What is left are the reading tools, with permissions to read only; a toolset without one is no error."""
    server = start_server(tmp_path, simulator, M365_TOOLSETS=EVERYTHING, M365_SEND_LEVEL="OFF")
    ada = assistant_at(server, simulator)

    names = await names_of(ada)
    listed = await done(ada, "list_messages")
    scheduled = await done(ada, "list_scheduled")

    assert names == {"get_my_profile", "find_people", "list_messages", "list_scheduled"}
    assert asked_for(ada) == {"User.Read", "Mail.Read", "People.Read", "User.ReadBasic.All"} | OIDC
    assert (listed, scheduled) == ({"messages": []}, {"scheduled": []})
