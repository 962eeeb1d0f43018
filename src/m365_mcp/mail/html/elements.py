"""The names of HTML: its elements by kind, and the attributes that stand without a value.

Sources: WHATWG HTML, "Elements" and "Obsolete features" (16.2); Office's and Gmail's own elements as their mails show.
"""

from __future__ import annotations

import re

from m365_mcp.mail.text import words

# Elements inside a line. A parser opens some of them again in every new paragraph (13.2.4.3).
FORMATTING = words(
    "a abbr b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub sup tt u var"
)
# Elements that are a box of their own by the style sheet of a browser (15.3), as far as a mail may have them.
BLOCK_ELEMENTS = words(
    "address article aside blockquote center dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li main "
    "nav ol p pre section ul"
)
TABLE_ELEMENTS = words("caption col colgroup table tbody td tfoot th thead tr")
# Elements with an optional end tag (13.1.2.4) that a browser closes itself; it never nests two of a kind.
OPTIONAL_END_TAG = words("p li dd dt tr td th thead tbody tfoot colgroup caption")
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
