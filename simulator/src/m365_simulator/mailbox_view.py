"""What the mailbox page shows: people, folders, the list and the reading pane. The markup is in `templates/`."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from m365_simulator.mail import Folder, Message, Recipient
from m365_simulator.people import Person
from m365_simulator.templating import render
from m365_simulator.tenant import Tenant

FOLDERS = {"inbox": "Inbox", "sent": "Sent Items", "drafts": "Drafts", "outbox": "Outbox"}
GRAPH_NAMES: dict[str, Folder] = {"inbox": "inbox", "sent": "sentitems", "drafts": "drafts", "outbox": "outbox"}


@dataclass(frozen=True, slots=True)
class View:
    """What the page is to show; `message` is the id of the open one, or its Message-ID."""

    person: Person
    folder: str
    message: str | None = None

    @property
    def folder_title(self) -> str:
        """The name of the folder, for people."""
        return FOLDERS[self.folder]

    def names(self, message: Message) -> bool:
        """Return whether this is the open one."""
        return self.message in (message.id, message.immutable_id, message.internet_message_id)

    def link(self, **changes: str | None) -> str:
        """Return the address of this view with changes; None leaves a parameter out."""
        wanted = {"person": self.person.name, "folder": self.folder, "message": self.message} | changes
        return "/?" + urlencode({name: value for name, value in wanted.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Reading:
    """The open message, as the reading pane shows it."""

    message: Message

    @property
    def when(self) -> float:
        """When it was sent, when it will be, or when the draft was made."""
        return self.message.visible_at or self.message.created_at

    @property
    def when_label(self) -> str:
        """What happened, or happens, at that time."""
        if not self.message.is_draft:
            return "Sent"
        return "To be sent" if self.message.visible_at else "Prepared"

    @property
    def people(self) -> Iterator[tuple[str, tuple[Recipient, ...]]]:
        """Everybody the message names, by what they are to it."""
        message = self.message
        labelled = (
            ("From", (message.from_,)),
            ("Sender", (message.sender,) if message.sender.address != message.from_.address else ()),
            ("To", message.to),
            ("Cc", message.cc),
            ("Bcc", message.bcc),
            ("Reply to", message.reply_to),
        )
        return ((label, recipients) for label, recipients in labelled if recipients)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers that are shown."""
        message = self.message
        return (
            ("Message-ID", message.internet_message_id),
            ("Importance", message.importance),
            *message.headers,
        )

    @property
    def document(self) -> str:
        """The page inside the frame of an HTML mail: no scripts, no forms, nothing from the network."""
        return render("mail_frame.html", content=self.message.content)


def mailbox_html(tenant: Tenant, view: View) -> str:
    """Return the whole page."""
    messages = tenant.mail.mailbox(view.person.name).folder(GRAPH_NAMES[view.folder])[::-1]
    opened = next((message for message in messages if view.names(message)), None)
    return render(
        "mailbox.html",
        view=view,
        people=tenant.people.values(),
        folders=FOLDERS,
        messages=[Reading(message) for message in messages],
        opened=Reading(opened) if opened else None,
        revision=tenant.mail.fingerprint(),
    )
