"""Attachments inside a call: names, types, sizes, and what Graph gets."""

import base64
import hashlib
from typing import Any

import pytest

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail import Attachment, InlineAttachment, MailRules, check_attachment_name
from m365_mcp.mail.base64_content import decode_base64
from tests.mail.composing import build, refused

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def attach(name: str = "a.txt", content: bytes = b"hello", rules: MailRules | None = None, **more: Any) -> Attachment:
    file = {"name": name, "content_base64": base64.b64encode(content).decode(), **more}
    return build(rules, attachments=[file]).attachments[0]


def test_attachment_has_size_and_hash() -> None:
    """The caller can compare size and hash with the file."""
    attached = attach(content=b"hello")

    assert attached.size == 5
    assert attached.sha256 == hashlib.sha256(b"hello").hexdigest()


def test_attachment_may_be_a_mapping_or_a_value() -> None:
    """A mapping and an InlineAttachment mean the same."""
    assert build(attachments=[InlineAttachment("a.txt", "aGVsbG8=")]).attachments == (attach(),)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.pdf", "application/pdf"), ("a.PNG", "image/png"), ("a", "application/octet-stream")],
)
def test_content_type_follows_from_the_name(name: str, content_type: str) -> None:
    """Without a content_type the extension decides."""
    assert attach(name).content_type == content_type


def test_image_in_the_text_is_inline() -> None:
    """A content_id makes an attachment part of the text, for cid: addresses."""
    image = {"name": "logo.png", "content_base64": PNG, "content_id": "logo@1"}
    message = build(body='<img src="cid:logo@1">', attachments=[image])

    assert message.as_graph()["message"]["attachments"] == [
        {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": "logo.png",
            "contentType": "image/png",
            "contentBytes": PNG,
            "isInline": True,
            "contentId": "logo@1",
        }
    ]
    assert message.warnings == ()


@pytest.mark.parametrize("content_id", [None, "", "a b", "a\r\nb", "ä", "a" * 256])
def test_inline_attachment_needs_a_content_id(content_id: str | None) -> None:
    """No mail program would show an inline attachment without a valid content_id."""
    with refused(InvalidArgument, match="content_id"):
        attach(is_inline=True, content_id=content_id)


def test_content_ids_are_different() -> None:
    """One cid: address cannot name two attachments."""
    file = {"name": "a.png", "content_base64": "aGk=", "content_id": "a"}
    with refused(InvalidArgument, match="same content_id"):
        build(attachments=[file, file])


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\secrets.txt",
        "C:\\a.txt",
        "file:///etc/passwd",
        "a／b.txt",
        "a＼b.txt",
        "",
        "  ",
        ".",
        "..",
        "a\r\nb.txt",
        "a\x00.txt",
        "a\x1f.txt",
        "a\ud800.txt",
        "\u202efdp.txt",
        "report\u200b.pdf",
        "report\u2066.pdf",
        "report\ufeff.pdf",
        "\u3164",
        "a" * 252 + ".txt",
        "é" * 126 + ".txt",
    ],
)
def test_g17_name_that_is_a_path_or_hides_something_is_refused(name: str) -> None:
    """A path, a control or invisible character, or a long name is refused; the error does not repeat it."""
    with refused(InvalidArgument, match="'attachments' entry 1") as caught:
        attach(name)

    assert len(name.strip()) < 3 or name not in caught.value.explain()


@pytest.mark.parametrize(
    "name", ["report.pdf", "Q3 – Übersicht (final).xlsx", "報告.docx", ".gitignore", "a" * 251 + ".txt"]
)
def test_g17_ordinary_name_stays(name: str) -> None:
    """Names in any script, with spaces and punctuation, are sent as they are."""
    assert attach(name).name == name
    assert check_attachment_name(name, MailRules()) == name


@pytest.mark.parametrize(
    "more",
    [
        {"path": "/var/run/secrets"},
        {"url": "http://169.254.169.254/"},
        {"source": "file:///etc/passwd"},
        {"sourceUrl": "https://contoso.example/a"},
        {"@odata.type": "#microsoft.graph.referenceAttachment"},
    ],
)
def test_g18_no_field_makes_the_server_read_or_fetch(more: dict[str, Any]) -> None:
    """A field that does not exist is refused, and its content is not repeated."""
    with refused(InvalidArgument, match="'attachments' entry 1 has a field that does not exist") as caught:
        attach(**more)

    assert "not read from a path or an address" in caught.value.advice
    assert not any(text in caught.value.explain() for text in more.values())


@pytest.mark.parametrize("file", [{}, {"name": "a.txt"}, {"content_base64": "aGk="}, {"url": "https://a.example"}])
def test_g18_content_must_be_base64(file: dict[str, str]) -> None:
    """Base64 is the only form of a file inside a call."""
    with refused(InvalidArgument, match="'attachments' entry 1"):
        build(attachments=[file])


