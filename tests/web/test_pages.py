"""The pages: values are escaped, the policy admits only the page's own files, and a built wheel contains them."""

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.auth.consent import ConsentRequest
from m365_mcp.container import build_container
from m365_mcp.errors import ClientSecretExpired, SignInExpired, StorageUnavailable
from m365_mcp.storage.reserve import Memory, Reserve
from m365_mcp.web.health import Readiness
from m365_mcp.web.pages import Pages
from tests.web.apps import IDS

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "m365_mcp"
HOSTILE = "<script>alert(1)</script> {{ title }} %(client)s & \"'"
REQUEST = Request(
    {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"txn_id=%22%3E%3Cscript%3E",
        "headers": [],
        "server": ("localhost", 80),
        "scheme": "http",
    }
)
OURS = Pages(settings.load(**IDS, _env_file=None))
PAGES = {
    "landing": OURS.landing(REQUEST, HOSTILE, "ok"),
    "consent": OURS.consent(
        REQUEST, ConsentRequest(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), {HOSTILE: HOSTILE})
    ),
    "administrator": OURS.error(
        REQUEST,
        ClientSecretExpired(HOSTILE, advice=HOSTILE, reference=HOSTILE),
        status=503,
        headers={"Retry-After": "5"},
    ),
    "person": OURS.error(REQUEST, SignInExpired(HOSTILE), status=400, headers={}),
    "upload": OURS.upload(REQUEST, HOSTILE, 2000, 700.0),
}
EACH = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def html(page: Response) -> str:
    return bytes(page.body).decode()


@EACH
def test_values_are_escaped_and_never_filled_in_a_second_time(page: Response) -> None:
    """Markup and template fields in a value appear on the page as the text they are."""
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ title }} %(client)s &amp; &#34;&#39;" in html(page)
    assert "<script>alert" not in html(page)
    assert '"><script>' not in html(page)


@EACH
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
    assert policy.endswith("base-uri 'none'; frame-ancestors 'none'")
    assert "unsafe" not in policy
    assert re.findall(r' style="| on\w+="', html(page)) == []
    assert page.headers["cache-control"] == "no-store"


def test_only_the_consent_page_may_send_a_form() -> None:
    """Its answer is a redirect to Entra ID, to which Chromium would apply `form-action`."""
    policies = {name: page.headers["content-security-policy"] for name, page in PAGES.items()}

    assert [name for name, policy in policies.items() if "form-action 'none'" not in policy] == ["consent"]


def test_upload_page_announces_the_size_only_when_it_is_known() -> None:
    """The script gets the size in bytes, or an empty text when any size is accepted, and the seconds that are left."""
    assert 'data-size="2000"' in html(PAGES["upload"])
    assert 'data-seconds="700"' in html(PAGES["upload"])
    assert 'data-size=""' in html(OURS.upload(REQUEST, "a.pdf", None, 59.0))


@pytest.mark.parametrize(
    ("used", "text"),
    [(69, "Working"), (70, "Works for whoever is signed in; no sign-in can begin at the moment"), (None, "try again")],
)
async def test_f18_landing_page_says_when_no_sign_in_can_begin(used: int | None, text: str) -> None:
    """F18: while the store keeps its last room for people who are signed in, the page does not say that all works."""

    async def measure() -> Memory:
        if used is None:
            raise StorageUnavailable
        return Memory(used, 100)

    container = build_container(settings.load(**IDS, redis_url="memory://", _env_file=None))
    container = replace(
        container, readiness=Readiness(()), storage=replace(container.storage, reserve=Reserve(measure))
    )
    transport = httpx2.ASGITransport(app=assemble(container))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        page = await http.get("/")
    await container.close()

    assert [shown for shown in re.findall("● ([^<]*)<", page.text) if text in shown] != []


def test_wheel_contains_every_file_of_the_pages(tmp_path: Path) -> None:
    """An installed server has its pages and their translations: the wheel contains each file."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("m365_mcp_server-*.whl")
    files = [path for folder in ("web/pages", "locale") for path in (SOURCES / folder).rglob("*.*")]

    packed = set(zipfile.ZipFile(wheel).namelist())

    assert [
        path.name
        for path in files
        if "__pycache__" not in path.parts
        and path.suffix != ".po"  # what translators edit; the server reads the .mo
        and f"m365_mcp/{path.relative_to(SOURCES)}" not in packed
    ] == []
    assert {".mo", ".html", ".css", ".js", ".svg"} <= {path.suffix for path in files}


def test_no_python_file_contains_a_page() -> None:
    """HTML, styles and scripts are files of their own, where editors and linters read them."""
    tags = re.compile(r"<!doctype|<html|<style>|<script>|<p>|<body", re.IGNORECASE)
    sources = sorted((SOURCES / "web").rglob("*.py"))

    assert [path.name for path in sources if tags.search(path.read_text())] == []
