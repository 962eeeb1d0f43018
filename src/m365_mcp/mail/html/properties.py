"""The CSS properties that a mail may use, and those whose removal a reader notices."""

from __future__ import annotations

from m365_mcp.mail.text import words

_SIDES = ("top", "right", "bottom", "left")
_BOXES = {f"{box}{side}" for box in ("margin", "padding", "border") for side in ("", *(f"-{side}" for side in _SIDES))}
_LINES = {f"border{side}-{part}" for side in ("", *(f"-{s}" for s in _SIDES)) for part in ("color", "style", "width")}
_CORNERS = {f"border-{y}-{x}-radius" for y in ("top", "bottom") for x in ("left", "right")}

# Columns: flex and grid. Not `grid-row` and `grid-area`, which can put one text over another.
COLUMNS = words(
    "align-content align-items align-self column-gap flex flex-basis flex-direction flex-flow flex-grow flex-shrink "
    "flex-wrap gap grid-auto-flow grid-column grid-column-gap grid-gap grid-row-gap grid-template-columns "
    "justify-content justify-items justify-self order place-content place-items place-self row-gap"
)
# Fonts, colours, sizes, alignment, tables, lists. Not properties that hide, move or cover text (position, visibility,
# opacity, z-index, overflow, clip, transform) or add text (content).
ALLOWED_PROPERTIES = frozenset(
    _BOXES
    | _LINES
    | _CORNERS
    | COLUMNS
    | words(
        "background background-color border-collapse border-radius border-spacing box-sizing caption-side clear color "
        "direction display empty-cells float font font-family font-size font-style font-variant font-weight height "
        "letter-spacing line-height list-style list-style-position list-style-type max-height max-width min-height "
        "min-width overflow-wrap table-layout text-align text-decoration text-decoration-color text-decoration-line "
        "text-decoration-style text-indent text-transform vertical-align white-space width word-break word-spacing "
        "word-wrap"
    )
)
SIZES = words("height max-height max-width min-height min-width width") | {
    name for name in _BOXES if name.startswith("padding")
}
SIZE_FUNCTIONS = frozenset({"calc", "min", "max", "clamp"})
COLUMN_FUNCTIONS = SIZE_FUNCTIONS | {"repeat", "minmax", "fit-content"}

# Not allowed, and missed where they stood. All others (shadows, transitions, mso-…, -webkit-…) go without a word.
NOTICED_PROPERTIES = words(
    "aspect-ratio backdrop-filter clip clip-path column-count column-width columns content filter grid-area grid-row "
    "grid-template grid-template-areas grid-template-rows mask mix-blend-mode object-fit position rotate scale "
    "text-orientation transform translate writing-mode zoom"
)
# With these values, the properties above do nothing.
NEUTRAL_VALUES = words(
    "0 0% 0deg 0px 1 1.0 100% auto fill horizontal-tb inherit initial mixed none normal revert static unset"
)
