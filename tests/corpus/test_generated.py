"""Text in is text out for bodies that Hypothesis makes; Chromium shows a group of them at once."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.corpus import generated
from tests.corpus.bodies import Body
from tests.corpus.checking import check
from tests.corpus.chromium import Chromium

GROUP = 20  # bodies that Chromium shows at once
ROUNDS = 20 if settings.default and settings.default.max_examples > 50 else 1  # with --full, and without


def some(bodies: st.SearchStrategy[Body]) -> st.SearchStrategy[list[Body]]:
    return st.lists(bodies, min_size=GROUP, max_size=GROUP)


def failures(bodies: list[Body], chromium: Chromium) -> list[str]:
    """Return the first body that fails, with what is wrong."""
    for one in bodies if check(bodies, chromium).failures else ():
        if found := check([one], chromium).failures:
            return [one.text, *(failure.sentence for failure in found)]
    return []


@settings(max_examples=ROUNDS, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(some(generated.html_bodies.map(generated.html_body)))
def test_text_of_any_html_arrives(chromium: Chromium, bodies: list[Body]) -> None:
    """Nested tags, tables, lists, entities and single < > & in every script are seen as before."""
    assert failures(bodies, chromium) == []


@settings(max_examples=ROUNDS, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(some(generated.styled_bodies.map(generated.html_body)))
def test_k3_style_sheets_hide_and_colour_as_written(chromium: Chromium, bodies: list[Body]) -> None:
    """K3, K4: what a style sheet hides stays hidden, what it shows stays, and no text loses its contrast."""
    assert failures(bodies, chromium) == []


@settings(max_examples=ROUNDS, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(some(generated.text_bodies.map(generated.text_body)))
def test_k1_lines_of_any_plain_text_arrive(chromium: Chromium, bodies: list[Body]) -> None:
    """K1, K2: plain text sent under the HTML default keeps its words, lines and paragraphs."""
    assert failures(bodies, chromium) == []


@settings(max_examples=ROUNDS, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(some(generated.markdown_bodies.map(generated.markdown_body)))
def test_text_of_any_markdown_arrives(chromium: Chromium, bodies: list[Body]) -> None:
    """Paragraphs, emphasis in every script, lists, tables, quotes and fences show their text without its marks."""
    assert failures(bodies, chromium) == []
