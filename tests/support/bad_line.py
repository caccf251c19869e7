"""A TCP forward that goes bad: at a given byte it cuts, resets, falls silent or dribbles; or all of it is gone."""

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

KINDS = ("cut", "reset", "stall", "dribble")
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Trouble:
    """What happens to a connection, once so many bytes came ``back`` from the server (or went to it)."""

    kind: str = ""
    after: int = 0
    back: bool = True


class BadLine:
    """A port that leads to another one. ``trouble`` is what each new connection gets; whole again with Trouble().

    ``leave`` ends every connection and refuses new ones, ``hold`` keeps them and lets nothing through, until ``back``.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.trouble = Trouble()
        self.passed = 0  # bytes that came back, over all connections
        self.struck = 0  # connections that got their trouble
        self._over = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._away = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Ends it and every connection through it."""
        self._over.set()
        self._flowing.set()
        _end(self._listener)
        self.cut()

    def cut(self) -> None:
        """Ends every connection that is open now."""
        ending, self._sockets = self._sockets, []
        for one in ending:
            _end(one)

    def leave(self) -> None:
        """As a laptop without its network, whose forward has ended."""
        self._away = True
        self.cut()

    def hold(self) -> None:
        """As a laptop without its network, whose forward doesn't know it yet."""
        self._flowing.clear()

    def back(self) -> None:
        """All is well again."""
        self.trouble, self._away = Trouble(), False
        self._flowing.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                outer, _ = self._listener.accept()
                if self._away:
                    outer.close()
                    continue
                try:
                    inner = socket.create_connection(("127.0.0.1", self._target), timeout=10)
                except OSError:
                    outer.close()
                    continue
                inner.settimeout(DEADLINE_S)
                outer.settimeout(DEADLINE_S)
                self._sockets += [outer, inner]
                trouble = self.trouble
                for source, sink, back in ((inner, outer, True), (outer, inner, False)):
                    mine = trouble if trouble.back is back else Trouble()
                    args = (source, sink, mine, back)
                    threading.Thread(target=self._carry, args=args, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, trouble: Trouble, back: bool) -> None:
        left = trouble.after
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                self._flowing.wait(DEADLINE_S)
                if trouble.kind and len(part) >= left:
                    sink.sendall(part[:left])
                    self.passed += left if back else 0
                    self.struck += 1
                    if not self._strike(sink, trouble, part[left:], source):
                        return
                    trouble = Trouble()
                    continue
                left -= len(part)
                sink.sendall(part)
                self.passed += len(part) if back else 0
            sink.shutdown(socket.SHUT_WR)

    def _strike(self, sink: socket.socket, trouble: Trouble, rest: bytes, source: socket.socket) -> bool:
        """Whether anything may come after it."""
        if trouble.kind == "dribble":
            for at in range(0, min(len(rest), 600), 3):
                sink.sendall(rest[at : at + 3])
                self._over.wait(0.0005)
            sink.sendall(rest[600:])
            self.passed += len(rest) if trouble.back else 0
            return True
        if trouble.kind == "stall":
            self._over.wait(DEADLINE_S)
        if trouble.kind == "reset":
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for one in (sink, source):
            with contextlib.suppress(OSError):
                # Whoever still reads it in the other thread wakes up; without that, closing it would do nothing.
                one.shutdown(socket.SHUT_RD if trouble.kind == "reset" and one is sink else socket.SHUT_RDWR)
            one.close()
        return False


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextlib.contextmanager
def bad_line(port: int) -> Iterator[BadLine]:
    line = BadLine(port)
    try:
        yield line
    finally:
        line.close()


def trouble(rng: random.Random, most: int, *kinds: str, back: bool = True) -> Trouble:
    """One of the kinds, at any byte: early ones as likely as late ones."""
    after = rng.choice([rng.randint(0, min(most, 400)), rng.randint(0, most)])
    return Trouble(rng.choice(kinds or KINDS), after, back)
