"""Pictures inside the HTML, and attachments that the body shows."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from m365_mcp.errors import BodyTooComplex, EmptyBody, InvalidArgument, MessageTooLarge
from m365_mcp.mail import MailRules, Message, ReplyRequest, compose_reply
from tests.mail.composing import build, refused

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
FORMS = {
    "png": (PNG, "image/png"),
    "jpg": (b"\xff\xd8\xff\xe0abc", "image/jpeg"),
    "gif": (b"GIF89aabc", "image/gif"),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8 abc", "image/webp"),
    "bmp": (b"BM\x10\0\0\0\0\0\0\0abc", "image/bmp"),
}


def data(content: bytes, claimed: str = "image/png") -> str:
    return f"data:{claimed};base64,{base64.b64encode(content).decode()}"


def file(name: str = "Logo.png", **fields: Any) -> dict[str, Any]:
    return {"name": name, "content_base64": base64.b64encode(PNG).decode(), **fields}


def files_of(message: Message) -> list[tuple[str, str | None]]:
    return [(attachment.name, attachment.content_id) for attachment in message.attachments]


@pytest.mark.parametrize("form", FORMS)
def test_k9_picture_inside_the_html_becomes_an_inline_attachment(form: str) -> None:
    """The content decides what a picture is, whatever its address claims; the body refers to the attachment."""
    content, content_type = FORMS[form]

    message = build(body=f'<p>a</p><img src="{data(content, "text/plain")}" alt="b">')

    (attachment,) = message.attachments
    assert (attachment.name, attachment.content, attachment.content_type) == (f"image001.{form}", content, content_type)
    assert attachment.as_graph()["isInline"] is True
    assert f'<img src="cid:{attachment.content_id}" alt="b">' in message.body
    assert message.warnings == ()


def test_k9_equal_pictures_are_attached_once_under_a_stable_id() -> None:
    """One content has one attachment, and the same content id in every mail."""
    other = data(FORMS["gif"][0])

    first = build(body=f'<img src="{data(PNG)}"><img src="{data(PNG, "image/jpeg")}"><img src="{other}">')
    second = build(body=f'<img src="{other}"><img src="{data(PNG)}">')

    assert [name for name, _ in files_of(first)] == ["image001.png", "image002.gif"]
    assert {content_id for _, content_id in files_of(first)} == {content_id for _, content_id in files_of(second)}
    assert first.body.count("cid:") == 3


@pytest.mark.parametrize(
    "address",
    [
        data(PNG).replace("=", ""),
        data(PNG).replace("+", "-").replace("/", "_").replace("image_png", "image/png"),
        data(PNG).replace(",", ",\n ")[:40] + "\n" + data(PNG).replace(",", ",\n ")[40:],
        data(PNG).replace("=", "%3D").replace("data:", " DATA:"),
        data(PNG).replace(";base64", ";charset=x; base64"),
        "data:image/png,%89PNG%0D%0A%1A%0A%00%00%00%0DIHDR",
    ],
)
def test_k9_every_spelling_of_the_data_is_read(address: str) -> None:
    """Line breaks, URL-safe base64, missing padding and percent-encoding are no obstacle."""
    assert [attachment.content for attachment in build(body=f'<img src="{address}">').attachments] == [PNG]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("data:image/png;base64,!!!", "1 picture inside the HTML was removed"),
        ("data:image/png;base64,aGVsbG8=", "1 picture inside the HTML was removed"),
        ("data:image/png;base64,", "1 picture inside the HTML was removed"),
        ("data:image/png", "1 picture inside the HTML was removed"),
        (data(b"<html>"), "1 picture inside the HTML was removed"),
        (data(b"MZ"), "1 picture inside the HTML was removed"),
        ("data:image/svg+xml,<svg xmlns='x'/>".replace("'", "%27"), "1 SVG picture inside the HTML was removed"),
        (data(b" <?xml version='1.0'?><svg/>"), "1 SVG picture inside the HTML was removed"),
    ],
)
def test_k9_picture_that_no_program_shows_leaves_its_alternative_text(address: str, said: str) -> None:
    """Broken data and SVG are removed, and the report says so."""
    message = build(body=f'<p>a</p><img src="{address}" alt="Chart">')

    assert message.body == "<p>a</p>Chart"
    assert message.warnings[0].startswith(said)
    assert message.attachments == ()


def test_k9_pictures_count_against_the_limits_of_attachments() -> None:
    """Size and number of the pictures in the body are limited like those of other attachments."""
    large = f'<img src="{data(PNG + bytes(1_000))}">'

    with pytest.raises(MessageTooLarge):
        build(MailRules(max_inline_attachment_bytes=1_000), body=large)
    with pytest.raises(InvalidArgument, match="251 attachments"):
        build(body=large, attachments=[file(f"{number}.png") for number in range(250)])
    with pytest.raises(BodyTooComplex, match="100 pictures"):
        build(body="".join(f'<img src="{data(PNG + bytes([n]))}">' for n in range(101)))


def test_k9_picture_of_markdown_and_of_a_reply_is_attached() -> None:
    """A picture inside the text is attached in Markdown and in a reply too."""
    assert len(build(body=f"![a]({data(PNG)})", content_type="Markdown").attachments) == 1
    reply = compose_reply(ReplyRequest(kind="reply", original="m1", body=f'<img src="{data(PNG)}">'), MailRules())
    assert reply.attachments[0].content_id in reply.body.content_ids


@pytest.mark.parametrize(
    ("source", "attachment", "content_id"),
    [
        ("cid:logo@1", file(content_id="logo@1"), "logo@1"),
        ("CID:LOGO@1", file(content_id="logo@1"), "logo@1"),
        ("cid:&lt;logo@1&gt;", file(content_id="<logo@1>"), "logo@1"),
        ("cid:%3Clogo%401%3E", file(content_id="logo@1"), "logo@1"),
        ("cid:logo.png", file("logo.png"), "logo.png"),
        ("cid:LOGO.PNG", file("logo.png"), "logo.png"),
        ("cid:logo.png", file("logo.png", content_id="other"), "other"),
    ],
)
def test_k9_image_finds_its_attachment(source: str, attachment: dict[str, Any], content_id: str) -> None:
    """Content ids are compared without case and encoding; the file name is the next best."""
    message = build(body=f'<p>a</p><img alt="x" src="{source}" width="5">', attachments=[attachment])

    assert files_of(message) == [(attachment["name"], content_id)]
    assert f'<img alt="x" src="cid:{content_id}" width="5">' in message.body
    assert message.warnings == ()


def test_k9_name_that_is_no_content_id_gets_one() -> None:
    """A file name with blanks is matched, encoded or not, and the attachment gets an id that needs no encoding."""
    message = build(body='<img src="cid:my%20logo.png"><img src="cid:my logo.png">', attachments=[file("my logo.png")])

    ((_, content_id),) = files_of(message)
    assert content_id
    assert " " not in content_id
    assert message.body == f'<img src="cid:{content_id}">' * 2


def test_k9_content_ids_that_differ_in_case_only_stay_apart() -> None:
    """An exact content id goes before one in another case."""
    message = build(
        body='<img src="cid:A"><img src="cid:a">',
        attachments=[file("1.png", content_id="a"), file("2.png", content_id="A")],
    )

    assert message.body == '<img src="cid:A"><img src="cid:a">'


def test_k9_file_is_inline_only_if_the_body_shows_it() -> None:
    """A file that the body does not show is an ordinary file, as mail programs hide inline ones; the report says so."""
    said = ("1 attachment has a content_id that no picture in the body uses, so it is attached as a file.",)

    bodies: list[dict[str, Any]] = [{"body": "<p>a</p>"}, {"body": "a", "content_type": "Text"}]
    for changes in (*bodies, {"body": "<p>cid:logo</p>"}):
        message = build(attachments=[file(content_id="logo", is_inline=True)], **changes)
        assert "isInline" not in message.attachments[0].as_graph()
        assert message.warnings == said


def test_k9_image_without_an_attachment_is_refused() -> None:
    """The error names the picture by its number and repeats nothing; as_written sends the mail with a note."""
    body = '<p>a</p><img src="cid:a.png"><img src="cid:secret-name">'

    with refused(InvalidArgument, match="'body' shows picture 2 by a cid: address") as caught:
        build(body=body, attachments=[file("a.png")])
    assert "secret" not in str(caught.value)
    with refused(InvalidArgument, match="'body' shows pictures 1, 2 by"):
        build(body=body)
    assert build(body='<img src="cid:a">a', as_written=True).warnings == (
        "The reader does not see picture 1 of the body, which has no attachment.",
    )
    unused = [file(name) | {"content_id": name} for name in ("a.png", "b.png")]
    assert build(body="a", attachments=unused).warnings == (
        "2 attachments have a content_id that no picture in the body uses, so they are attached as a file.",
    )
    assert build(body=body, as_written=True).warnings == (
        "The reader does not see pictures 1, 2 of the body, which have no attachment.",
    )


def test_k12_image_of_a_reply_may_be_one_of_the_original() -> None:
    """A reply can show a picture that only the quoted message has, so nothing is refused or said here."""
    reply = compose_reply(ReplyRequest(kind="reply", original="m1", body='<img src="cid:theirs">'), MailRules())

    assert reply.notes == ()
    assert reply.body.content == '<img src="cid:theirs">'
    own = ReplyRequest(kind="reply", original="m1", body='<img src="cid:LOGO">', attachments=[file(content_id="logo")])
    assert compose_reply(own, MailRules()).check_images(frozenset()) == ()


def test_k9_mail_whose_whole_content_was_removed_is_refused() -> None:
    """Nothing is sent empty because everything in it was removed."""
    for body in (
        '<img src="https://a.example/a">',
        "<script>x</script>",
        "<style>p{color:red}</style>",
        "<p>&nbsp;</p>",
    ):
        with pytest.raises(EmptyBody):
            build(body=body)
    assert build(body="<p>&nbsp;</p>", as_written=True).body == "<p>&nbsp;</p>"
    assert build(body="<p></p>", attachments=[file()]).body == "<p></p>"


def test_fingerprint_does_not_change_with_the_content_ids() -> None:
    """The fingerprint covers the request as written, so a later version may match pictures differently."""
    inside = f'<img src="{data(PNG)}">'

    assert build(body=inside).fingerprint == build(body=inside).fingerprint
    assert build(body="<p>a</p>", attachments=[file(content_id="x")]).fingerprint != (
        build(body="<p>a</p>", attachments=[file()]).fingerprint
    )
