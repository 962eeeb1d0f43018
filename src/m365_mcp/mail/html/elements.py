"""The names of HTML: which words in angle brackets are elements, and which attributes stand without a value.

Sources: WHATWG HTML, "Elements" and "Obsolete features" (16.2); Office's and Gmail's own elements as their mails show.
"""

from __future__ import annotations

import re

from m365_mcp.mail.text import words

# Elements without an end tag.
VOID_ELEMENTS = words(
    "area base basefont bgsound br col command embed frame hr img image input keygen link meta nextid param source "
    "spacer track wbr"
)
# Without attributes, these say nothing; a person who writes one so writes about it.
EMPTY_WITHOUT_ATTRIBUTES = words("area base embed image img link meta param source track")
# Elements whose end tag may be missing (13.1.2.4), and those that people and programs forget to close.
OFTEN_LEFT_OPEN = words(
    "html head body p li dd dt tr td th thead tbody tfoot colgroup caption rt rp rb rtc optgroup option frameset "
    "plaintext div span table ul ol dl center font a b big code em i nobr s small strike strong sub sup tt u h1 h2 "
    "h3 h4 h5 h6 blockquote pre noscript svg math"
)
# What shows that one of these elements is meant although its end tag is missing: an element that only it contains.
CONTENT_OF = {
    "audio": "source",
    "datalist": "option",
    "details": "summary",
    "fieldset": "legend",
    "form": "input",
    "map": "area",
    "ruby": "rt",
    "select": "option",
    "video": "source",
}
# Elements whose content is text and no markup (13.1.2, and the obsolete ones of 16.2).
RAW_TEXT_ELEMENTS = words("script style xmp iframe noembed noframes textarea title plaintext")
_OTHERS = words(
    "abbr acronym address applet article aside audio bdi bdo blink button canvas cite data datalist dfn dir del "
    "details dialog fencedframe fieldset figcaption figure footer form header hgroup ilayer includetail ins isindex "
    "kbd label layer legend listing main map mark marquee menu menuitem meter multicol nav noindex nolayer object "
    "output picture portal progress q ruby samp search section select selectedcontent slot summary template time "
    "var video"
)
HTML_ELEMENTS = VOID_ELEMENTS | OFTEN_LEFT_OPEN | RAW_TEXT_ELEMENTS | _OTHERS

# Elements of Office, in the prefixes that its programs write: <o:p>, <v:shape>, <w:anchorlock>, <st1:place>, <u1:p>.
OFFICE_ELEMENT = re.compile(r"(?:[movwx]|st\d+|u\d+|mc|wp|wps):[a-z][a-z0-9]*", re.IGNORECASE)
CUSTOM_ELEMENT = re.compile(r"[a-z][a-z0-9._]*-[a-z0-9._-]*")  # WHATWG HTML 4.13.3

# Attributes that need no value (4.3 and the obsolete ones), and those that mail programs leave without one.
BOOLEAN_ATTRIBUTES = words(
    "allowfullscreen alt async autofocus autoplay checked compact controls declare default defer disabled draggable "
    "formnovalidate hidden inert ismap itemscope loop multiple muted nohref nomodule noresize noshade novalidate "
    "nowrap open playsinline readonly required reversed selected"
)
# Names that frameworks give to attributes: data-…, aria-…, v-…, @click, :class, #ref, [value], (click), _ngcontent-….
CUSTOM_ATTRIBUTE = re.compile(r"[a-z]+[-:_][\w:.-]*|[@:#*\[(_][\w:.\[\])-]+", re.IGNORECASE)
# Attributes of HTML (WHATWG HTML, "Attributes"), as far as they stand in mails; for telling a tag from a comparison.
KNOWN_ATTRIBUTES = BOOLEAN_ATTRIBUTES | words(
    "abbr accept accesskey action align alink axis background bgcolor border bordercolor cellpadding cellspacing "
    "char charset cite class classid clear code codebase color cols colspan content contenteditable coords data "
    "datetime dir download enctype face for form frame frameborder headers height href hreflang hspace id label "
    "lang language link list longdesc lowsrc max maxlength media method min name onclick onerror onload pattern "
    "placeholder poster prefix profile property rel rev role rows rowspan rules scope scrolling shape size sizes "
    "span spellcheck src srcdoc srclang srcset start step style summary tabindex target text title translate type "
    "usemap valign value valuetype version viewbox vlink vspace width wrap xmlns"
)
