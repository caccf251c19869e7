"""A server's answer as the bytes that come, with httpx's errors whoever reads them.

Straight on plain http, as to every server of this machine, aiohttp reads: httpx takes 110 µs for each piece, which is
half a core for a class of a hundred. Through a proxy, and with certificates, httpx does.
"""

import importlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from backend.machine.clients import route, still_unread

if TYPE_CHECKING:  # it reads the environment's certificates and key log at its import: nothing there may stop the start
    import aiohttp

LONGEST_LINE = 1 << 16  # bytes of a head's line, as httpx takes them
MOST_HEADERS = 1000
KEEP_S = 3.0  # an idle connection; servers close theirs after 5


log = logging.getLogger(__name__)


class Response(Protocol):
    """The head of an answer, and its body's bytes."""

    @property
    def status_code(self) -> int:
        """HTTP's."""

    @property
    def is_success(self) -> bool:
        """Whether it is an answer."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, whatever its case."""

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """As they come. Raises httpx.HTTPError where they break off, after all that came before."""


def reads_plainly(base_url: str, with_key: bool) -> bool:
    """Whether nothing stands between: no proxy and no certificates."""
    return base_url.startswith("http://") and not route(base_url, with_key=with_key).proxy


class PlainReader:
    """For one event loop; ``prepare`` comes first, in a thread. ``connect_s``: how long a connection may take."""

    def __init__(self, connect_s: float) -> None:
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None

    @staticmethod
    def prepare() -> bool:
        """Takes a while once; whether it can be used. Its import may fail over an environment (SSLKEYLOGFILE and the
        like) in which httpx works."""
        try:
            importlib.import_module("aiohttp")
        except Exception:
            log.warning("aiohttp can't be used here: httpx reads all answers", exc_info=True)
            return False
        return True

    @asynccontextmanager
    async def post(self, url: str, body: Any, headers: Mapping[str, str]) -> AsyncGenerator[Response, None]:
        """Send JSON. Leaving the block closes the connection, unless the answer was read to its end. Raises
        httpx.HTTPError, httpx.InvalidURL."""
        import aiohttp

        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {**headers, "Content-Type": "application/json"}
        try:
            response = await self._opened().post(url, data=data, headers=headers, allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise httpx.ConnectError(str(error)) from error
        except aiohttp.InvalidURL as error:
            raise httpx.InvalidURL(str(error)) from error
        except aiohttp.ClientError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        try:
            yield _Plain(response)
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
                trust_env=False,
                read_bufsize=1 << 18,
                max_line_size=LONGEST_LINE,
                max_field_size=LONGEST_LINE,
                max_headers=MOST_HEADERS,
            )
        return self._session


class _Plain:
    """aiohttp's response in httpx's words."""

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response
        self.status_code = response.status
        self.is_success = 200 <= response.status < 300
        self.headers: Mapping[str, str] = response.headers

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """As they come."""
        import aiohttp

        content = self._response.content
        try:
            async for data in content.iter_any():
                yield data
        except aiohttp.ClientError as error:
            if rest := still_unread(content):
                yield rest
            raise httpx.ReadError(str(error)) from error
