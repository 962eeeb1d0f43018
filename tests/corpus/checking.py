"""The check: a body is composed, and what its reader sees is what its writer saw, save what the warnings name.

The composer is an argument, so that tests can show that the check notices a bad one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from m365_mcp.errors import M365Error
from m365_mcp.mail import MailRules, MessageRequest, compose_message
from tests.corpus.bodies import Body
from tests.corpus.chromium import Chromium, Run, Seen
from tests.corpus.differences import contrast_pairs, differences, stand_side_by_side

LEGIBLE = 3.0  # WCAG 2.2, success criterion 1.4.3: the least contrast of large text
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True)
class Composed:
    """What leaves: the body, its type, what the receipt says about it, and its inline pictures by content id."""

    content: str
    content_type: str
    warnings: tuple[str, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def document(self) -> str:
        """The HTML as a mail program shows it, with its pictures."""
        return show_pictures(self.content, self.pictures)


Composer = Callable[[Body], Composed]


@dataclass(frozen=True)
class Failure:
    """A body that does not arrive as it was meant, and why."""

    body: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.body}: {self.sentence}"


@dataclass(frozen=True)
class Result:
    """The failures, and the largest fall of contrast: the word, its contrast before and after."""

    failures: tuple[Failure, ...]
    largest_loss: tuple[str, float, float]

    @property
    def failed(self) -> set[str]:
        """The names of the bodies that failed."""
        return {failure.body for failure in self.failures}


def compose(body: Body) -> Composed:
    """Compose `body` as `send_mail` does."""
    files = [
        {"name": f"{cid}.png", "content_base64": base64.b64encode(PIXEL).decode(), "content_id": cid}
        for cid in body.pictures
    ]
    request = MessageRequest(
        to=["grace@contoso.example"], subject="Corpus", body=body.text, content_type=body.said, attachments=files
    )
    message = compose_message(request, MailRules())
    pictures = {file.content_id: file.content for file in message.attachments if file.content_id}
    return Composed(message.body, message.content_type, message.warnings, pictures)


def show_pictures(html: str, pictures: Mapping[str, bytes]) -> str:
    """Put `pictures` in the place of the cid: addresses (RFC 2392) that name them."""

    def put(address: re.Match[str]) -> str:
        content = pictures.get(unquote(address[1]))
        return address[0] if content is None else f"data:image/png;base64,{base64.b64encode(content).decode()}"

    return re.sub(r"cid:([^\"'\s>)]+)", put, html, flags=re.IGNORECASE)


def check(bodies: Sequence[Body], chromium: Chromium, composer: Composer = compose) -> Result:
    """Compose all `bodies` and compare what is seen before and after."""
    composed: dict[str, Composed] = {}
    failures: list[Failure] = []
    for body in bodies:
        try:
            composed[body.name] = composer(body)
        except M365Error as error:
            failures.append(Failure(body.name, f"refused with {error.code}"))
    done = [body for body in bodies if body.name in composed]
    seen = chromium.see([as_written(body) for body in done] + [composed[body.name].document for body in done])
    largest = ("", 1.0, 1.0)
    for body, original, arrived in zip(done, seen[: len(done)], seen[len(done) :], strict=True):
        before, after = _as_written(body, original), _as_read(composed[body.name], arrived)
        failures += [Failure(body.name, why) for why in _compare(body, before, after, composed[body.name].warnings)]
        largest = max([largest, *_contrasts(before, after)], key=lambda loss: loss[1] / loss[2])
    return Result(tuple(failures), largest)


def as_written(body: Body) -> str:
    """Return the body as the HTML document that its writer sees, with the pictures that come with it."""
    return show_pictures(body.text, dict.fromkeys(body.pictures, PIXEL))


def _as_written(body: Body, original: Seen) -> Seen:
    if body.expected is not None or body.kind != "html":
        return Seen(body.text if body.expected is None else body.expected)
    return original


def _as_read(composed: Composed, arrived: Seen) -> Seen:
    return arrived if composed.content_type == "HTML" else Seen(composed.content)


def _compare(body: Body, before: Seen, after: Seen, warnings: tuple[str, ...]) -> Iterator[str]:
    is_plain = body.kind == "text" and body.expected is None
    named = (*warnings, *before.links)  # a link that showed a picture only may show its address
    yield from differences(before.text, after.text, named, exact_lines=body.is_exact_in_lines, paragraphs=is_plain)
    yield from _fallen_contrasts(before, after)
    yield from _lost_columns(body, before, after)
    if after.presentation < before.presentation:
        yield f'{before.presentation} tables had role="presentation", now {after.presentation}'


def _contrasts(before: Seen, after: Seen) -> Iterator[tuple[str, float, float]]:
    return contrast_pairs(_words(before.runs), _words(after.runs))


def _words(runs: Sequence[Run]) -> list[tuple[str, float | None]]:
    return [(word, run.contrast) for run in runs for word in run.text.split()]


def _fallen_contrasts(before: Seen, after: Seen) -> Iterator[str]:
    fallen = [one for one in _contrasts(before, after) if one[1] >= LEGIBLE > one[2]]
    if fallen:
        word, old, new = max(fallen, key=lambda one: one[1] / one[2])
        yield f"{len(fallen)} words fell below a contrast of {LEGIBLE}; {word!r} from {old:.1f} to {new:.1f}"


def _lost_columns(body: Body, before: Seen, after: Seen) -> Iterator[str]:
    for group in body.columns:
        for seen, when in ((before, "as written"), (after, "as it arrives")):
            boxes = [run.box for text in group for run in seen.runs if " ".join(run.text.split()).startswith(text)]
            if len(boxes) != len(group) or not stand_side_by_side(boxes):
                yield f"no columns {when}: {', '.join(group)}"
                break
