"""Which worker gets the next connection, and what happens to connections that no worker has room for."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest

from m365_mcp.web.connections import Connections

WORKERS = 2


class Lab:
    """A listening socket, and both ends of the channels to two workers."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.selector = selectors.DefaultSelector()
        self.connections = Connections([self.listener], self.selector, WORKERS)
        self.tallies = [self.connections.tally(number) for number in range(WORKERS)]
        self.pairs = [socket.socketpair() for _ in range(WORKERS)]
        self.clients: list[socket.socket] = []
        for ends in self.pairs:
            for end in ends:
                end.setblocking(False)

    def begin(self) -> None:
        for number, (ours, _) in enumerate(self.pairs):
            self.connections.add(number, ours)
        self.connections.accept()

    def connect(self) -> int | None:
        """Open a connection, and return which worker has it."""
        self.clients.append(socket.create_connection(self.listener.getsockname()))
        for key, _ in self.selector.select(1):
            key.data(key.fileobj)
        return self.taker()

    def taker(self) -> int | None:
        for number, (_, theirs) in enumerate(self.pairs):
            try:
                _, descriptors, _, _ = socket.recv_fds(theirs, 1, 1)
            except BlockingIOError:
                continue
            for descriptor in descriptors:
                self.clients.append(socket.socket(fileno=descriptor))
                return number
        return None

    def close(self) -> None:
        self.connections.close()
        self.selector.close()
        for each in [*self.clients, *(end for ends in self.pairs for end in ends)]:
            each.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Two workers that wait for connections."""
    opened = Lab()
    yield opened
    opened.close()


def test_workers_take_turns(lab: Lab) -> None:
    """Connections that stay open go to the workers one after another."""
    lab.begin()

    assert [lab.connect() for _ in range(6)] in ([0, 1] * 3, [1, 0] * 3)


def test_connections_that_stay_open_at_every_second_turn_are_spread(lab: Lab) -> None:
    """When every second connection ends at once, those that stay open still go to both workers."""
    lab.begin()
    kept = []
    for _ in range(32):
        taker = lab.connect()
        assert taker is not None
        kept.append(taker)
        ended = lab.connect()
        assert ended is not None
        lab.tallies[ended]()

    assert min(kept.count(number) for number in range(WORKERS)) >= 0.4 * len(kept)


def test_worker_that_is_gone_gets_nothing(lab: Lab) -> None:
    """Neither a worker that was removed nor one whose channel has broken is handed a connection."""
    lab.begin()
    lab.connections.remove(0)
    assert [lab.connect() for _ in range(3)] == [1, 1, 1]

    lab.connections.add(0, lab.pairs[0][0])
    lab.clients += lab.pairs[1]
    lab.pairs[1][1].close()
    lab.pairs[1] = socket.socketpair()
    lab.pairs[1][1].setblocking(False)
    assert [lab.connect() for _ in range(3)] == [0, 0, 0]


def test_connection_waits_for_a_worker(lab: Lab) -> None:
    """While there is no worker, connections wait; the first that starts gets them all."""
    lab.connections.accept()
    assert [lab.connect() for _ in range(3)] == [None] * 3
    assert lab.connections.resumes_at is not None

    lab.connections.add(1, lab.pairs[1][0])
    lab.connections.resume()
    for key, _ in lab.selector.select(1):
        key.data(key.fileobj)

    assert [lab.taker() for _ in range(4)] == [1, 1, 1, None]


def test_closed_port_refuses(lab: Lab) -> None:
    """After the end nothing is accepted, and whoever connects is refused at once."""
    lab.begin()
    address = lab.listener.getsockname()
    lab.connections.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
