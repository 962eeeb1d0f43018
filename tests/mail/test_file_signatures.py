"""Whether a file's content can be of the type that its name says."""

from __future__ import annotations

import pytest

from m365_mcp.mail.file_signatures import can_be, has_known_start, is_certainly, is_plain_text, is_text

ZIP, OLE, RTF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf1"
STARTS: list[tuple[str, list[bytes]]] = [
    ("png", [b"\x89PNG\r\n\x1a\n"]),
    ("jpg jpeg jpe jfif", [b"\xff\xd8\xff\xe0"]),
    ("gif", [b"GIF87a", b"GIF89a"]),
    ("webp", [b"RIFF\n\0\0\0WEBPVP8"]),
    ("tif tiff", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]),
    ("heic heif avif mp4 m4a m4v 3gp", [b"\0\0\n\x18ftypmp42"]),
    ("mov qt", [b"\0\0\0\n" + kind for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")]),
    ("psd", [b"8BPS\0\x01"]),
    ("pdf", [b"%PDF-1.7", b"\n" * 1020 + b"%PDF"]),
    ("rtf", [RTF, b" " * 64 + RTF]),
    ("zip odt ods odp odg epub kmz", [ZIP, b"PK\x05\x06", b"PK\x07\x08"]),
    ("docx docm dotx dotm xlsx xlsm xlsb xltx xltm pptx pptm ppsx ppsm potx potm vsdx", [ZIP, OLE]),
    ("doc dot", [OLE, RTF]),
    ("ppt pps pot msg vsd pub mpp", [OLE]),
    ("xz", [b"\xfd7zXZ\0"]),
    ("zst", [b"\x22\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\x5f\x2a\x4d\x18"]),
    ("7z", [b"7z\xbc\xaf\x27\x1c"]),
    ("rar", [b"Rar!\x1a\x07\0"]),
    ("wav", [b"RIFF\n\0\0\0WAVE", b"RF64\n\0\0\0WAVE"]),
    ("avi", [b"RIFF\n\0\0\0AVI LIST"]),
    ("ogg oga ogv opus", [b"OggS\0"]),
    ("flac", [b"fLaC", b"ID3\x04"]),
    ("webm mkv", [b"\x1a\x45\xdf\xa3"]),
    ("wmv", [b"\x30\x26\xb2\x75\x8e"]),
    ("woff", [b"wOFF"]),
    ("woff2", [b"wOF2"]),
    ("sqlite sqlite3", [b"SQLite format 3\0"]),
    ("parquet", [b"PAR1", b"PARE"]),
    ("ics ifb", [b"BEGIN:VCALENDAR\r\n", b"\xef\xbb\xbf\n begin:vcalendar"]),
    ("vcf", [b"BEGIN:VCARD\r\n", b"Begin:vCard"]),
]
WEAK: list[tuple[str, list[bytes]]] = [
    ("bz2", [b"BZh9"]),
    ("bmp dib", [b"BM"]),
    ("ico", [b"\0\0\x01\0", b"\0\0\x02\0"]),
    ("ps eps", [b"%!PS", b"\xc5\xd0\xd3\xc6", b"\x04%!"]),
    ("gz tgz", [b"\x1f\x8b\x08"]),
    ("mp3", [b"ID3\x04", b"\xff\xe0", b"\xff\xfb", b"\xff\xff"]),
    ("xls xlt", [b"\x09\0\x04\0", b"\x09\x02", b"\x09\x04", b"\x09\x08"]),
]


@pytest.mark.parametrize(
    ("kind", "starts", "weak"),
    [(kind, starts, rows is WEAK) for rows in (STARTS, WEAK) for kinds, starts in rows for kind in kinds.split()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_k11_file_begins_as_its_format_does(kind: str, starts: list[bytes], weak: bool) -> None:
    """A format is known by its first bytes, and so are most of them without a name."""
    for start in starts:
        assert can_be(kind, start)
        assert is_certainly(kind, start)
        assert has_known_start(start) or weak
        if kind != "pdf":
            assert not can_be(kind, b"?" + start) or start.startswith((b"{", b" "))
    assert can_be(kind, b"something else, of no format") is False


@pytest.mark.parametrize("start", [b"BM", b"\x1f\x8b\x08", b"%!PS", b"\xff\xfb", b"\x09\x08", b"\0\0\x01\0", b"hello"])
def test_k11_two_bytes_make_no_known_start(start: bytes) -> None:
    """Other content begins so, too."""
    assert not has_known_start(start)


@pytest.mark.parametrize(
    "kind",
    [
        "txt",
        "text",
        "log",
        "ini",
        "conf",
        "sql",
        "toml",
        "csv",
        "tsv",
        "tab",
        "md",
        "markdown",
        "json",
        "geojson",
        "ipynb",
        "map",
        "xml",
        "xsd",
        "xsl",
        "yaml",
        "yml",
        "html",
        "htm",
        "shtml",
        "xhtml",
        "xht",
        "svg",
        "css",
        "eml",
        "kml",
        "vtt",
        "asc",
    ],
)
def test_k11_text_is_no_binary_content(kind: str) -> None:
    """A file of text may have any encoding, but no control characters."""
    assert can_be(kind, "Größe".encode("cp1252")) is True
    assert can_be(kind, b"\x89PNG\r\n\x1a\n\0\x01") is False
    assert is_certainly(kind, b"hello")
    assert not is_certainly(kind, "Größe".encode("cp1252"))


@pytest.mark.parametrize("kind", ["bin", "dat", None])
def test_k11_other_files_may_begin_with_anything(kind: str | None) -> None:
    """Nothing can be said against them; text and known formats speak for them."""
    assert can_be(kind, b"\0\x01") is None
    assert is_certainly(kind, b"hello")
    assert is_certainly(kind, b"%PDF-1.7")
    assert not is_certainly(kind, b"\0\x01")


@pytest.mark.parametrize(
    ("content", "plain", "text"),
    [
        (b"", True, True),
        (b"a\t\r\n\x0b\x0c\x1a\x1bb", True, True),
        *((b"a" + bytes([control]), False, True) for control in (0, 1, 8, 14, 25, 28, 31)),
        *((b"\xe4" + bytes([control]), False, False) for control in (0, 1, 8, 14, 25, 28, 31)),
        ("ä".encode(), True, True),
        (b"\xe4", False, True),
        ("a".encode("utf-16"), True, True),
        (b"\xfe\xff\0a", True, True),
        (b"\xff\xfe\0", False, False),
        ("a".encode("utf-32"), True, True),
        (b"\0\0\xfe\xff\0\0\0a", True, True),
        ("Größe ä".encode("utf-16-le"), False, True),
        ("Größe ä".encode("utf-16-be"), False, True),
        (b"\xe4\0a", False, False),
        (b"\xe4\0", False, False),
        (b"\xe4\0\xe4\xe4\xe4\xe4\xe4\xe4", False, False),
        (b"\xe4\0\xe4\0\xe4\xe4\xe4\xe4", False, False),
        (b"\xe4\0\xe4\0\xe4\0\xe4\xe4", False, True),
        (b"\xe4\0\0\xe4\xe4\0\xe4\0", False, False),
        (b"\xe4\0" * 39 + bytes(4), False, True),
    ],
)
def test_k11_text_is_told_by_its_bytes(content: bytes, plain: bool, text: bool) -> None:
    """UTF-8 and byte order marks show it; older encodings and bare UTF-16 may be text."""
    assert is_plain_text(content) is plain
    assert is_text(content) is text
