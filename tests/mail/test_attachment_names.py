"""Names and media types of attachments: which are refused, which go with a warning, and what Graph gets."""

import base64

import pytest

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail import DEFAULT_BLOCKED, Attachment, MailRules, Message, check_attachment_name, check_attachment_start
from m365_mcp.mail.attachment_notes import notes_on_names
from m365_mcp.mail.report import Weight
from m365_mcp.mail.rules import DISTRUSTED
from tests.mail.composing import build, refused

RULES = MailRules()
INVITATION = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n"
    b'ORGANIZER;CN="Boss, The":mailto:boss@contoso.exa\r\n mple\r\n'
    b"ATTENDEE:mailto:grace@contoso.example\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
MAIL = (
    b"From: The Boss <boss@contoso.example>\r\nReply-To: eve@evil.example\r\nSubject: Hi\r\n\r\nFrom: x@y.example\r\n"
)


def send(name: str, content: bytes = b"", sign_in_name: str = "", **more: str) -> Message:
    file = {"name": name, "content_base64": base64.b64encode(content).decode(), **more}
    return build(sign_in_name=sign_in_name, attachments=[file])


def attached(name: str, content: bytes = b"", **more: str) -> Attachment:
    return send(name, content, **more).attachments[0]


@pytest.mark.parametrize(
    "name",
    [
        "گزارش‌ها.pdf",
        "می‌خواهم ۲۰۲۶.docx",
        "👩‍💻 plan.pdf",
        "🏳️‍🌈 ❤️‍🔥.png",
        "🏴󠁧󠁢󠁳󠁣󠁴󠁿 trip.pdf",
        "र‍्य.pdf",
        "അവന്‍.pdf",
        "ශ්‍රී ලංකා.pdf",
        "報告.docx",
        "тест.txt",
        "قائمة ۝ ٢.pdf",
        "Plan 3.mar.2026.pdf",
        "Q1.mad.final.pdf",
        "v1.ins.2.txt",
        "contoso.com.pdf",
        "Node.js.pdf",
        "a.exe.pdf",
        "archive.tar.gz",
        "Re: Plan.docx",
        "C# & F#.txt",
    ],
)
def test_k11_name_of_people_stays(name: str) -> None:
    """Joiners between letters or emoji, and dots in the middle, are parts of a name; the last extension decides."""
    assert check_attachment_name(name, RULES) == name


@pytest.mark.parametrize(
    "written", ["report.pdf ", " report.pdf", "report.pdf\u00a0", "\ufeffreport.pdf", "report.pdf\n"]
)
def test_k11_blanks_around_a_name_are_dropped(written: str) -> None:
    """The name keeps its type, which a blank at its end would hide."""
    assert (attached(written).name, attached(written).content_type) == ("report.pdf", "application/pdf")


@pytest.mark.parametrize(
    ("name", "met"),
    [
        ("report\u200b.pdf", "an invisible character (U+200B) in its name"),
        ("report\u200c.pdf", "an invisible character (U+200C) in its name"),
        ("re\u200dport.pdf", "an invisible character (U+200D) in its name"),
        ("\u200f.pdf", "has no"),
        ("a\u200fb.pdf", "an invisible character (U+200F) in its name"),
        ("a\u3164b.pdf", "an invisible character (U+3164) in its name"),
        ("a\U000e0062b.pdf", "an invisible character (U+E0062) in its name"),
        ("fdp\u202eexe.txt", "a control character (U+202E) in its name"),
        ("a\u2066b.pdf", "a control character (U+2066) in its name"),
        ("a\nb.pdf", "a line break in its name"),
    ],
)
def test_k11_refusal_of_a_name_says_which_character_it_met(name: str, met: str) -> None:
    """Controls of the reading direction and characters without a shape are named by their number."""
    if met == "has no":
        assert check_attachment_name(name, RULES) == ".pdf"
        return
    with refused(InvalidArgument) as caught:
        check_attachment_name(name, RULES)
    assert met in caught.value.sentence


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("report.pdf.exe", "exe"),
        ("a.EXE", "exe"),
        ("a.exe. . ", "exe"),
        ("a.exe:b.txt", "exe"),
        ("b.txt:a.exe", "exe"),
        ("a．exe", "exe"),
        ("a.ｅｘｅ", "exe"),
        ("query.iqy", "iqy"),
        ("a.slk", "slk"),
        ("a.rdp", "rdp"),
        ("a.appinstaller", "appinstaller"),
        ("a.msix", "msix"),
        ("a.library-ms", "library-ms"),
        ("a.search-ms", "search-ms"),
        ("a.lnk", "lnk"),
    ],
)
def test_h17_blocked_extension_is_named(name: str, extension: str) -> None:
    """What Outlook blocks, and what fetches or installs, is refused, and the error says which extension."""
    with refused(InvalidArgument) as caught:
        check_attachment_name(name, RULES)

    assert caught.value.sentence.endswith(f"of a type that this server does not attach (.{extension}).")


