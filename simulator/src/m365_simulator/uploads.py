"""Upload sessions: how far each file has come. The bytes are counted and hashed, never kept."""

import hashlib
import secrets
from dataclasses import dataclass, field

from m365_simulator.mail import Attachment, new_id


@dataclass(slots=True)
class UploadSession:
    """A file on its way into a draft; `message` is the draft's immutable id, `expires_at` is in epoch seconds."""

    person: str
    message: str
    name: str
    content_type: str
    size: int
    is_inline: bool
    content_id: str | None
    expires_at: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    id: str = field(default_factory=new_id)
    received: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def complete(self) -> bool:
        """Whether every byte is there."""
        return self.received == self.size

    def keep(self, digest: "hashlib._Hash", count: int) -> None:
        """Take over a whole range: the digest up to its end, and its length."""
        self.digest = digest
        self.received += count

    def as_attachment(self) -> Attachment:
        """Return what the draft gets once the file is complete."""
        return Attachment(
            self.name, self.content_type, self.size, self.is_inline, self.digest.hexdigest(), self.content_id
        )


class Uploads:
    """The open sessions by the token in their address."""

    def __init__(self) -> None:
        self._open: dict[str, UploadSession] = {}

    def open(self, session: UploadSession) -> None:
        """Add a session."""
        self._open[session.token] = session

    def find(self, token: str, now: float) -> UploadSession | None:
        """Return the session unless it has expired."""
        session = self._open.get(token)
        return session if session is not None and now < session.expires_at else None

    def close(self, session: UploadSession) -> None:
        """Forget a session: it is complete or was cancelled."""
        self._open.pop(session.token, None)

    @property
    def count(self) -> int:
        """How many sessions are open."""
        return len(self._open)
