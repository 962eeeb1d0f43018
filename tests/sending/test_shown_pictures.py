"""Pictures on the approval page: which are shown, as what, and how many."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from m365_mcp.graph.attachments import Attached
from m365_mcp.sending.own_drafts import OwnDrafts
from m365_mcp.sending.shown_pictures import MAX_READ_PICTURES, MAX_SHOWN_BYTES, read_pictures, with_pictures
from tests.graph.recording import Recording, refuses, says
from tests.sending.test_approvals import asking
from tests.sending.test_outbox import PICTURE, to_grace

PNG, JPEG, GIF, WEBP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x04\0\0\0WEBPVP8 "
SHOWN = '<p>Look: <img alt="l" src="cid:logo"></p>'


def picture(content_id: str, content: bytes = PNG, **more: Any) -> dict[str, Any]:
    """Return an attachment as Outlook puts it into a draft, in Graph's JSON."""
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": f"{content_id}.png",
        "contentType": "image/png",
        "contentBytes": base64.b64encode(content).decode(),
        "isInline": True,
        "contentId": content_id,
        **more,
    }


def data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


async def test_l2_pictures_of_a_draft_are_shown_in_place() -> None:
    """Of a draft that waits, the page reads the pictures of its text, also those that Outlook has added since."""
    async with asking() as (one, approvals):
        message = await one.ada.compose(to_grace(body=SHOWN, attachments=[PICTURE]))
        _, draft = await OwnDrafts(one.ada).create(message)
        await one.ada.drafts.attach(draft.id, picture("later@01DA", GIF))
        text = f'{SHOWN}<img\nwidth="9" SRC=\'cid:later%4001DA\'><img src="cid:nowhere">'
        await one.ada.drafts.change(draft.id, {"body": {"contentType": "HTML", "content": text}})
        await OwnDrafts(one.ada).send(draft.id)
        [mail] = await approvals.of(one.ada.person)
        shown = await approvals.show(mail, with_body=True)
        page = await approvals.show(mail)

        await approvals.approve(mail, shown.digest)
        assert "cid:logo" in (await one.world.sent())[0]["body"]["content"]
    assert data("png", PNG) in shown.body
    assert f"SRC='{data('gif', GIF)}'" in shown.body
    assert '"cid:nowhere"' in shown.body
    assert "data:" not in page.body
    assert shown.digest == page.digest


async def test_l2_picture_that_cannot_be_read_leaves_the_text_readable() -> None:
    """Graph refuses the picture: the page has the text, the place of the picture, and the file in its list."""
    async with asking() as (one, approvals):
        message = await one.ada.compose(to_grace(body=SHOWN, attachments=[PICTURE]))
        _, draft = await OwnDrafts(one.ada).create(message)
        await OwnDrafts(one.ada).send(draft.id)
        [mail] = await approvals.of(one.ada.person)
        await one.world.fault({"path": "/v1.0/me/messages/*/attachments/*"}, {"status": 403}, times=9)
        shown = await approvals.show(mail, with_body=True)

    assert "Look:" in shown.body
    assert 'src="cid:logo"' in shown.body
    assert [name for name, _ in shown.files] == ["l.png"]


@pytest.mark.parametrize(("content", "kind"), [(PNG, "png"), (JPEG, "jpeg"), (GIF, "gif"), (WEBP, "webp")])
def test_l2_first_bytes_say_what_a_picture_is(content: bytes, kind: str) -> None:
    """The page names the type that the content has."""
    assert with_pictures(SHOWN, {"logo": content}) == SHOWN.replace("cid:logo", data(kind, content))


@pytest.mark.parametrize("content", [b"<svg onload='x()'/>", b"<script>x()</script>", b"", b"BM" + bytes(12), b"%PDF-"])
def test_l2_what_is_no_picture_of_the_four_types_is_not_shown(content: bytes) -> None:
    """What could script, or is something else, stays a reference that shows nothing."""
    assert with_pictures(SHOWN, {"logo": content}) == SHOWN


@pytest.mark.parametrize(
    "text", ["Pay to cid:logo", '<a href="cid:logo">x</a>', "<img src=cid:logo>", '<img alt="x" data-src="cid:logo">']
)
def test_l2_only_sources_of_pictures_are_replaced(text: str) -> None:
    """Words, links and other attributes stay as they are."""
    assert with_pictures(text, {"logo": PNG}) == text


async def test_l2_number_and_size_of_pictures_are_bounded() -> None:
    """A draft with many pictures costs at most so many requests; one that is too large costs none."""
    many = [Attached(f"{number}.png", True, 9, f"id-{number}", "image/png") for number in range(30)]
    large = Attached("large.png", True, MAX_SHOWN_BYTES + 1, "large", "image/png")
    others = [Attached("a.pdf", True, 9, "a", "application/pdf"), Attached("mail", False, 9, "b", "image/png")]
    graph = Recording(says(200, picture("logo")))

    found = await read_pictures(graph.mailbox(), "AAMk1", [*others, large, *many], SHOWN)

    paths = [path for _, path in graph.asked]
    assert paths == [f"/me/messages/AAMk1/attachments/id-{number}" for number in range(MAX_READ_PICTURES - 1)]
    assert found == {"logo": PNG}


@pytest.mark.parametrize(
    "answer",
    [
        refuses(404, "ErrorItemNotFound"),
        says(200, picture("logo") | {"contentBytes": "*"}),
        says(200, picture("logo") | {"contentBytes": None}),
        says(200, picture("logo") | {"contentId": None}),
    ],
)
async def test_l2_answer_without_a_picture_is_passed_over(answer: Any) -> None:
    """A file that has gone, has no content id or no readable content is not shown."""
    one = Attached("l.png", True, 9, "id", "IMAGE/PNG; x=y")

    assert await read_pictures(Recording(answer).mailbox(), "AAMk1", [one], SHOWN) == {}


async def test_l2_text_without_pictures_costs_no_request() -> None:
    """Where the text shows no file of the mail, no file is read."""
    graph = Recording(says(200, picture("logo")))

    assert await read_pictures(graph.mailbox(), "AAMk1", [Attached("l.png", True, 9, "id", "image/png")], "<p>x") == {}
    assert graph.asked == []
