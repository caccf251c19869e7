"""What the next server is going to have (its id, its key's file, its port), so that a preview is what will run."""

import os
import secrets
import threading
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from backend.processes import ports

HOST = "127.0.0.1"
# Ports are given out from LMDeploy's own on, by each console from another one (``first_port``).
LOWEST_PORT = 23333
FIRST_PORTS = 1000


def first_port(state_dir: Path) -> int:
    """Where this console begins to look for free ports.

    A server listens only after many seconds of loading. Two people of one machine who start theirs meanwhile would get
    the same port, if both consoles counted from the same.
    """
    return LOWEST_PORT + zlib.crc32(os.fsencode(state_dir.absolute())) % FIRST_PORTS


@dataclass(frozen=True)
class Slot:
    """What the next server is going to have: its id, its key's file, a free port if none is asked for."""

    server_id: str
    key_file: Path
    port: int


class Slots:
    """Gives out slots and ports. Every method is safe to call from any thread.

    Keys stand in ``keys_dir``; ports are looked for from ``lowest_port`` on. ``in_use()`` are the ports of the servers
    that run or are about to listen; it mustn't wait.
    """

    def __init__(self, keys_dir: Path, lowest_port: int, in_use: Callable[[], Collection[int]]) -> None:
        self._keys_dir = keys_dir
        self._lowest_port = lowest_port
        self._in_use = in_use
        self._lock = threading.Lock()
        self._slot: Slot | None = None
        self._promised: list[int] = []  # ports of starts that are under way

    def ports_taken(self) -> frozenset[int]:
        """Ports of servers that run, are about to listen, or are being started."""
        with self._lock:
            return self._taken()

    @contextmanager
    def promise(self, port: int) -> Iterator[frozenset[int]]:
        """Nobody else gets that port within this block, which is given the ports that others have."""
        with self._lock:
            taken = self._taken()
            self._promised.append(port)
        try:
            yield taken
        finally:
            with self._lock:
                self._promised.remove(port)

    def next(self) -> Slot:
        """The next server's slot: the same until it is used."""
        while True:
            with self._lock:
                before = self._slot
            slot = self._usable(before)
            with self._lock:
                if self._slot is before:  # nobody else was quicker
                    self._slot = slot
                    return slot

    @contextmanager
    def own(self) -> Iterator[Slot]:
        """The next slot for one start alone. Where that fails, it is the next one again."""
        while True:
            slot = self.next()
            with self._lock:
                if self._slot is slot:
                    self._slot = None
                    break
        try:
            yield slot
        except BaseException:
            with self._lock:
                self._slot = self._slot or slot
            raise

    def is_free(self, port: int) -> bool:
        """Neither one of these servers nor another program has that port."""
        return port not in self.ports_taken() and ports.is_free(HOST, port)

    def _taken(self) -> frozenset[int]:
        return frozenset([*self._promised, *self._in_use()])

    def _usable(self, slot: Slot | None) -> Slot:
        """That slot if nobody has taken its port meanwhile; a new one where there is none."""
        taken = self.ports_taken()
        if slot is None:
            server_id = secrets.token_hex(6)
            slot = Slot(server_id, self._keys_dir / f"{server_id}.key", 0)
        if slot.port == 0 or slot.port in taken or not ports.is_free(HOST, slot.port):
            slot = replace(slot, port=ports.free_port(HOST, self._lowest_port, taken))
        return slot
