"""Writes the mailbox page: people, folders, the list and the reading pane. All text of a message is escaped.

Functions named `*_html` return markup that is safe to insert.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlencode

from m365_simulator.mail import Folder, Message, Recipient
from m365_simulator.pages import RIBBON, initials_html
from m365_simulator.people import Person
from m365_simulator.tenant import Tenant

FOLDERS = {"inbox": "Inbox", "sent": "Sent Items", "drafts": "Drafts", "outbox": "Outbox"}
GRAPH_NAMES: dict[str, Folder] = {"inbox": "inbox", "sent": "sentitems", "drafts": "drafts", "outbox": "outbox"}
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""No scripts, no forms, nothing from the network."""
MAIL_STYLE = (
    "html{color-scheme:light;background:#fff;color:#1b1f24}body{font:15px/1.5 system-ui,sans-serif;margin:16px}"
)


@dataclass(frozen=True, slots=True)
class View:
    """What the page is to show; `message` is the id of the open one, or its Message-ID."""

    person: Person
    folder: str
    message: str | None = None

    def names(self, message: Message) -> bool:
        """Tell whether this is the open one."""
        return self.message in (message.id, message.immutable_id, message.internet_message_id)

    def link(self, **changes: str | None) -> str:
        """Return the address of this view with changes; None leaves a parameter out."""
        wanted = {"person": self.person.name, "folder": self.folder, "message": self.message} | changes
        return escape("/?" + urlencode({name: value for name, value in wanted.items() if value is not None}))


def page_html(tenant: Tenant, view: View) -> str:
    """Return the whole page."""
    messages = _messages(tenant, view)
    opened = next((message for message in messages if view.names(message)), None)
    state = "reading" if opened else "listing"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{FOLDERS[view.folder]}, {escape(view.person.display_name)} (simulator)</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/assets/style.css"><link rel="icon" href="data:,">'
        '<script src="/assets/mailbox.js" defer></script></head>'
        f'<body class="wide {state}" data-revision="{tenant.mail.fingerprint()}">'
        f'<p class="ribbon">{RIBBON}</p><header><h1>Simulated mailboxes</h1>{_people_html(tenant, view)}</header>'
        f"<main>{_list_pane_html(view, messages, opened)}{_reading_pane_html(view, opened, bool(messages))}</main>"
        '<p id="live" class="unseen" role="status" aria-live="polite"></p></body></html>'
    )


def _messages(tenant: Tenant, view: View) -> list[Message]:
    """Return the messages of the folder, newest first."""
    return tenant.mail.mailbox(view.person.name).folder(GRAPH_NAMES[view.folder])[::-1]


def _people_html(tenant: Tenant, view: View) -> str:
    links = []
    for person in tenant.people.values():
        current = ' aria-current="true"' if person.name == view.person.name else ""
        target = view.link(person=person.name, message=None)
        links.append(
            f'<a href="{target}"{current}>{initials_html(person.display_name)}{escape(person.display_name)}</a>'
        )
    return f'<nav id="people" aria-label="People">{"".join(links)}</nav>'


def _list_pane_html(view: View, messages: list[Message], opened: Message | None) -> str:
    tabs = []
    for folder, title in FOLDERS.items():
        current = ' aria-current="page"' if folder == view.folder else ""
        tabs.append(f'<a href="{view.link(folder=folder, message=None)}"{current}>{title}</a>')
    rows = "".join(_row_html(view, message, opened) for message in messages)
    filled = f'<ol class="rows">{rows}</ol>' if messages else _empty_html(view)
    return (
        f'<section id="list" class="pane" aria-label="{FOLDERS[view.folder]}" data-count="{len(messages)}">'
        f'<nav class="tabs" aria-label="Folders">{"".join(tabs)}</nav>{filled}</section>'
    )


