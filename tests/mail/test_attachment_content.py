"""The content of files inside a call: every spelling of base64, what was never base64, and what a name promises."""

import base64
import gzip
import io
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail import Message
from m365_mcp.mail.base64_content import decode_base64
from m365_mcp.mail.file_signatures import can_be
from tests.mail.composing import build, refused

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(24)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def send(name: str, text: str, **more: str) -> Message:
    return build(attachments=[{"name": name, "content_base64": text, **more}])


def refusal(name: str, text: str) -> str:
    with refused(InvalidArgument) as caught:
        send(name, text)
    assert text not in caught.value.explain() or len(text) < 5
    return caught.value.sentence


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("[Content_Types].xml"), "<Types/>")  # always of 1980, so that test names stay
    return buffer.getvalue()


def lines(text: str, end: str) -> str:
    return end.join(text[place : place + 76] for place in range(0, len(text), 76)) + end


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "LF": lambda text: lines(text, "\n"),
    "CRLF": lambda text: lines(text, "\r\n"),
    "CR": lambda text: lines(text, "\r"),
    "backslash-n": lambda text: lines(text, "\\n"),
    "backslash-r-n": lambda text: lines(text, "\\r\\n"),
    "indented lines": lambda text: "\n    " + lines(text, "\n    "),
    "alphabet for URLs": lambda text: text.replace("+", "-").replace("/", "_"),
    "no padding": lambda text: text.rstrip("="),
    "half of the padding": lambda text: text[:-1] if text.endswith("==") else text,
    "blanks at the ends": lambda text: f" \ufeff{text}\u200b\t\n",
    "data address": lambda text: f"data:application/pdf;base64,{text}",
    "data address, escaped": lambda text: "DATA:;BASE64," + text.replace("=", "%3D").replace("+", "%2B"),
    "data address, escaped in lower case": lambda text: (
        "data:;base64," + text.replace("=", "%3d").replace("+", "%2b").replace("/", "%2f")
    ),
    "data address, slashes escaped": lambda text: "data:a/b;base64," + text.replace("/", "%2F"),
    "data address, all of it": lambda text: "\ndata:a/b;c=d;base64," + lines(text.rstrip("="), "\r\n"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 200])
def test_k11_every_unambiguous_spelling_of_base64_is_read(spelling: str, size: int) -> None:
    """Line breaks, the alphabet for URLs, missing padding, a data: prefix and blanks change nothing."""
    content = PDF + bytes(range(250, 256)) * 50 + b"\xff" * size

    assert send("a.pdf", SPELLINGS[spelling](encoded(content))).attachments[0].content == content


@given(content=st.binary(max_size=300), spelling=st.sampled_from(sorted(SPELLINGS)))
def test_k11_whatever_is_encoded_is_decoded(content: bytes, spelling: str) -> None:
    """No content and no spelling is decoded to something else."""
    assert decode_base64("", SPELLINGS[spelling](encoded(content))).content == content


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("aGVsbG8g d29ybGQh", "it has a blank"),
        ("Hello, world", "it has a blank"),
        ('{"a":1}', "it has a character that base64 does not have"),
        ("aGk=aGk=", "it has an end in the middle"),
        ("aGVsbG8gd29yb", "its length is wrong"),
        ("aGk===", "its length is wrong"),
        ("aGl=", "no base64 ends so"),
        ("Xt", "no base64 ends so"),
        ("=mt", "it has an end in the middle"),
        ("_+_", "it has a character that base64 does not have"),
        (".tx=t", "it has a character that base64 does not have"),
        ("data:;base64,:", "it has a character that base64 does not have"),
        ("data:text/plain,Hello", "has a data: address whose content is not base64"),
    ],
)
def test_k11_refusal_says_what_is_not_base64(text: str, met: str) -> None:
    """The error names the fault and repeats no content."""
    assert met in refusal("a.txt", text)


