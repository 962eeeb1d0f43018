"""Backslash-n and its like in a body that a program escaped twice."""

from __future__ import annotations

import pytest

from m365_mcp.mail.escapes import mend_escapes
from tests.mail import forms
from tests.mail.composing import build


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        ("Hi Grace,\\n\\nBye", "Hi Grace,\n\nBye"),
        ("Hi Grace, \\n\\nBye", "Hi Grace, \n\nBye"),
        ("Hi,\\r\\nthe numbers\\r\\nAda", "Hi,\nthe numbers\nAda"),
        ("Hi,\\n- tea\\n- milk\\n", "Hi,\n- tea\n- milk\n"),
        ("Dear all:\\n\\tone\\n\\ttwo", "Dear all:\n\tone\n\ttwo"),
        ("您好，\\n附件。\\n謝謝", "您好，\n附件。\n謝謝"),
        ('He said \\"yes\\".\\n\\nAda', 'He said "yes".\n\nAda'),
        ("Gr\\u00fc\\u00dfe,\\n\\nAda \\ud83d\\ude00", "Grüße,\n\nAda 😀"),
        ("Viele Gr\\u00fc\\u00dfe", "Viele Grüße"),
        ("\\u4f60\\u597d Grace", "你好 Grace"),
        ('"Hi,\\nBye"', "Hi,\nBye"),
        ('"Gr\\u00fc\\u00dfe"', "Grüße"),
        ("See C:\\new\\notes.\\n\\nAda\\n", "See C:\\new\\notes.\n\nAda\n"),
        ("Log in as CONTOSO\\ada.\\n\\nBye,\\nAda", "Log in as CONTOSO\\ada.\n\nBye,\nAda"),
        ("Hi,\\n\\nthe \\nabla operator\\n\\nAda", "Hi,\n\nthe \\nabla operator\n\nAda"),
        ("Hi,\\n\\n`a\\nb` is it.\\nAda", "Hi,\n\n`a\\nb` is it.\nAda"),
        ('<p class=\\"a\\">Hi \\"you\\"</p>', '<p class="a">Hi "you"</p>'),
        ("It\\'s here: a\\/b.\\n\\nAda", "It's here: a/b.\n\nAda"),
        ("A: C:\\\\x.\\n\\nAda", "A: C:\\\\x.\n\nAda"),
        ("a \\\\ b.\\n\\nAda", "a \\\\ b.\n\nAda"),
        ("x" * 199_993 + "\\n\\nBye", "x" * 199_993 + "\n\nBye"),
        ('"Hi \\"you\\",\\nBye"', 'Hi "you",\nBye'),
        ('"\\"Hi\\", he said.\\nBye"', '"Hi", he said.\nBye'),
        ('He said "yes."\\n\\nAda', 'He said "yes."\n\nAda'),
        ("Hi (all)\\n\\nBye", "Hi (all)\n\nBye"),
        ("Viele \\u00e4 Gr\\u00fc\\u00dfe", "Viele ä Grüße"),
        ('"Hi you\\",\\nBye"', 'Hi you",\nBye'),
        ("a \\\\\\n\\nb is Ada", "a \\\\\n\nb is Ada"),
        ("Vi\\rele Gr\\u00fc\\u0dfwhere", "Vi\nele Grü\\u0dfwhere"),
        ("an upper \\u00fccase", "an upper ücase"),
        ("\\n\\n", "\n\n"),
        ("a \\nXb \\nXc", "a \nXb \nXc"),
        ('<b>a</b> <p class=\\"b\\">', '<b>a</b> <p class="b">'),
        ("x\\u00 C:\\new\\notes.\\n\\nAda", "x\\u00 C:\\new\\notes.\n\nAda"),
        ("a" * 290 + '<p a=\\"b\\">', "a" * 290 + '<p a="b">'),
        ("<p " + "a" * 290 + '=\\"b\\">', "<p " + "a" * 290 + '="b">'),
        ("<p>Hi</p>\\n<p>Bye</p>\\n", "<p>Hi</p>\n<p>Bye</p>\n"),
    ],
)
def test_k13_escapes_in_place_of_line_breaks_are_mended(body: str, mended: str) -> None:
    """Line breaks, tabs, letters and quotation marks; paths, commands of TeX and code stay."""
    assert mend_escapes(body) == mended


@pytest.mark.parametrize(
    "body",
    [
        *(body for body in forms.PLAIN.values() if "\\" in body),
        "Hi,\\n\\nBye\nAda",
        'Use print("A.\\nB.\\nC") here',
        "One\\nonly",
        "Hi, one\\nOnly",
        ",\\n\\n`a\\nb` is it.\\Ada",
        '<p a=\\"b\\">Hi \\s',
        "\\text{a},\\n\\nAda",
        "\\right) a,\\n\\nAda\\rho{",
        ' class=\\"b',
        '"h\\nbYE"',
        "\\u1\\u00ber",
        "a (\\n\\nand b\xa0",
        '"Hi,\\nBHi,\\nBy',
        '"\r\\", he said.\\nBye"',
        '>=\\"b <',
        "<p " + "a" * 300 + '=\\"b\\">',
        "One\\nTwo",
        "x" * 199_994 + "\\n\\nBye",
        "a (\\n\\n and b",
        "a [\\n\\nb] and c",
        "a |\\n\\nb",
        "a ^\\n\\nb",
        "a\\n+b\\n*c",
        "one\\ntwo\\nthree",
        "\\n and \\n",
        "x\\u00a0y",
        'a > class=\\"b',
        '< \\"b\\" c',
        '"Hello"',
        '"C:\\new"',
        "C:\\new folder\\notes\\new",
        "\\\\nas\\new\\notes",
        "The character \\u00fc fails",
        "\\u0000\\u00fcber",
        "half \\ud83d\\n\\nof a pair",
        "\\newcommand{\\n}{x}\\n\\nAda",
        "grep -P 'a\\n+b\\n+' and \\s",
        "",
        "\\",
    ],
)
def test_k13_in_doubt_the_text_stays(body: str) -> None:
    """Paths, patterns, TeX, code, a sentence about `\\n`, and a text with real line breaks."""
    assert mend_escapes(body) is None


def test_k13_mended_body_is_said() -> None:
    """The mail has lines, and the warning tells."""
    message = build(body="Hi,\\n\\nBye", content_type="Text")

    assert message.body == "Hi,\n\nBye"
    assert message.warnings[0].startswith("The body had \\n")