def _empty_html(view: View) -> str:
    name = escape(view.person.given_name)
    if not view.person.licensed:
        return (
            f'<div class="empty"><p><strong>No mailbox</strong></p><p>{name} has no Exchange Online licence.</p></div>'
        )
    wait = {
        "inbox": "What arrives",
        "sent": f"What {name} sends",
        "drafts": f"What {name} prepares",
        "outbox": f"What {name} sends later",
    }[view.folder]
    return f'<div class="empty"><p><strong>No mail yet</strong></p><p>{wait} appears here by itself.</p></div>'


def _row_html(view: View, message: Message, opened: Message | None) -> str:
    current = ' aria-current="true"' if message is opened else ""
    other = message.from_.name or message.from_.address
    if view.folder != "inbox":
        other = "To " + ", ".join(recipient.name or recipient.address for recipient in message.recipients)
    return (
        f'<li><a data-id="{escape(message.id)}" href="{view.link(message=message.id)}"{current}>'
        f'<span class="other">{escape(other)}</span>'
        f'{_time_html(_when(message), "%d %b %H:%M")}<span class="subject">{_subject_html(message)}</span></a></li>'
    )


def _reading_pane_html(view: View, message: Message | None, any_mail: bool) -> str:
    if message is None:
        hint = "Choose a message to read it." if any_mail else "There is nothing to read yet."
        return (
            f'<section id="reading" class="pane" aria-label="Message"><div class="empty"><p>{hint}</p></div></section>'
        )
    people = "".join(
        f"<dt>{label}</dt><dd>{_recipients_html(recipients)}</dd>"
        for label, recipients in (
            ("From", (message.from_,)),
            ("Sender", (message.sender,) if message.sender.address != message.from_.address else ()),
            ("To", message.to),
            ("Cc", message.cc),
            ("Bcc", message.bcc),
            ("Reply to", message.reply_to),
        )
        if recipients
    )
    return (
        '<section id="reading" class="pane" aria-label="Message"><article>'
        f'<a class="back" href="{view.link(message=None)}">Back to {FOLDERS[view.folder]}</a>'
        f'<h2>{_subject_html(message)}</h2><dl class="facts">{people}<dt>{_label(message)}</dt>'
        f"<dd>{_time_html(_when(message), '%A, %d %B %Y, %H:%M:%S UTC')}</dd></dl>"
        f"{_attachments_html(message)}{_headers_html(message)}{_body_html(message)}</article></section>"
    )


def _when(message: Message) -> float:
    """When it was sent, when it will be, or when the draft was made."""
    return message.visible_at or message.created_at


def _label(message: Message) -> str:
    if not message.is_draft:
        return "Sent"
    return "To be sent" if message.visible_at else "Prepared"


def _body_html(message: Message) -> str:
    if message.content_type == "Text":
        return f'<pre class="text">{escape(message.content)}</pre>'
    document = (
        '<!doctype html><html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{MAIL_POLICY}">'
        f"<style>{MAIL_STYLE}</style></head><body>{message.content}</body></html>"
    )
    return f'<iframe class="mail" title="Text of the message" sandbox="" srcdoc="{escape(document)}"></iframe>'


def _headers_html(message: Message) -> str:
    pairs = (("Message-ID", message.internet_message_id), ("Importance", message.importance), *message.headers)
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<details><summary>Headers</summary><dl class="facts">{rows}</dl></details>'


def _attachments_html(message: Message) -> str:
    if not message.attachments:
        return ""
    items = "".join(f"<li>{escape(item.name)} <small>{item.size:,} bytes</small></li>" for item in message.attachments)
    return f'<ul class="attachments" aria-label="Attachments">{items}</ul>'


def _recipients_html(recipients: tuple[Recipient, ...]) -> str:
    return ", ".join(
        f"{escape(r.name)} &lt;{escape(r.address)}&gt;" if r.name and r.name != r.address else escape(r.address)
        for r in recipients
    )


def _subject_html(message: Message) -> str:
    return escape(message.subject) or "<em>(no subject)</em>"


def _time_html(seconds: float, pattern: str) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when.strftime(pattern)}</time>'
