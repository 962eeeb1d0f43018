"""One normal form of a URL: two spellings of one address are equal, and what programs read differently is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyHttpUrl

from m365_mcp.urls import escape_path, merge_slashes, normal_host, normal_origin, read_url


@pytest.mark.parametrize(
    ("spelling", "normal"),
    [
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
        ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://例え.テスト。", "https://xn--r8jz45g.xn--zckzah"),
        ("https://ｍｃｐ.example.com", "https://mcp.example.com"),
        ("HTTPS://MCP.Example.COM.:443/", "https://mcp.example.com"),
        ("http://localhost.:80", "http://localhost"),
        ("http://localhost:080", "http://localhost"),
        ("https://mcp.example.com:", "https://mcp.example.com"),
        ("https://mcp.example.com:8443//", "https://mcp.example.com:8443"),
        ("https://[0:0:0:0:0:0:0:1]:8000", "https://[::1]:8000"),
        ("https://[FD00::A]", "https://[fd00::a]"),
        ("https://10.1.2.3.", "https://10.1.2.3"),
        ("https://my_host", "https://my_host"),
        ("https://h.example/a b".replace(" ", "%20"), "https://h.example/a%20b"),
        ("https://h.example/ä/", "https://h.example/%C3%A4"),
        ("https://h.example/%c3%a4", "https://h.example/%C3%A4"),
        ("https://h.example/%6Dcp/%7Eada", "https://h.example/mcp/~ada"),
        ("https://h.example//a///b/?x=1", "https://h.example/a/b"),
    ],
)
def test_f6_spellings_of_one_address_have_one_form(spelling: str, normal: str) -> None:
    """IDNA, case, final dot, default port, escapes and needless slashes make no difference."""
    assert str(read_url(spelling)) == normal


@pytest.mark.parametrize(
    "url",
    [
        "https://127.1",
        "https://2130706433",
        "https://0x7f.0.0.1",
        "https://999.1.1.1",
        "https://a..example",
        "https://-a.example",
        "https://*.example",
        "https://a,b.example",
        "https://" + "a" * 64 + ".example",
        "https://" + "a." * 127 + "example",
        "https://b%C3%BCcher.example",
        "https://xn--a.example",
        "https://::1",
        "https://[::1",
        "https://[::1%25lo]",
        "https://[v1.a]",
        "https://user@h.example",
        "https://h.example:0",
        "https://h.example:65536",
        "https://h.example:eight",
        "https://h.example#x",
        "https://h.example/a b",
        "https://h.example\\a",
        "https://h.example/a\u200bb",
        "https://h.example/../a",
        "https://h.example/%2e%2E/a",
        "https://h.example/a%2Fb",
        "https://h.example/a%5Cb",
        "https://h.example/%00",
        "https://h.example/%zz",
        "https://h.example/%c3",
        "ftp://h.example",
        "h.example",
        "https://",
        "",
    ],
)
def test_f6_what_has_several_readings_has_no_normal_form(url: str) -> None:
    """Programs disagree about these, so that no comparison of them could be trusted."""
    with pytest.raises(ValueError, match=r"\w"):
        read_url(url)


@given(st.text(st.characters(codec="utf-8"), max_size=12), st.text("aäB.-1ⓛ。", max_size=8))
def test_f6_normal_form_is_stable_and_is_what_fastmcp_publishes(path: str, name: str) -> None:
    """Reading the normal form again changes nothing, and Pydantic, with which FastMCP publishes, leaves it alone."""
    try:
        url = read_url(f"https://{name}.example/{path}")
    except ValueError:
        return

    assert read_url(str(url)) == url
    assert str(AnyHttpUrl(str(url))).removesuffix("/") == str(url).removesuffix("/")


@given(st.text())
def test_f6_any_text_is_read_or_refused(text: str) -> None:
    """Headers and parameters of strangers end in a normal form or in a ValueError, in nothing else."""
    for read in (read_url, normal_host, normal_origin):
        for value in (text, f"https://{text}"):
            try:
                read(value)
            except ValueError:
                continue


@pytest.mark.parametrize(
    ("spelling", "normal"),
    [
        ("https://Inspector.example.com:443", "https://inspector.example.com"),
        ("null", "null"),
        ("tauri://localhost", "tauri://localhost"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("app://.", "app://."),
        ("vscode-webview://0ABC", "vscode-webview://0abc"),
        ("file://", "file://"),
    ],
)
def test_f18_origins_of_pages_and_of_desktop_applications(spelling: str, normal: str) -> None:
    """An origin is a page's, an application's, or null."""
    assert normal_origin(spelling) == normal


@pytest.mark.parametrize(
    "origin",
    ["https://a.example/", "https://a.example/x", "https://a.example?", "a.example", "*", "app://", "app://a*"],
)
def test_f18_what_is_no_origin_is_refused(origin: str) -> None:
    """An origin has no path, not even a slash."""
    with pytest.raises(ValueError, match="origin"):
        normal_origin(origin)


def test_f13_slashes_are_merged_and_paths_are_escaped_as_urls_spell_them() -> None:
    """A path keeps its segments only; the root stays the root."""
    assert [merge_slashes(path) for path in ("//a///b//", "/", "", "///")] == ["/a/b", "/", "/", "/"]
    assert escape_path("/a b/ä{x}") == "/a%20b/%C3%A4%7Bx%7D"
