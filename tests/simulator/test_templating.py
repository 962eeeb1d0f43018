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


def has_markup(module: Path) -> bool:
    constants = (node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Constant))
    return any(isinstance(text, str) and re.search(r"</\w+>", text) for text in constants)


def test_markup_stands_in_templates_only() -> None:
    """No string in the code holds an HTML tag, so nothing has to be escaped by hand."""
    modules = sorted(PACKAGE.rglob("*.py"))

    assert len(modules) > 50
    assert [str(module) for module in modules if has_markup(module)] == []
