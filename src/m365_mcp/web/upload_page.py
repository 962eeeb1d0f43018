"""The page behind an upload link: choose or drop one file, watch it go, read what arrived. Works by keyboard.

Nothing comes from elsewhere, and the policy lets only this script and this style run, named by their hashes (CSP 3).
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse, Response

from m365_mcp.errors import M365Error
from m365_mcp.web.responses import PAGE_HEADERS, plain_page, retry_header


def upload_page(name: str, size: int | None) -> Response:
    """Return the page that uploads the file of this name to the page's own address."""
    of_size = "" if size is None else f" ({size:,} bytes)"
    html = _PAGE.format(
        style=_STYLE, script=_SCRIPT, name=escape(name), of_size=of_size, size="" if size is None else size
    )
    policy = (
        f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(html, headers={**PAGE_HEADERS, "Content-Security-Policy": policy})


def refused_page(error: M365Error) -> Response:
    """Return `error` for a person who has opened a link that cannot be used."""
    text = (
        f"<p>{escape(error.sentence)}</p><h2>What to do</h2><p>{escape(error.advice)}</p>"
        f"<p class=reference>Code: {escape(error.code)}</p>"
    )
    return plain_page("No file can be uploaded here", text, error.status, retry_header(error))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --edge: #6e7781; --accent: #0a58ca; --bad: #b42318; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #161b22; --edge: #8b949e; --accent: #79b8ff; --bad: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0;
  display: grid; place-items: center; min-height: 100vh; }
main { width: min(34rem, calc(100vw - 2rem)); margin: 1rem 0; }
h1 { font-size: 1.3rem; } .name { overflow-wrap: anywhere; }
#drop { border: 2px dashed var(--edge); border-radius: 12px; padding: 1.5rem; }
#drop.over { border-color: var(--accent); }
label { display: block; margin-bottom: .5rem; font-weight: 600; }
input, button { font: inherit; max-width: 100%; }
button { margin-top: 1rem; padding: .4rem 1.2rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
progress { width: 100%; height: 1.2rem; margin-top: 1rem; accent-color: var(--accent); }
output { display: block; min-height: 1.5em; margin-top: .5rem; overflow-wrap: anywhere; }
output.bad { color: var(--bad); }
"""

_SCRIPT = """
"use strict";
const by = id => document.getElementById(id);
const [form, drop, file, button, bar, says] = ["form", "drop", "file", "button", "bar", "says"].map(by);
const wanted = form.dataset.size;

function say(text, bad) { says.textContent = text; says.className = bad ? "bad" : ""; }
function end(text, bad, again) {
  bar.hidden = true;
  file.disabled = button.disabled = !again;
  say(text, bad);
}
function answerOf(request) { try { return JSON.parse(request.responseText); } catch { return {}; } }
function finished(request) {
  const answer = answerOf(request);
  if (request.status === 201)
    return end(`${answer.name} has arrived: ${answer.size.toLocaleString()} bytes, SHA-256 ${answer.sha256}. ` +
      "You can close this page and tell your assistant.", false, false);
  end(answer.error_description || `The server answered ${request.status}.`, true, ![404, 410].includes(request.status));
}
function upload() {
  const chosen = file.files[0];
  if (!chosen) return say("Choose a file first.", true);
  if (wanted !== "" && chosen.size !== Number(wanted))
    return say(`This file has ${chosen.size.toLocaleString()} bytes; it is another one than was announced.`, true);
  const request = new XMLHttpRequest();
  request.upload.onprogress = event => {
    bar.value = event.loaded / event.total;
    say(`${Math.floor(100 * bar.value)} % on its way`, false);
  };
  request.upload.onload = () => say("Being attached…", false);
  request.onload = () => finished(request);
  request.onerror = () => end("The connection broke. Try again with the same link.", true, true);
  file.disabled = button.disabled = true;
  bar.hidden = false;
  bar.value = 0;
  say("0 % on its way", false);
  request.open("PUT", location.pathname);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(chosen);
}
form.addEventListener("submit", event => { event.preventDefault(); upload(); });
for (const name of ["dragenter", "dragover"])
  document.addEventListener(name, event => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"])
  document.addEventListener(name, event => { event.preventDefault(); drop.classList.remove("over"); });
document.addEventListener("drop", event => {
  if (file.disabled || !event.dataTransfer.files.length) return;
  file.files = event.dataTransfer.files;
  upload();
});
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>Upload a file</title><style>{style}</style></head><body><main>
<h1>Upload a file to attach to your mail</h1>
<p>Your assistant waits for <strong class="name">{name}</strong>{of_size}. It is attached under this name to a draft
in the mailbox of the person who asked for it. The link works once.</p>
<form id="form" data-size="{size}"><div id="drop">
<label for="file">Choose the file, or drop it here</label>
<input id="file" type="file" aria-describedby="says">
<div><button id="button">Upload</button></div>
<progress id="bar" max="1" value="0" aria-label="Upload" hidden></progress>
<output id="says" role="status"></output>
</div></form>
<noscript><p>Without scripts, upload it with the curl command your assistant was given.</p></noscript>
</main><script>{script}</script></body></html>
"""
