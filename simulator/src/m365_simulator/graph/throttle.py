"""Graph's limits for one app and mailbox: four requests at a time, so many in a window (page "Throttling limits")."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from m365_simulator.graph.problems import GraphError
from m365_simulator.tenant import Tenant


class Throttle:
    """Counts the requests of each mailbox."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._running: dict[str, int] = defaultdict(int)

    @contextmanager
    def place(self, mailbox: str) -> Iterator[None]:
        """Hold a place among the concurrent requests of a mailbox; GraphError 429 when there is none."""
        self._count(mailbox)
        if self._running[mailbox] >= self._tenant.switches.mailbox_concurrency:
            raise self.refusal("Application is over its MailboxConcurrency limit.")
        self._running[mailbox] += 1
        try:
            yield
        finally:
            self._running[mailbox] -= 1

    def check_upload(self, mailbox: str, size: int) -> None:
        """Raise GraphError 429 when so many bytes more are too many for the window."""
        switches, now = self._tenant.switches, self._tenant.clock.now()
        recent = self._tenant.mail.mailbox(mailbox).uploads
        while recent and recent[0][0] <= now - switches.upload_window_seconds:
            recent.popleft()
        if sum(count for _, count in recent) + size > switches.upload_window_bytes:
            raise self.refusal("Application is over its MailboxUpload limit.")

    def note_upload(self, mailbox: str, size: int) -> None:
        """Count bytes that were kept."""
        self._tenant.mail.mailbox(mailbox).uploads.append((self._tenant.clock.now(), size))

    def refusal(self, message: str) -> GraphError:
        """Return the 429 that a throttled request gets."""
        seconds = self._tenant.switches.throttle_retry_after
        return GraphError(
            429, "ApplicationThrottled", message, {} if seconds is None else {"Retry-After": str(seconds)}
        )

    def _count(self, mailbox: str) -> None:
        """Count a request; a rejected one counts as well (page "Throttling guidance")."""
        switches, now = self._tenant.switches, self._tenant.clock.now()
        recent = self._tenant.mail.mailbox(mailbox).requests
        recent.append(now)
        while recent and recent[0] <= now - switches.mailbox_window_seconds:
            recent.popleft()
        if len(recent) > switches.mailbox_requests:
            raise self.refusal("Application is over its request limit for this mailbox.")