@pytest.mark.parametrize("extension", ["html", "htm", "svg", "docm", "xlsm", "pptm", "one", "7z"])
def test_h17_distrusted_type_goes_with_a_warning(extension: str) -> None:
    """Such a file is sent, inside the call and by link, and the person is told what may happen to it."""
    said = f"Mail systems may block a .{extension} file, and recipients may distrust it"

    assert send(f"a.{extension}").warnings[-1] == f"{said}: 'attachments' entry 1."
    assert [note.sentence for note in notes_on_names(["a.txt", f"a.{extension}"])] == [f"{said}: 'files' entry 2."]


def test_h17_no_type_is_both_blocked_and_distrusted() -> None:
    """A type is refused or goes with a warning."""
    assert not DEFAULT_BLOCKED & DISTRUSTED


def test_h17_operators_list_takes_the_place_of_the_built_in_one() -> None:
    """With a list of the operator, the built-in list counts no more, also for the caller's media type."""
    rules = MailRules(blocked_extensions=frozenset({"zip"}))
    file = {"name": "a.iqy", "content_base64": "", "content_type": "text/javascript"}

    assert build(rules, attachments=[file]).attachments
    with refused(InvalidArgument, match=r"\(\.zip\)"):
        build(rules, attachments=[file | {"name": "a.zip"}])
    with refused(InvalidArgument, match=r"content_type of a file .* \(\.zip\)"):
        build(rules, attachments=[file | {"content_type": "application/zip"}])


@pytest.mark.parametrize(
    "content_type",
    [
        "application/hta",
        "Application/HTA; a=b",
        "application/x-msdownload",
        "text/javascript",
        "text/vbscript",
        "application/java-archive",
        "application/x-ms-shortcut",
        "multipart/mixed; boundary=x",
        "message/partial",
        "message/external-body",
    ],
)
def test_h17_dangerous_media_type_is_refused(content_type: str) -> None:
    """The caller's media type makes no program of a text."""
    with refused(InvalidArgument, match=r"'attachments' entry 1 has .* content_type"):
        send("x.txt", b"hello", content_type=content_type)


