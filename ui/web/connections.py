"""Connections that ask nothing don't keep others out: a deadline for a request's head, and a cap on all of them.

Anybody on the machine can open connections to a loopback port, without a token; each takes a file descriptor. So one
that doesn't get its head out in time is closed, and where there are too many, the one that has kept the console
waiting longest makes room. An answer under way, a stream too, is never cut off.

The parser is httptools (llhttp, in C): it and what is written take a tenth of h11's time. What h11 refused besides, a
head without an end and a target that isn't a path, is refused here.
"""

import asyncio
import logging
import resource
from collections.abc import Mapping
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0  # from the connection, or the last answer's end, to a request's whole head
BODY_SECONDS = 60.0  # without any byte of a body that was announced
LONGEST_HEAD = 64 << 10  # bytes of a request's head; and of what a body's framing may say at one go
WANTED_FILES = 65536
KEPT_FOR_OTHERS = 320  # descriptors for files, children, model servers
FEWEST = 64
log = logging.getLogger(__name__)


def raise_file_limit() -> int:
    """Lifts the soft limit on open files as far as it may; returns how many connections may be open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays %s: %s", soft, error)
    files = WANTED_FILES if soft == resource.RLIM_INFINITY else soft
    return max(FEWEST, min(files, WANTED_FILES) - KEPT_FOR_OTHERS)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines. ``most`` and ``waiting`` belong to one server: see ``protocol_for``."""

    most: int
    waiting: dict["PatientProtocol", None]  # those without a request, who waits longest first
    head_s: float
    body_s: float
    refused = False
    _timer: asyncio.TimerHandle | None = None
    _last_byte = 0.0
    _in_head = False
    _offered = False  # whether another protocol
    _unended = 0  # bytes since a head, a body, or a piece of one has ended

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._last_byte = self.loop.time()
        if len(self.connections) >= self.most:
            longest = next(iter(self.waiting), None)
            if longest is None:
                transport.abort()
                self.transport, self.refused = transport, True
                return
            longest.close_now()
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if not self.refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.refused:
            return
        self._last_byte = self.loop.time()
        self._unended += len(data)
        before = self.cycle
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")
        if self.cycle is not before and not self.transport.is_closing() and not self.cycle.response_complete:
            self._answer()
        if self._unended > LONGEST_HEAD and not self.transport.is_closing():
            self._refuse("The request's head is too long.")

    def _refuse(self, why: str) -> None:
        """Never in the middle of an answer."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.close_now()
        else:
            self.send_400_response(why)

    def _parse(self, data: bytes) -> None:
        """Raises httptools.HttpParserError. A request that offers another protocol, as curl's and Java's do, is read
        once more without the offer: the parser would take its body for that protocol."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            rest = data[offer.args[0] :]
            kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
            first = b"%b %b HTTP/1.1" % (self.parser.get_method(), self.url)
            self.parser, self._offered = httptools.HttpRequestParser(self), False
            self.parser.feed_data(b"\r\n".join([first, *kept, b"", b""]) + rest)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Without the white space behind a value. What follows a body changes nothing of its head."""
        if self._in_head:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Raises ValueError for a target that is no path (a whole address names a host beside Host), for several hosts
        or none (RFC 9112, 3.2), and for a head that came at one go and is too long: answered with 400."""
        self._in_head, self._unended = False, 0
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise ValueError("one Host is needed")
        if not self.url.startswith(b"/"):
            raise ValueError("the target is no path")
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LONGEST_HEAD:
            raise ValueError("the head is too long")
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            self._offered = True
            return
        super().on_headers_complete()
        self.cycle.transport = _HeadWithBody(self.transport, self.loop)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._unended = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unended = 0
        if not self._offered:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._wait()
        else:  # the next request had come already
            self._answer()

    def _wait(self) -> None:
        """A request's head is due."""
        self._disarm()
        if not self.transport.is_closing():
            self.waiting[self] = None
            self._timer = self.loop.call_later(self.head_s, self.close_now)

    def _answer(self) -> None:
        """A request is answered; its body, if it has one, still has to come."""
        self._disarm()
        self._timer = self.loop.call_later(self.body_s, self._look_at_body)

    def _look_at_body(self) -> None:
        if self.cycle.response_complete or not self.cycle.more_body:
            return
        # Nothing is read from one whose body isn't taken yet: then the delay is ours.
        silent_s = self.loop.time() - self._last_byte
        if not self.flow.read_paused and silent_s >= self.body_s:
            self.close_now()
        else:
            self._timer = self.loop.call_later(self.body_s, self._look_at_body)

    def _disarm(self) -> None:
        self.waiting.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close_now(self) -> None:
        self._disarm()
        self.transport.abort()
        self.connections.discard(self)


class _HeadWithBody:
    """A transport to which an answer is written: its head leaves with what is written in the same turn of the loop, as
    one packet. That is a system call less, and whoever waits wakes once."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._begun = False
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self._begun:
            self._begun, self._head = True, data
            self._loop.call_soon(self._leave)
        elif self._head is not None:
            head, self._head = self._head, None
            self._transport.writelines((head, data))
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._leave()
        self._transport.close()

    def _leave(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)


def protocol_for(most: int, head_s: float = HEAD_SECONDS, body_s: float = BODY_SECONDS) -> type[PatientProtocol]:
    """The protocol of one server, which has at most that many connections."""
    own: Mapping[str, Any] = {"most": most, "waiting": {}, "head_s": head_s, "body_s": body_s}
    return type("PatientProtocol", (PatientProtocol,), dict(own))