@pytest.mark.parametrize(
    ("text", "looks_written", "lacks_padding"),
    [
        ("ap4", False, True),
        ("ag", True, True),
        ("pictURE", False, True),
        ("that", True, False),
        ("that\\n", True, False),
        ("th\nat", False, False),
        ("hello+world/", True, False),
        ("ontent_bse64", True, False),
        ("spellingthat", True, False),
        ("a" * 4, False, False),
        ("abcd" * 50, True, False),
        ("abcd" * 50 + "ag", False, False),
        ("aB1c" * 4, False, False),
        ("data:;base64,that", False, False),
        ("aGk=", False, False),
    ],
)
def test_k11_what_looks_like_words_is_told_from_base64(text: str, looks_written: bool, lacks_padding: bool) -> None:
    """Runs of one kind of letters, and no padding, in one short line."""
    decoded = decode_base64("", text)

    assert (decoded.looks_written, decoded.lacks_padding) == (looks_written, lacks_padding)


@pytest.mark.parametrize(
    "text", ["test", "Test", "TODO", "hi", "hello", "HelloWorld", "report2026", "Reports/2026/May"]
)
@pytest.mark.parametrize("name", ["a.txt", "report.pdf", "a.png", "a.docx", "a.csv", "a.bin", "a"])
def test_k11_text_that_was_never_base64_is_refused(name: str, text: str) -> None:
    """Plain words often decode to something; they are no file of the type that the name says."""
    assert "not base64" in refusal(name, text)


def test_k11_short_text_without_padding_has_to_be_of_its_type() -> None:
    """Of a type that nobody knows, it may be anything."""
    assert "not base64" in refusal("a.png", "Zm9v4A")
    assert send("a.xyz", "/gECgA").attachments[0].content == b"\xfe\x01\x02\x80"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"hello"),
        ("a.txt", b"\xb6"),
        ("a.txt", "Привет, мир".encode("cp1251")),
        ("a.csv", "Größe;Übersicht\r\n".encode("cp1252")),
        ("a.txt", "こんにちは".encode("shift-jis")),
        ("a.txt", "こんにちは\n".encode("iso-2022-jp")),
        ("a.txt", "Hello".encode("utf-16")),
        ("a.txt", "Hello".encode("utf-16-le")),
        ("a.txt", b"\xff\xfe" + "Hello".encode("utf-16-le")),
        ("a.txt", "Hello".encode("utf-32")),
        ("a.json", b'{"a": 1}'),
        ("a.pdf", PDF),
        ("a.pdf", b"\r\n\r\n" + PDF),
        ("a.png", PNG),
        ("a.docx", zipped()),
        ("a.docx", OLE),
        ("a.odt", zipped()),
        ("a.xls", OLE),
        ("a.msg", OLE),
        ("a.doc", rb"{\rtf1 Hello}"),
        ("a.rtf", rb"{\rtf1 Hello}"),
        ("a.zip", b"PK\x05\x06" + bytes(18)),
        ("a.gz", gzip.compress(b"hello", mtime=0)),
        ("a.heic", b"\x00\x00\x00\x18ftypheic"),
        ("a.mov", b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat"),
        ("a.mp3", b"\xff\xfb\x90\x00"),
        ("a.bin", bytes(range(256))),
        ("a.bin", b"\x01" + bytes(60)),
        ("a.bin", b"\x01\0\0\0\x02\0\0\0\0\0\0\x03"),
        ("a.dat", b"\xb5\xeb-\x01"),
        ("a.vcf", b"\xef\xbb\xbfBEGIN:VCARD\r\nEND:VCARD\r\n"),
    ],
)
def test_k11_content_that_a_name_promises_passes_without_a_word(name: str, content: bytes) -> None:
    """Text in every encoding, and the beginnings of real formats, give no warning."""
    message = send(name, lines(encoded(content), "\n"))

    assert message.attachments[0].content == content
    assert message.warnings == ()


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("report.pdf", b"Hello, this is the report.", ".pdf"),
        ("report.PDF", PNG, ".pdf"),
        ("photo.png", b"\xff\xd8\xff\xe0", ".png"),
        ("a.docx", PDF, ".docx"),
        ("a.xlsx", b"a;b\r\n1;2\r\n", ".xlsx"),
        ("a.txt", PNG, ".txt"),
        ("a.csv", zipped(), ".csv"),
        ("a.ics", b"Hello", ".ics"),
        ("a.mp4", b"Hello, this is the film.", ".mp4"),
    ],
)
def test_k11_content_of_another_type_is_said(name: str, content: bytes, shown: str) -> None:
    """A file that is not what its extension says is sent, and the receipt says so."""
    (warning,) = send(name, encoded(content)).warnings

    assert f"not what the extension {shown} says" in warning
    assert "'attachments' entry 1" in warning


