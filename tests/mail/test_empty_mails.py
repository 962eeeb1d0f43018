"""A mail that shows nothing, and a subject that looks like another format."""

from __future__ import annotations

import pytest

from m365_mcp.errors import EmptyBody, EmptySubject, InvalidArgument
from m365_mcp.mail import MailRules, ReplyRequest, compose_reply
from tests.mail.composing import build, refused

FILE = {"name": "a.txt", "content_base64": "aGk="}
NOTHING = [
    *(
        ("HTML", body)
        for body in ("", " \n", "<p></p>", "&nbsp;", "<p>&#8203;</p>\n<br>", "<!-- Hi -->", "\u00a0\u200b")
    ),
    *(("HTML", body) for body in ("<script>Hi</script>", "<style>p{}</style>", "<img src='https://a.example/b.png'>")),
    ("Text", " \u200b\n"),
    ("Markdown", "&nbsp;"),
]


@pytest.mark.parametrize(("content_type", "body"), NOTHING)
def test_mail_that_shows_nothing_is_refused(content_type: str, body: str) -> None:
    """Also where all of it was removed; a file, or as_written, lets it pass."""
    with pytest.raises(EmptyBody):
        build(body=body, content_type=content_type)

    assert build(body=body, content_type=content_type, attachments=[FILE]).attachments
    assert build(body=body, content_type=content_type, expects_files=True)
    assert build(body=body, content_type=content_type, as_written=True)


@pytest.mark.parametrize(
    "body", ["<img src='cid:a'>", "<hr>", "&lt;", "<img src='https://a.example/b.png' alt='Chart'>"]
)
def test_mail_that_shows_something_is_not_empty(body: str) -> None:
    """A picture, a line, a character, or the text of a picture."""
    file = {"name": "a.png", "content_base64": "iVBORw0KGgo=", "content_id": "a"}

    assert build(body=body, attachments=[file] if "cid:" in body else []).body


@pytest.mark.parametrize("kind", ["reply", "reply_all"])
def test_k12_reply_that_shows_nothing_is_refused(kind: str) -> None:
    """A reply needs words or a file; a forward does not."""

    def reply(**changes: object) -> object:
        arguments = {"kind": kind, "original": "m1", "body": "<p></p>", **changes}
        return compose_reply(ReplyRequest(**arguments), MailRules())  # type: ignore[arg-type]

    with pytest.raises(EmptyBody):
        reply()

    assert reply(attachments=[FILE])
    assert reply(as_written=True)
    assert reply(kind="forward", to=["grace@contoso.example"])


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("a &amp; b", "HTML entities"),
        ("=?utf-8?B?R3LDvMOfZQ==?=", "encoded words"),
        ("=?utf-8?b?R3LDvMOfZQ==?=", "encoded words"),
        ("=?utf-8?Q?a=20b?=", "encoded words"),
        ("=?utf-8?q?a=20b?=", "encoded words"),
        ("[a](https://a.example)", "Markdown marks"),
        ("## a", "Markdown marks"),
        ("**bold** news", "Markdown marks"),
        ("<b>News</b>", "HTML tags"),
        ("Gr\\u00fc\\u00dfe", "backslash escapes"),
        ("Gr\\u00FC", "backslash escapes"),
        ("Hi\\nAda", "backslash escapes"),
        ("<i>**a**</i> &lt;", "HTML tags, HTML entities and Markdown marks"),
    ],
)
def test_k1_subject_in_another_format_is_said(subject: str, said: str) -> None:
    """It is sent as written, and the warning names what its readers see as characters; not with as_written."""
    message = build(subject=subject)

    assert message.subject == subject
    assert message.warnings == (f"The subject is plain text; readers see its {said} as characters.",)
    assert build(subject=subject, as_written=True).warnings == ()


@pytest.mark.parametrize(
    "subject", ["Q&A: 5 * 3 < 20?", "[x] #3 _done_", "C:\\new", "=? and ?=", "Re: <ada@contoso.example>"]
)
def test_k1_ordinary_subject_is_sent_without_a_word(subject: str) -> None:
    """Single characters of other formats prove nothing."""
    assert build(subject=subject).warnings == ()


@pytest.mark.parametrize("subject", ["", " ", "\u200b"])
def test_subject_that_shows_nothing_is_refused(subject: str) -> None:
    """Invisible characters are no subject."""
    with pytest.raises(EmptySubject):
        build(subject=subject)

    assert build(subject=subject, as_written=True).subject == subject


def test_k1_markdown_that_is_too_much_work_is_sent_as_text() -> None:
    """Nobody said that it is Markdown, so it is not refused; a body that was said to be Markdown is."""
    body = "# a\n\n" + "> " * 31 + "b"

    message = build(body=body)

    assert message.warnings == (
        "The body has Markdown marks but is too much work as Markdown, so it was sent as text with its marks.",
    )
    assert f"<p># a</p>\n<p>{'&gt; ' * 31}b</p>" in message.body
    with refused(InvalidArgument, match="nested too deeply"):
        build(body=body, content_type="Markdown")


def test_text_in_angle_brackets_is_text() -> None:
    """A plain text is no markup, so a comment in it is something to read."""
    assert build(body="<!-- a -->", content_type="Text", as_written=False).body == "<!-- a -->"