def test_h17_page_under_another_name_goes_with_a_warning() -> None:
    """A text that the media type makes a page is distrusted as a page is."""
    assert "a .html file" in send("x.txt", b"hello", content_type="text/html").warnings[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_h17_script_is_found_in_every_encoding(encoding: str) -> None:
    """The mark #! at the beginning is found with and without a byte order mark."""
    with refused(InvalidArgument, match="is a program"):
        check_attachment_start("#!/bin/sh\n".encode(encoding), RULES)
    check_attachment_start("# a heading\n".encode(encoding), RULES)


@pytest.mark.parametrize(
    "start",
    [
        b"MZ\x90\x00",
        b"\x7fELF",
        b"L\0\0\0\x01\x14\x02\0\0\0",
        b"dex\n035",
        b"ITSF\x03\0\0\0",
        *(bytes.fromhex(magic) for magic in ["feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe", "bebafeca"]),
    ],
)
def test_h17_program_is_found_under_any_name(start: bytes) -> None:
    """Programs, shortcuts and compiled help files are refused by their first bytes."""
    with refused(InvalidArgument, match="is a program"):
        attached("notes.dat", start)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.heic", "image/heic"),
        ("a.xltx", "application/vnd.openxmlformats-officedocument.spreadsheetml.template"),
        ("a.mp4", "video/mp4"),
        ("a.mov", "video/quicktime"),
        ("a.tiff", "image/tiff"),
        ("a.odt", "application/vnd.oasis.opendocument.text"),
        ("a.ods", "application/vnd.oasis.opendocument.spreadsheet"),
        ("a.odp", "application/vnd.oasis.opendocument.presentation"),
        ("a.rtf", "application/rtf"),
        ("a.vcf", "text/vcard"),
        ("a.mp3", "audio/mpeg"),
        ("a.wav", "audio/wav"),
        ("a.7z", "application/x-7z-compressed"),
        ("a.gz", "application/gzip"),
        ("a.tar", "application/x-tar"),
        ("a.tar.gz", "application/gzip"),
        ("a.xlsm", "application/vnd.ms-excel.sheet.macroenabled.12"),
        ("a.docm", "application/vnd.ms-word.document.macroenabled.12"),
        ("a.msg", "application/vnd.ms-outlook"),
        ("a.eml", "message/rfc822"),
        ("a.epub", "application/epub+zip"),
        ("a.avif", "image/avif"),
        ("a.bmp", "image/bmp"),
        ("a.webm", "video/webm"),
        ("a.htm", "text/html"),
        ("A.JPEG", "image/jpeg"),
        ("a.pdf.", "application/pdf"),
        ("a.unknown", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
    ],
)
def test_k11_media_type_follows_from_the_last_extension(name: str, content_type: str) -> None:
    """The types that people attach are known, in upper and lower case."""
    assert attached(name).content_type == content_type


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("text/calendar; method=REQUEST; charset=UTF-8", "text/calendar; method=REQUEST; charset=UTF-8"),
        ("Text/Plain;CHARSET=utf-8", "text/plain; charset=utf-8"),
        ('text/plain ; charset = "utf-8"', None),
        ('text/plain; name="a; b.txt"', 'text/plain; name="a; b.txt"'),
        ("text/plain;", "text/plain"),
        ("text/plain; a", None),
        ("text/plain ;a=b", "text/plain; a=b"),
        ("téxt/plain", None),
        ("TEXT/Plain; A=B", "text/plain; a=B"),
        (" text/plain ", "text/plain"),
        ("", "application/octet-stream"),
        ('text/plain; a="b\r\nX: y"', None),
        ("text/plain; a=é", None),
    ],
)
def test_k11_media_type_may_have_parameters(written: str, sent: str | None) -> None:
    """Parameters stay (RFC 2045); what is no media type is refused."""
    if sent is None:
        with refused(InvalidArgument, match="content_type that cannot be read"):
            attached("a", content_type=written)
    else:
        assert attached("a", content_type=written).content_type == sent


@pytest.mark.parametrize("content_type", ["", "text/calendar", "text/calendar; charset=UTF-8"])
def test_k11_invitation_carries_its_method(content_type: str) -> None:
    """The method inside the file stands in the media type, by which mail programs show an invitation."""
    sent = attached("invite.ics", INVITATION, content_type=content_type).content_type

    assert sent == "text/calendar; method=REQUEST; charset=UTF-8"


@pytest.mark.parametrize(
    "content",
    [
        INVITATION.replace(b"METHOD:REQUEST\r\n", b""),
        INVITATION.replace(b"REQUEST", b"X"),
        INVITATION.replace(b"METHOD", b"X:" + b"a" * 4096 + b"\r\nMETHOD"),
        INVITATION.replace(b"METHOD:REQUEST\r\n", b"").replace(b"END:VEVENT", b"METHOD:REQUEST\r\nBEGIN:VEVENT"),
    ],
)
def test_k11_calendar_without_a_method_is_no_invitation(content: bytes) -> None:
    """No method is made up."""
    assert attached("invite.ics", content).content_type == "text/calendar"