def test_k11_content_of_another_content_type_is_said() -> None:
    """The caller's media type is compared with the content as well."""
    (warning,) = send("a.bin", encoded(b"Hello"), content_type="application/pdf").warnings

    assert "not what content_type says (a file like .pdf)" in warning
    twice = encoded(encoded(b"Hello, Grace").encode())
    assert send("a.xyz", twice, content_type="message/rfc822").attachments  # an attached mail may hold base64
    assert send("a.bin", encoded(PDF), content_type="application/pdf").warnings == ()


def test_k11_entries_of_one_kind_share_a_sentence() -> None:
    """Five entries are named and the others counted."""
    files = [{"name": f"{number}.pdf", "content_base64": "aGVsbG8="} for number in range(7)]

    (warning,) = build(attachments=files).warnings

    assert warning.endswith("'attachments' entry 4, 'attachments' entry 5 and 2 more.")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.pdf", PDF), ("a.png", PNG), ("a.docx", zipped()), ("a.txt", b"Hello, Grace"), ("a", PDF), ("a.pdf", PNG * 3)],
)
@pytest.mark.parametrize("spelling", ["as it is", "CRLF", "no padding", "data address"])
def test_k11_base64_of_base64_is_refused(name: str, content: bytes, spelling: str) -> None:
    """A file that was encoded twice is not what the recipient should get."""
    twice = encoded(SPELLINGS[spelling](encoded(content)).encode())

    if name == "a.pdf" and content.startswith(PNG):
        assert send(name, twice).warnings
    else:
        assert "base64 twice" in refusal(name, twice)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.b64", encoded(PDF).encode()),
        ("key.pem", encoded(b"Hello, Grace").encode()),
        ("a.txt", b"deadbeef" * 8),
        ("a.txt", b"0043123456789012"),
        ("a.txt", b"Testdata"),
        ("a.txt", b" " * 300),
        ("a.txt", b"data"),
        ("a.txt", b"https://contoso.example/a"),
    ],
)
def test_k11_text_that_only_looks_like_base64_passes(name: str, content: bytes) -> None:
    """Digests, numbers and words are text, and some files hold base64 on purpose."""
    assert send(name, encoded(content)).attachments[0].content == content


@pytest.mark.parametrize("text", ["test", "HelloWorld22", encoded(encoded(PDF).encode())])
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.bin"])
def test_k11_declared_base64_is_believed(name: str, text: str) -> None:
    """Each content can be sent in some spelling: a data: address says that it is base64."""
    message = send(name, f"data:;base64,{text}")

    assert message.attachments[0].content == base64.b64decode(text)


def test_k11_media_type_of_a_data_address_counts_where_the_name_says_none() -> None:
    """The caller's type comes first, then the name's, then the one of the data: address."""
    text = f"data:image/png;base64,{encoded(PNG)}"

    assert send("picture", text).attachments[0].content_type == "image/png"
    assert send("picture.png", text.replace("png", "gif")).attachments[0].content_type == "image/png"
    assert send("picture", text, content_type="image/x-mine").attachments[0].content_type == "image/x-mine"


@given(content=st.binary(max_size=200))
def test_k11_text_never_becomes_another_format(content: bytes) -> None:
    """What is UTF-8 can be text, whatever it holds."""
    text = content.decode("utf-8", "ignore").encode()

    assert can_be("txt", text)
