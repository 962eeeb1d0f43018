"""Originals that try to hide or to cover what stands above them; each is HTML as Graph puts it into a draft."""

from __future__ import annotations

_COVER = "background:#fff;color:#fff;width:100%;height:2000px"
_FIXED = f"position:fixed;top:0;left:0;{_COVER}"

# Each of these hides the text above when it is put below it unchanged, as the control in the test shows.
HIDING = {
    "style: divs hidden": "<style>div{display:none}</style><p>Hi</p>",
    "style: everything white": "<style>*{color:#fff!important}</style><p>Hi</p>",
    "style: no font size": "<style>body{font-size:0!important}</style><p>Hi</p>",
    "style: invisible body": "<html><head><style>body{visibility:hidden}</style></head><body><p>Hi</p></body></html>",
    "style: transparent": "<style>html{opacity:0}</style><p>Hi</p>",
    "style: first child": "<style>body>:first-child{height:0;overflow:hidden}</style><p>Hi</p>",
    "style: far to the left": "<style>div{text-indent:-9999px}</style><p>Hi</p>",
    "style: generated cover": f"<style>body::before{{content:'x';{_FIXED}}}</style><p>Hi</p>",
    "style: fixed class": f"<style>.x{{{_FIXED}}}</style><div class=x>Hi</div>",
    "style: imported": "<style>@import url('data:text/css,div{display:none}');</style><p>Hi</p>",
    "style sheet by link": '<link rel="stylesheet" href="data:text/css,div%7Bdisplay:none%7D"><p>Hi</p>',
    "style in svg": "<svg><style>div{display:none}</style></svg><p>Hi</p>",
    "style in a conditional comment": "<!--[if !mso]><!--><style>div{display:none}</style><!--<![endif]--><p>Hi</p>",
    "style behind a closed body": "<p>Hi</p></body></html><style>div{display:none}</style>",
    "fixed overlay": f'<div style="{_FIXED}">Hi</div>',
    "absolute overlay": f'<div style="position:absolute;top:0;left:0;z-index:9;{_COVER}">Hi</div>',
    "shifted up": f'<div style="position:relative;top:-1500px;{_COVER}">Hi</div>',
    "transformed": f'<div style="transform:translateY(-1500px);{_COVER}">Hi</div>',
    "negative margin": f'<span style="display:inline-block;margin-top:-1500px;{_COVER}">Hi</span>',
    "negative margin of a table": f'<table style="display:inline-table;margin:-1500px 0 0;{_COVER}"><td>Hi</table>',
    "negative margin of a picture": f'<img src="cid:a" alt="Hi" style="margin-top:-1500px;{_COVER}">',
    "font over a low line": '<div style="line-height:0;font-size:900px"><span style="background:#fff">X</span></div>',
    "dialog": f'<dialog open style="position:fixed;inset:0;margin:0;max-width:none;{_COVER}">Hi</dialog>',
    "script": "<script>document.body.textContent=''</script><p>Hi</p>",
    "event handler": "<img src=x onerror=\"document.body.textContent=''\"><p>Hi</p>",
}
# Each of these is odd, and must neither hide the text above nor lose its own words.
ODD = {
    "open comment": "<p>Hi</p><!-- <p>lost</p>",
    "open tag": "<p>Hi</p><div title='",
    "stray closers": "</div></div></td></table></body></html><p>Hi</p>",
    "closers and a new page": "</div></body></html><html><body bgcolor=black text=white><p>Hi</p>",
    "redirect": '<meta http-equiv="refresh" content="0;url=about:blank"><p>Hi</p>',
    "base": '<base href="https://evil.example/" target="_blank"><p>Hi</p>',
    "frameset": "<html><frameset cols='50%,50%'><frame src=a></frameset><noframes>-</noframes></html>",
    "plaintext": "<p>Hi</p><plaintext></div>",
    "open table": "<table><tr><td>Hi",
    "open select": "<select><option>Hi",
    "template": "<template><p>x</p></template><p>Hi</p>",
    "textarea": "<p>Hi</p><textarea></div>",
    "title": "<title><body></title><p>Hi</p>",
    "deeply nested": "<div>" * 400 + "Hi",
    "too many elements": "<p>Hi</p>" + "<b>x</b>" * 40_000,
    "nothing": "",
}
