"""The pages: values are escaped, the policy admits only the page's own files, and a built wheel contains them."""

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from starlette.responses import Response

from m365_mcp.errors import ClientSecretExpired, StorageUnavailable, UploadLinkEnded
from m365_mcp.web.pages import error_page, landing_page, refused_page, server_icon, upload_page

ROOT = Path(__file__).parents[2]
FILES = ROOT / "src" / "m365_mcp" / "web" / "pages"
HOSTILE = "<script>alert(1)</script> $title ${name} & \"'"
PAGES = {
    "landing": landing_page(HOSTILE),
    "error": error_page(ClientSecretExpired(HOSTILE, advice=HOSTILE, reference=HOSTILE)),
    "refused": refused_page(UploadLinkEnded(HOSTILE)),
    "upload": upload_page(HOSTILE, 2000),
}


def html(page: Response) -> str:
    return bytes(page.body).decode()


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_values_are_escaped_and_never_filled_in_a_second_time(page: Response) -> None:
    """Markup and template fields in a value appear on the page as the text they are."""
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $title ${name} &amp; &quot;&#x27;" in html(page)
    assert "<script>alert" not in html(page)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_policy_admits_exactly_the_style_and_the_script_of_the_page(page: Response) -> None:
    """The hashes in the policy are those of the page's own style and script; nothing inline is allowed beside them."""
    policy = page.headers["content-security-policy"]

    for directive, tag in (("style-src", "style"), ("script-src", "script")):
        inline = re.findall(f"<{tag}>(.*?)</{tag}>", html(page), re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
        assert [f"{directive} 'sha256-{digest}'" for digest in hashes] == [
            part.strip() for part in policy.split(";") if part.strip().startswith(directive)
        ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"


def test_error_page_gives_advice_and_reference() -> None:
    """The page names code, sentence, advice and reference; for an outage it says to reload instead."""
    shown = html(error_page(ClientSecretExpired(reference="AADSTS7000222")))
    outage = error_page(StorageUnavailable())

    assert "Reference: AADSTS7000222" in shown
    assert "Code: client_secret_expired" in shown
    assert "Reference:" not in html(outage)
    assert "Reload this page" in html(outage)
    assert (outage.status_code, outage.headers["retry-after"]) == (503, "5")


def test_upload_page_announces_the_size_only_when_it_is_known() -> None:
    """The script gets the size in bytes, or an empty text when any size is accepted."""
    assert 'data-size="41943040"' in html(upload_page("a.pdf", 41943040))
    assert "(41,943,040 bytes)" in html(upload_page("a.pdf", 41943040))
    assert 'data-size=""' in html(upload_page("a.pdf", None))


def test_icon_is_the_file_as_a_data_url() -> None:
    """MCP clients load the icon from nowhere."""
    prefix, _, encoded = server_icon().src.partition(",")

    assert prefix == "data:image/svg+xml;base64"
    assert base64.b64decode(encoded) == (FILES / "icon.svg").read_bytes()


def test_wheel_contains_every_file_of_the_pages(tmp_path: Path) -> None:
    """An installed server has its pages: the wheel contains each file of the folder."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("m365_mcp_server-*.whl")

    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("m365_mcp/web/pages/")}

    assert packed == {f"m365_mcp/web/pages/{path.name}" for path in FILES.iterdir() if path.is_file()}


def test_no_python_file_contains_a_page() -> None:
    """HTML, styles and scripts are files of their own, where editors and linters read them."""
    tags = re.compile(r"<!doctype|<html|<style>|<script>|<p>|<body", re.IGNORECASE)
    sources = sorted((ROOT / "src" / "m365_mcp" / "web").rglob("*.py"))

    assert [path.name for path in sources if tags.search(path.read_text())] == []
