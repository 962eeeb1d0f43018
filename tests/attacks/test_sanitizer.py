"""L3: HTML that mutates when it is parsed again comes out of the sanitizer as HTML that does not."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from m365_mcp.mail.html.sanitizing import sanitize_html
from tests.attacks.mutations import CARRIERS, PAYLOADS, vectors
from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.mail.test_sanitizing import harmless

VECTORS = vectors()
# Parses a document as a reader's program does, writes it, and parses that again in other places.
MUTATE = """(bodies) => bodies.map((body) => {
  const states = [];
  let html = body;
  for (const place of ["div", "div", "p", "td", "template", "article"]) {
    const element = document.createElement(place);
    if (place !== "template") document.body.append(element);
    element.innerHTML = html;
    html = element.innerHTML;
    const all = [...(element.content ?? element).querySelectorAll("*")];
    states.push(all.map((one) => [one.localName, one.namespaceURI,
      [...one.attributes].map((a) => [a.name, a.value])]));
    element.remove();
  }
  return states;
})"""
# Fires after whatever the documents before it have begun to load.
LATER = """new Promise((done) => {
  const image = document.createElement("img");
  image.onerror = () => requestAnimationFrame(() => requestAnimationFrame(done));
  image.src = "data:,";
})"""
HTML = "http://www.w3.org/1999/xhtml"
ADDRESS = re.compile(r"(https?://|mailto:|tel:|#|cid:)", re.IGNORECASE)


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.sample(10)
def test_l3_clean_html_is_stable_and_harmless(carrier: str) -> None:
    """What comes out is harmless to another reader, and cleaning it again changes nothing."""
    for name, html in VECTORS.items():
        if name.startswith(f"{carrier}, "):
            clean, _ = sanitize_html(f"<p>before</p>{html}<p>after</p>")
            again, _ = sanitize_html(clean)

            assert harmless(clean), name
            assert again == clean, name


def alive(states: list[list[list[object]]]) -> list[object]:
    """Return what of the parsed documents is no plain HTML, can run, or loads."""
    found: list[object] = []
    for state in states:
        for element, namespace, attributes in state:
            odd = namespace != HTML or element in ("script", "style", "iframe", "object", "embed", "form", "template")
            found += [element] if odd else []
            for name, value in attributes:  # type: ignore[attr-defined]
                is_address = name in ("href", "src", "action", "formaction", "xlink:href", "cite", "background")
                if name.startswith("on") or name == "srcdoc" or (is_address and not ADDRESS.match(value)):
                    found.append((element, name, value))
    return found


@pytest.mark.full
@pytest.mark.xdist_group("chromium pages")
@NEEDS_CHROMIUM[1]
@NEEDS_CHROMIUM[0]
async def test_l3_clean_html_comes_to_life_in_no_parse_of_chromium() -> None:
    """Six times parsed and written in Chromium with scripts on: nothing fires, loads, or is outside plain HTML.

    The same documents uncleaned, which are the control, fire and come to life in great number.
    """
    cleaned = {name: sanitize_html(html)[0] for name, html in VECTORS.items()}
    asked: Counter[str] = Counter()
    async with open_profile() as profile:
        page = await profile.new_page()
        await page.goto("data:text/html,<body></body>")
        await page.evaluate("() => { window.fired = () => { window.count = (window.count ?? 0) + 1; }; }")
        page.on("request", lambda request: asked.update([request.url.partition(":")[0]]))
        states = await page.evaluate(MUTATE, list(cleaned.values()))
        await page.evaluate(LATER)
        fired = await page.evaluate("window.count ?? 0")
        loaded = asked.copy()
        raw = await page.evaluate(MUTATE, list(VECTORS.values()))
        await page.wait_for_function("(window.count ?? 0) > 50")

    living = {name: found for name, parsed in zip(cleaned, states, strict=True) if (found := alive(parsed))}
    assert living == {}
    assert (fired, set(loaded) - {"cid"}) == (0, set())
    assert sum(bool(alive(parsed)) for parsed in raw) > len(VECTORS) / 2
    assert len(VECTORS) == 2 * len(CARRIERS) * len(PAYLOADS)
