"""The templates: they escape, they refuse what they are not given, and they hold all of the markup."""

import ast
import re
from pathlib import Path

import jinja2
import pytest

import m365_simulator
from m365_simulator.templating import render

PACKAGE = Path(m365_simulator.__file__).parent


def test_values_are_escaped() -> None:
    """A value is text, however it looks."""
    report = render("non_delivery_report.html", lost=["<i>@contoso.example"], subject="\"Tom\" & 'Co'")

    assert "&lt;i&gt;@contoso.example" in report
    assert "Subject: &#34;Tom&#34; &amp; &#39;Co&#39;" in report


def test_missing_value_is_an_error() -> None:
    """A template that is not given what it names fails instead of leaving a gap."""
    with pytest.raises(jinja2.UndefinedError, match="subject"):
        render("non_delivery_report.html", lost=[])


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_markup_stands_in_templates_only(path: Path) -> None:
    """No string in the code holds an HTML tag, so nothing has to be escaped by hand."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))

    assert [text for text in constants if isinstance(text, str) and re.search(r"</\w+>", text)] == []
