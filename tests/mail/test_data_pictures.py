"""Pictures that stand inside the HTML as data: addresses."""

from __future__ import annotations

import base64

import pytest

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html.data_pictures import DataPictures
from m365_mcp.mail.html.removals import Removal

PNG = b"\x89PNG\r\n\x1a\n>>>??"
PICTURES = {
    "png": PNG,
    "jpg": b"\xff\xd8\xff\xe0",
    "gif": b"GIF87a",
    "webp": b"RIFF\n\0\0\0WEBPVP8 ",
    "bmp": b"BM\n\0\0\0\0\0\0\0",
}
TYPES = {"jpg": "image/jpeg"}


def address(content: bytes, head: str = "image/png;base64") -> str:
    return f"data:{head},{base64.b64encode(content).decode()}"


@pytest.mark.parametrize("extension", PICTURES)
def test_k9_picture_is_known_by_its_first_bytes(extension: str) -> None:
    """It is attached under a number, whatever the address claims, and equal ones once."""
    pictures, content = DataPictures(), PICTURES[extension]
    taken = pictures.take(address(content, "text/plain;base64"))

    (one,) = pictures.attachments
    assert (one.name, one.content, one.content_type) == (
        f"image001.{extension}",
        content,
        TYPES.get(extension, f"image/{extension}"),
    )
    assert taken == f"cid:{one.content_id}" == pictures.take(address(content))
    assert str(taken).startswith("cid:picture-")
    assert len(str(taken)) == len(f"cid:picture-.{extension}") + 24
    assert len(pictures.attachments) == 1


@pytest.mark.parametrize(
    "written",
    [
        address(PNG),
        address(PNG).upper().replace(base64.b64encode(PNG).decode().upper(), base64.b64encode(PNG).decode()),
        address(PNG).replace("=", ""),
        address(PNG).replace("+", "-").replace("/", "_"),
        address(PNG, "image/png; base64 "),
        address(PNG).replace(",", ", \n"),
        address(PNG).replace("=", "%3D"),
        "data:image/png,%89PNG%0D%0A%1A%0A>>>??",
        "data:,%89PNG%0D%0A%1A%0A>>>??",
    ],
)
def test_k9_picture_is_decoded_in_every_spelling(written: str) -> None:
    """Base64 with blanks, without padding, in the alphabet for URLs; or escaped bytes."""
    pictures = DataPictures()
    pictures.take(written)

    assert [one.content for one in pictures.attachments] == [PNG]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("data:image/svg+xml,<svg>", Removal.SVG_IMAGE),
        ("data:image/svg+xml, \ufeff <?xml", Removal.SVG_IMAGE),
        ("data:image/svg+xml,<!-- -->", Removal.SVG_IMAGE),
        ("data:image/svg+xml,<!doctype SVG>", Removal.SVG_IMAGE),
        ("data:text/html,<p>", Removal.DATA_IMAGE),
        ("data:image/png;base64,%%%", Removal.DATA_IMAGE),
        ("data:image/png;base64,A", Removal.DATA_IMAGE),
        ("data:image/png", Removal.DATA_IMAGE),
        ("data:,", Removal.DATA_IMAGE),
        ("data:,RIFFabcdWEBP", Removal.DATA_IMAGE),
        ("data:,BMxxxxabcd", Removal.DATA_IMAGE),
    ],
)
def test_k9_what_is_no_picture_is_told_apart(written: str, reason: Removal) -> None:
    """Drawings have a reason of their own."""
    assert DataPictures().take(written) is reason


def test_k9_pictures_are_limited() -> None:
    """A hundred different ones are attached, in their order."""
    pictures = DataPictures()
    for number in range(100):
        pictures.take(address(PNG + bytes([number])))

    assert pictures.attachments[99].name == "image100.png"
    pictures.take(address(PNG + b"\0"))
    with pytest.raises(BodyTooComplex, match="more than 100 pictures inside the HTML"):
        pictures.take(address(PNG + b"new"))
