"""The mails of the demo's mailbox page, sent through the server's own tools: what is seen there was really composed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from fastmcp import Client

from m365_mcp.errors import InternalError

ADA = "Ada Lovelace <ada@contoso.example>"
GRACE = "Grace Hopper <grace@contoso.example>"


@dataclass(frozen=True)
class Mail:
    """A mail of the demo; its text is a file in `mails/`."""

    to: str
    subject: str
    file: str
    content_type: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `send_mail`."""
        return {"to": [self.to], "subject": self.subject, "body": text_of(self.file), "content_type": self.content_type}


QUESTION = Mail(ADA, "Room on Thursday?", "question.txt", "Text")
FROM_ADA = (
    Mail(GRACE, "The garden in November", "newsletter.html", "HTML"),
    Mail(GRACE, "The sum is right now", "code.md", "Markdown"),
    Mail(GRACE, "會議記錄", "chinese.md", "Markdown"),
)


def text_of(file: str) -> str:
    """Return the text of a mail."""
    return files(__package__).joinpath("mails", file).read_text("utf-8")


async def ask(grace: Client[Any]) -> None:
    """Let Grace, who is signed in, send Ada a question."""
    await grace.call_tool("send_mail", QUESTION.arguments)


async def write(ada: Client[Any]) -> list[str]:
    """Let Ada send her mails; return the subjects that Grace finds in her mailbox."""
    for mail in FROM_ADA:
        await ada.call_tool("send_mail", mail.arguments)
    return [mail.subject for mail in FROM_ADA]


async def reply(ada: Client[Any]) -> str:
    """Let Ada answer Grace's question; return the subject of the answer."""
    listed = (await ada.call_tool("list_messages", {"top": 1})).structured_content or {}
    if [one["subject"] for one in listed["messages"]] != [QUESTION.subject]:
        raise InternalError("Grace's question did not arrive in Ada's mailbox.")
    answer = {
        "message_id": listed["messages"][0]["message_id"],
        "body": text_of("answer.md"),
        "content_type": "Markdown",
    }
    await ada.call_tool("reply", answer)
    return f"RE: {QUESTION.subject}"