def test_field_of_the_wrong_type_is_refused() -> None:
    """Fields have the types of InlineAttachment."""
    with refused(InvalidArgument, match="wrong type"):
        build(attachments=[{"name": "a.txt", "content_base64": "", "is_inline": "yes"}])


@pytest.mark.parametrize(
    "name",
    [
        "a.exe",
        "a.EXE",
        "a.pdf.exe",
        "a.exe.",
        "a.exe ",
        "a.exe . ",
        "a.exe:b.txt",
        "a．exe",
        "a.lnk",
        "a.js",
    ],
)
def test_g19_blocked_type_is_refused_wherever_its_extension_stands(name: str) -> None:
    """Double extensions, dots and spaces at the end, streams and full-width dots do not hide it."""
    with refused(InvalidArgument, match="type that this server does not attach"):
        attach(name)


@pytest.mark.parametrize(
    "content", [b"MZ\x90\x00", b"\x7fELF\x02", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!/bin/sh\n"]
)
def test_g19_program_is_refused_whatever_its_name_says(content: bytes) -> None:
    """The first bytes identify a program."""
    with refused(InvalidArgument, match="is a program"):
        attach("report.pdf", content)


def test_g19_operator_chooses_what_is_blocked() -> None:
    """The list is a setting; an empty one lets programs pass as well."""
    with refused(InvalidArgument):
        attach("a.zip", rules=MailRules(blocked_extensions=frozenset({"zip"})))

    assert attach("a.exe", b"MZ", MailRules(blocked_extensions=frozenset())).name == "a.exe"


def test_g19_empty_file_gives_a_warning() -> None:
    """An empty file is allowed, with a warning."""
    message = build(attachments=[{"name": "a.txt", "content_base64": ""}])

    assert message.attachments[0].size == 0
    assert message.warnings == ("1 attachment is empty (0 bytes).",)
    two = [{"name": name, "content_base64": ""} for name in ("a.txt", "b.txt")]
    assert build(attachments=two).warnings == ("2 attachments are empty (0 bytes).",)


def test_g19_attachments_are_limited_together() -> None:
    """A call may hold 3,000,000 bytes, and not one more; the advice says how to send larger files."""
    room = MailRules(max_inline_attachment_bytes=10)
    six, four, five = ({"name": "a.txt", "content_base64": base64.b64encode(b"x" * n).decode()} for n in (6, 4, 5))

    assert build(room, attachments=[six, four]).attachments
    with pytest.raises(MessageTooLarge) as caught:
        build(room, attachments=[six, five])
    assert "upload link" in caught.value.advice
    with pytest.raises(MessageTooLarge):
        attach(content=b"x" * 3_000_001)
    with pytest.raises(MessageTooLarge, match="are 6 bytes together"):  # and nothing is decoded
        build(MailRules(max_inline_attachment_bytes=5), attachments=[{"name": "a", "content_base64": "!" * 16}])


def test_g19_archive_is_not_opened() -> None:
    """The server does not open a ZIP file; its own size counts."""
    assert attach("a.zip", b"PK\x03\x04" + b"\x00" * 100).size == 104


@pytest.mark.parametrize(
    "content", ["aG k=", "aGk==", "aGk===", "é", "aGk=aGk=", "a-_=", "a+-_", "aGl=", "aGVsb", "data:text/plain,aGk="]
)
def test_content_that_is_not_base64_is_refused(content: str) -> None:
    """Invalid base64 is refused and never guessed, also in a data: address."""
    for text in (content, f"data:text/plain;base64,{content}"):
        with refused(InvalidArgument, match="'attachments' entry 1 has .*not base64"):
            build(attachments=[{"name": "a.txt", "content_base64": text}])


@pytest.mark.parametrize(
    "content_type", ["png", "image/", "image/png\r\nX: y", "a/b/c", "a/b; c", "a/b; c=d e", "a/b" + "; c=d" * 200]
)
def test_content_type_that_cannot_be_read_is_refused(content_type: str) -> None:
    """A media type must be type/subtype (RFC 6838)."""
    with refused(InvalidArgument, match="content_type"):
        attach(content_type=content_type)


def test_content_is_in_no_description_of_a_file() -> None:
    """What describes a file for a log or an error has its name and not its content."""
    given = InlineAttachment("a.txt", "c2VjcmV0")
    read = build(attachments=[given]).attachments[0]

    assert "c2VjcmV0" not in repr(given)
    assert "secret" not in repr(read)
    assert "secret" not in repr(decode_base64("", "c2VjcmV0"))
