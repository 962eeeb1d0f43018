r"""Decides which format a body really has: HTML, Text or Markdown.

A model often leaves `content_type` out, so "HTML" means "not said", and the body decides. "Text" and "Markdown" are
believed. A text that is mended or read in another format than it was said to be is reported; a plain letter is not.
docs/composing.md has the rules as a table. With `as_written` the body is in exactly the format that was said.

The decision takes linear time, and only looks at the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import unescape
from typing import Literal

from m365_mcp.errors import BodyFormMismatch
from m365_mcp.mail.code_fence import Fence, read_whole_fence
from m365_mcp.mail.escapes import mend_escapes
from m365_mcp.mail.line_breaks import keep_line_breaks
from m365_mcp.mail.markdown import MAX_CHARACTERS
from m365_mcp.mail.markdown_marks import MarkdownMarks, find_marks
from m365_mcp.mail.markup import (
    MAX_TAGS,
    Tag,
    find_tags,
    has_blocks,
    has_entities,
    is_document,
    is_only_blocks,
    visible_source,
)
from m365_mcp.mail.report import Note, Weight, listed

Format = Literal["HTML", "Text", "Markdown", "Plain"]

_ESCAPED_TAG = re.compile(r"&lt;/?[A-Za-z]", re.IGNORECASE)
# What a sentence about a tag has around it: "the <b> tag".
_NAMED_TAG = re.compile(r"""(?<=[ "'`(])<[^<>]*>(?=[ "'`).,:;?!])""")
_BREAK_AND_LINE_END = re.compile(r"<br\s*/?>[ \t]*\n", re.IGNORECASE)

_AS_MARKDOWN = "The body has Markdown marks and no HTML that sets its lines, so it was read as Markdown."
_MARKS_AS_TEXT = "The body has Markdown marks, which readers see as characters; content_type Markdown formats them."
_LINES_KEPT = "The body is HTML that sets no lines, or not all of them, so its line breaks were kept."
_MARKS_IN_HTML = "The body was sent as HTML; it also has Markdown marks, which readers see as characters."
_UNESCAPED = "The tags of the body were escaped (&lt;p&gt;), so they were read as tags."
_ESCAPED_IN_MARKDOWN = "The tags of the body are escaped (&lt;p&gt;), so readers see them as characters."
_MENDED = r"The body had \n, \t or \u00fc as characters, so real line breaks, tabs and letters were put in their place."
_AS_HTML = "The body is an HTML document and has no Markdown marks, so it was read as HTML."
_UNFENCED = "The whole body was one code fence, so the fence was removed and its content was read as {format}."
_CODE = "The whole body is one code fence of a program, so it was sent as a block of code."
_MARK_IN_TEXT = "The body was sent as plain text; readers see its {what} as characters."


@dataclass(frozen=True)
class BodyForm:
    """The format of a body.

    Attributes:
        format: HTML, Text or Markdown; or Plain: plain text that becomes HTML (`mail.plain_text`).
        text: the body, mended where it had to be.
        notes: what was mended or read in another way than it was said.
    """

    format: Format
    text: str
    notes: tuple[Note, ...] = ()


def read_form(text: str, content_type: Literal["HTML", "Text", "Markdown"], *, as_written: bool) -> BodyForm:
    """Return the format of `text`, which the caller said to be `content_type`.

    Raises:
        BodyFormMismatch: the text is HTML and was said to be Text; not with `as_written`.
    """
    if as_written:
        return BodyForm(content_type, text)
    notes: tuple[Note, ...] = ()
    mended = mend_escapes(text)
    if mended is not None:
        text, notes = mended, _note(_MENDED)
    fence = read_whole_fence(text)
    if fence:
        form = _read_fence(fence, text, content_type)
    elif content_type == "Text":
        form = _read_text(text)
    else:
        form = _read_markdown(text) if content_type == "Markdown" else _read_unsaid(text)
    return replace(form, notes=notes + form.notes)


def _note(sentence: str) -> tuple[Note, ...]:
    return (Note(Weight.FORM, sentence),)


def _read_fence(fence: Fence, text: str, said: str) -> BodyForm:
    """Read the content of the fence by its language; without one, as it would be read without the fence."""
    if fence.is_program and said != "Text":
        return BodyForm("Markdown", text, _note(_CODE))
    if fence.language == "html":
        form = _read_unsaid(fence.content)
    elif fence.language == "markdown":
        form = _as_markdown(fence.content)
    elif said == "Text":
        form = BodyForm("Text", fence.content)
    else:
        form = BodyForm("Plain", fence.content) if fence.language == "text" else _read_unsaid(fence.content)
    name = "plain text" if form.format in ("Plain", "Text") else form.format
    return replace(form, notes=_note(_UNFENCED.format(format=name)) + form.notes)


def _read_text(text: str) -> BodyForm:
    tags = find_tags(text)
    if is_only_blocks(text, tags) or (is_document(tags) and text.lstrip().startswith("<")):
        raise BodyFormMismatch(
            "'body' is HTML, and content_type says Text, so readers would see the tags.",
            advice='Use content_type "HTML", or repeat the call with as_written=true to send the tags as text.',
        )
    kinds = {
        "Markdown marks": find_marks(text.replace("\r\n", "\n")).spoil_plain_text,
        "HTML tags": bool(tags),
        "entities": has_entities(text),
    }
    found = [kind for kind, is_there in kinds.items() if is_there]
    return BodyForm("Text", text, _note(_MARK_IN_TEXT.format(what=listed(found))) if found else ())


def _read_markdown(text: str) -> BodyForm:
    tags = find_tags(text)
    if (is_document(tags) or is_only_blocks(text, tags)) and not _marks_of_html(text, tags).is_markdown:
        return BodyForm("HTML", text, _note(_AS_HTML))
    return BodyForm("Markdown", text, _note(_ESCAPED_IN_MARKDOWN) if not tags and _has_escaped_tags_only(text) else ())


def _read_unsaid(text: str) -> BodyForm:
    """Read a text whose format nobody said."""
    if text.count("<") > MAX_TAGS:  # the sanitizer refuses it
        return BodyForm("HTML", text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    tags = find_tags(lines)
    if tags:
        return _read_html(text, lines, tags)
    if _has_escaped_tags_only(lines):
        form = _read_unsaid(unescape(text))
        return replace(form, notes=_note(_UNESCAPED) + form.notes)
    marks = find_marks(lines)
    if marks.is_markdown and len(lines) <= MAX_CHARACTERS:
        return BodyForm("Markdown", lines, _note(_AS_MARKDOWN))
    # No `<` begins a tag here; escaped, none can be taken for one because of the <br> after it.
    form = _with_lines(text, lines.replace("<", "&lt;"), []) if has_entities(lines) else BodyForm("Plain", lines)
    return replace(form, notes=form.notes + (_note(_MARKS_AS_TEXT) if marks.spoil_plain_text else ()))


def _read_html(text: str, lines: str, tags: list[Tag]) -> BodyForm:
    """Read HTML: with block elements it stays HTML, with formatting alone it may be Markdown or a letter."""
    marks = _marks_of_html(lines, tags)
    if not marks.is_markdown:
        return _with_lines(text, lines, tags)
    if len(lines) <= MAX_CHARACTERS and _sets_lines_as_markdown(lines, tags):
        return BodyForm("Markdown", _BREAK_AND_LINE_END.sub("\n", lines), _note(_AS_MARKDOWN))
    if has_blocks(tags) or len(lines) > MAX_CHARACTERS:
        form = _with_lines(text, lines, tags)
        return replace(form, notes=form.notes + _note(_MARKS_IN_HTML))
    return BodyForm("Markdown", lines, _note(_AS_MARKDOWN))


def _sets_lines_as_markdown(lines: str, tags: list[Tag]) -> bool:
    """Return whether the lines are those of Markdown blocks, and `<br>` only breaks a line in them, as in a table."""
    if has_blocks([tag for tag in tags if tag.name != "br"]):
        return False
    marks = find_marks(lines)
    return marks.has_list or marks.has_other_block


def _with_lines(text: str, lines: str, tags: list[Tag]) -> BodyForm:
    kept = keep_line_breaks(lines, tags)
    return BodyForm("HTML", text) if kept == lines else BodyForm("HTML", kept, _note(_LINES_KEPT))


def _as_markdown(text: str) -> BodyForm:
    return BodyForm("Markdown" if len(text) <= MAX_CHARACTERS else "Plain", text)


def _marks_of_html(text: str, tags: list[Tag]) -> MarkdownMarks:
    return find_marks(visible_source(text, tags))


def _has_escaped_tags_only(text: str) -> bool:
    """Return whether the tags of `text`, all of them escaped, were meant as tags, and no sentence is about a tag."""
    if text.count("&lt;") > MAX_TAGS or not _ESCAPED_TAG.search(text):
        return False
    unescaped = unescape(text)
    return bool(find_tags(unescaped)) and not _NAMED_TAG.search(unescaped)
