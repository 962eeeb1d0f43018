"""The spool: a folder with the lines that the collector does not have yet, one file for each write.

The files outlive the process. Their names sort by time, so the oldest lines are sent first.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import Gauge

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BLOCK = 4096  # bytes that a small file takes on most disks
MEASURED_SECONDS = 5.0  # how long a measure is good for; other processes may use the folder, too
BATCH_BYTES = 512 * 1024  # what one request takes at most; a bigger file is sent alone
_END = ".ndjson"
_counter = itertools.count()


@dataclass
class Spool:
    """A bounded folder of lines.

    Attributes:
        folder: the folder; it is made if it is missing.
        max_bytes: how much may be in it.
        size: shows how many bytes are in it.
    """

    folder: Path
    max_bytes: int
    size: Gauge
    _bytes: int = field(default=-1, init=False)  # below 0: not measured yet
    _measured_at: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def append(self, lines: Sequence[bytes]) -> None:
        """Store the lines and wait for the disk. Raises OSError; ENOSPC if the spool is full."""
        content = b"".join(lines)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        needed = _on_disk(len(content))
        if not self._has_room(needed):
            raise OSError(errno.ENOSPC, "the spool is full")
        name = f"{time.time_ns():020}-{os.getpid()}-{next(_counter):08}"
        unfinished = self.folder / f"{name}.part"
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self.folder / f"{name}{_END}")
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        self._change(needed)

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Yield whether this process may send now: of several that share the folder, one does at a time."""
        if fcntl is None or not self.folder.is_dir():
            yield True
            return
        opened = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield _locks(opened)
        finally:
            os.close(opened)  # and with it the lock, as when the process dies

    def batch(self) -> list[Path]:
        """Return the oldest files, as many as one request takes. Raises OSError."""
        chosen: list[Path] = []
        total = 0
        for file in self._files():
            total += _size_of(file)
            if chosen and total > BATCH_BYTES:
                break
            chosen.append(file)
        return chosen

    def remove(self, files: Sequence[Path]) -> None:
        """Remove files whose lines the collector has. Raises OSError."""
        freed = 0
        for file in files:
            try:
                freed += _on_disk(file.stat().st_size)
                file.unlink()
            except FileNotFoundError:  # another process has sent it, too
                continue
        self._change(-freed)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_END}"))

    def _has_room(self, needed: int) -> bool:
        """Return whether so many bytes fit; the folder is measured at first, when it seems full, and now and then."""
        is_old = time.monotonic() - self._measured_at > MEASURED_SECONDS
        if is_old or self._bytes < 0 or self._bytes + needed > self.max_bytes:
            self._measured_at = time.monotonic()
            measured = sum(_on_disk(_size_of(file)) for file in self._files())
            with self._lock:
                self._bytes = measured
            self.size.set(measured)
        return self._bytes + needed <= self.max_bytes

    def _change(self, difference: int) -> None:
        with self._lock:
            self._bytes = max(0, self._bytes + difference)
            self.size.set(self._bytes)


def _size_of(file: Path) -> int:
    """Return the bytes of a file; none if it has been sent and removed meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _locks(folder: int) -> bool:
    """Lock an open folder, and return whether nobody else has; where it cannot be locked, nobody is said to have."""
    if fcntl is not None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
    return True


def _on_disk(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