def test_h17_invitation_of_another_person_is_said() -> None:
    """The organizer is named when it is not the sender; the sender's own invitation gives no warning."""
    said = (
        "The organizer in a calendar file is boss@contoso.example; check that this is meant: 'attachments' entry 1.",
    )

    assert send("a.ics", INVITATION).warnings == said
    assert send("a.ics", INVITATION, sign_in_name="ada@contoso.example").warnings == said
    assert send("a.ics", INVITATION, sign_in_name="Boss@Contoso.Example").warnings == ()
    assert send("a", INVITATION, content_type="text/calendar").warnings == said


def test_h17_answer_to_an_invitation_names_its_attendee() -> None:
    """The organizer of an answer is always another person; the attendee is the one who appears to answer."""
    answer = INVITATION.replace(b"METHOD:REQUEST", b"METHOD:REPLY")

    assert send("a.ics", answer, sign_in_name="grace@contoso.example").warnings == ()
    (warning,) = send("a.ics", answer, sign_in_name="boss@contoso.example").warnings
    assert "The attendee who answers in a calendar file is grace@contoso.example" in warning


@pytest.mark.parametrize("method", ["reply", "REFRESH", "Counter"])
@pytest.mark.parametrize("end", ["", '; charset=UTF-8; x="method=request"'])
def test_h17_answer_is_known_by_the_method_of_its_type(method: str, end: str) -> None:
    """An attendee sends these, and the organizer all others."""
    (warning,) = send("a.ics", INVITATION, content_type=f"text/calendar; method={method}{end}").warnings

    assert warning.startswith("The attendee who answers in a calendar file is grace@contoso.example")


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b"\n ", b"\n\t"])
def test_h17_people_of_a_calendar_are_read_across_folded_lines(fold: bytes) -> None:
    """Up to three organizers are named, and one that no mail program can show is passed over."""
    people = b"".join(b"ORGANIZER:mailto:%s@contoso.exa%smple\r\n" % (name, fold) for name in (b"a@", b"b", b"c", b"d"))
    content = b"BEGIN:VCALENDAR\r\n" + people + people + b"organizer;x=1:MAILTO:b@contoso.example\r\n"

    assert [warning.partition(";")[0].rpartition(" ")[2] for warning in send("a.ics", content).warnings] == [
        "b@contoso.example",
        "c@contoso.example",
    ]


def test_h17_faults_of_several_files_are_said_together() -> None:
    """The note has the weight of what misleads, and names up to five files."""
    (note,) = notes_on_names(["a.one"] * 6)

    assert (note.weight, note.sentence.partition(": ")[2]) == (
        Weight.MISLEADING,
        "'files' entry 1, 'files' entry 2, 'files' entry 3, 'files' entry 4, 'files' entry 5 and 1 more.",
    )


def test_h17_mail_of_another_person_is_said() -> None:
    """Who an attached mail is from, and where answers to it go, is named when it is not the sender."""
    first, second = send("a.eml", MAIL, sign_in_name="ada@contoso.example").warnings

    assert "The sender of an attached mail is boss@contoso.example" in first
    assert "The address for answers to an attached mail is eve@evil.example" in second
    assert len(send("a.eml", MAIL, sign_in_name="boss@contoso.example").warnings) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"From: \xff\xfe <>\r\n\r\n",
        b"From: " + b"<a@b.example>, " * 9000,
        b"\0" * 100,
        b"ORGANIZER:mailto:" + b"a" * 9000,
    ],
)
@pytest.mark.parametrize("name", ["a.eml", "a.ics"])
def test_h17_odd_mail_and_calendar_raise_nothing(name: str, content: bytes) -> None:
    """What no mail program can read names nobody, and long lists are cut."""
    assert len(send(name, content).warnings) <= 4


def test_h17_endless_headers_of_a_mail_are_not_read() -> None:
    """The first 64,000 bytes of a mail are, and 2,000 characters of a header."""
    assert send("a.eml", b"X: " + b"a" * 63_900 + b"\r\n" + MAIL[:60] + b"\r\n").warnings
    assert send("a.eml", b"X: " + b"a" * 64_000 + b"\r\n" + MAIL).warnings == ()
    assert send("a.eml", b'From: "' + b"a" * 2_000 + b'" <boss@contoso.example>\r\n\r\n').warnings == ()
