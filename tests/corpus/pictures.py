"""Pictures of bodies before and after composing.

`make test ARGS="--corpus-pictures=build/corpus"` keeps one of each body, with a page that shows them all.
`python -m tests.corpus.pictures` makes the pictures of docs/composing.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tests.corpus.bodies import Body, corpus
from tests.corpus.checking import Composed, Result, as_written, check, compose
from tests.corpus.chromium import Chromium, Panel, open_chromium

READING_PANE, PHONE = 600, 390  # pixels
DOCS = Path(__file__).parents[2] / "docs" / "images"
# The six of docs/composing.md, and how many pixels of each are shown.
SHOWN = {
    "letter.txt": ("lines", 520),
    "markdown-unsaid.md": ("markdown", 520),
    "claude-report-style-block.html": ("style", 450),
    "claude-gradient-mail.html": ("gradient", 200),
    "developer.md": ("code", 520),
    "zh-Hant.md": ("chinese", 520),
}


def keep_pictures(bodies: Sequence[Body], chromium: Chromium, result: Result, folder: Path) -> None:
    """Write a picture of each body into `folder`, before and after, for a reading pane and for a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    for body in bodies:
        before, after = _documents(body, compose(body))
        chromium.picture([*_panels(before, after, READING_PANE), *_panels(before, after, PHONE)], _file(folder, body))
    (folder / "index.html").write_text(_index(bodies, result))


def _file(folder: Path, body: Body) -> Path:
    return folder / f"{body.name}.jpeg"


def _panels(before: str, after: str, width: int, height: int = 1600) -> list[Panel]:
    return [Panel("as written", before, width, height), Panel("as it arrives", after, width, height)]


def _documents(body: Body, composed: Composed) -> tuple[str, str]:
    before = as_written(body) if body.kind == "html" and body.expected is None else _as_text(body.text)
    return before, composed.document if composed.content_type == "HTML" else _as_text(composed.content)


def _as_text(text: str) -> str:
    style = "margin:8px;white-space:pre-wrap;font:13px/1.45 'DejaVu Sans Mono',Consolas,monospace"
    return f'<meta charset="utf-8"><body style="{style}">{escape(text)}'


def _index(bodies: Sequence[Body], result: Result) -> str:
    word, before, after = result.largest_loss
    rows = [f"<h2>{escape(body.name)}</h2><img src='{escape(body.name)}.png' loading=lazy>" for body in bodies]
    failures = "".join(f"<li>{escape(str(failure))}</li>" for failure in result.failures)
    return (
        f"<!doctype html><meta charset=utf-8><title>The corpus</title><h1>{len(bodies)} bodies</h1><p>The largest loss "
        f"of contrast: {escape(word)}, from {before:.2f} to {after:.2f}.</p><ul>{failures}</ul>{''.join(rows)}"
    )


def main() -> None:
    """Write the pictures of the documents, and print what the check says of the whole corpus."""
    with open_chromium() as chromium:
        for body in corpus():
            if body.name in SHOWN:
                name, height = SHOWN[body.name]
                panels = _panels(*_documents(body, compose(body)), 440, height)
                chromium.picture(panels, DOCS / f"composing-{name}.png")
        result = check(corpus(), chromium)
    word, old, new = result.largest_loss
    lines = [f"{len(corpus())} bodies, {len(result.failed)} fail.", *map(str, result.failures)]
    print(*lines, f"Largest loss of contrast: {word!r}, {old:.2f} to {new:.2f}.", sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
