"""Where the lines of the audit trail go: standard output, or a file. `http_output` has the HTTP collector.

Only the thread of the writer uses an output, so it may block.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Output(Protocol):
    """Takes lines, in order."""

    def resume(self) -> None:
        """Begin to send what an earlier process has left; returns at once."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Store the lines, so that they outlive this process. Raises OSError; then it has stored none of them."""

    def close(self) -> None:
        """Give back what is open."""


class StandardOutput:
    """Writes to standard output, for a container engine that collects it."""

    def resume(self) -> None:
        """Return: an earlier process has left nothing."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Write the lines at once; workers write to one pipe, which would mix long writes while it is full."""
        with _alone_on(sys.stdout.fileno()):
            sys.stdout.buffer.write(b"".join(lines))
            sys.stdout.buffer.flush()

    def close(self) -> None:
        """Leave standard output open."""


@contextmanager
def _alone_on(descriptor: int) -> Iterator[None]:
    """Have other processes that write to the same file or stream wait, where the system can lock it."""
    is_locked = False
    if fcntl is not None:
        with suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            is_locked = True
    try:
        yield
    finally:
        if fcntl is not None and is_locked:
            fcntl.lockf(descriptor, fcntl.LOCK_UN)


@dataclass
class FileOutput:
    """Appends to a file, and returns only when the disk has the lines.

    Several processes may append to one file, one at a time; every line names its chain.

    Attributes:
        path: the file; it is made if it is missing, readable by its owner only.
    """

    path: Path
    _file: int | None = field(default=None, init=False, repr=False)

    def resume(self) -> None:
        """Return: an earlier process has left nothing."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Append the lines and wait for the disk. Raises OSError; a torn line is ended before the next write."""
        if self._file is None:
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            with _alone_on(self._file):
                content = (b"\n" if _is_torn(self._file) else b"") + b"".join(lines)
                written = os.write(self._file, content)
            os.fsync(self._file)
        except OSError:
            self.close()  # the folder may have been replaced, as a volume that was mounted again
            raise
        if written != len(content):
            raise OSError("the disk took a part of the lines only")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _is_torn(file: int) -> bool:
    """Return whether the last line has no end, because a process died while it wrote, or the disk was full."""
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"
