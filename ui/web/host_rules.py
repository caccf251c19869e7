"""Which Host and Origin headers are this console's own.

The grammar is strict: no general parser is used, because two of them may differ.
"""

import ipaddress
import re
import socket
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from backend.machine.network import is_loopback
from backend.settings import Settings

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# A name or IPv4 address, or an IPv6 address in brackets, and perhaps a port. Nothing else of RFC 3986's authority.
AUTHORITY = re.compile(
    r"(?:(?P<name>[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*)|\[(?P<six>[0-9a-f:.]+)\])"
    r"(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)
ORIGIN = re.compile(r"https?://(?P<authority>[^/?#\\@\s]+)", re.ASCII | re.IGNORECASE)
# What a program's own page or a browser's extension sends, too; a page without an origin, as of a file, sends null.
API_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/?#\\@\s]+", re.ASCII | re.IGNORECASE)
LONGEST_NAME = 253


@dataclass(frozen=True)
class Authority:
    """A host's name in lower case (an IPv6 address in its shortest form), and the port where one is named."""

    name: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """What a Host header or the middle of an Origin names; None for whatever isn't exactly a host and a port."""
    match = AUTHORITY.fullmatch(text)
    if match is None or len(text) > LONGEST_NAME + 6:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    if match["six"] is None:
        return Authority(match["name"].lower(), port)
    try:
        return Authority(str(ipaddress.IPv6Address(match["six"])), port)
    except ValueError:
        return None


class HostRules:
    """Loopback names with any port (an SSH forward's local port may differ), the ``--host`` name, the host of a
    ``--root-path`` that is a full address. Listening on the network: also this machine's names and any bare IP
    address, which can't be rebound.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = {"localhost", "127.0.0.1", "::1", _plain(settings.host)}
        self._outer = urlsplit(settings.root_path).netloc.lower()
        self._any_address = not is_loopback(settings.host)
        outer = parse_authority(self._outer)
        if outer is not None:
            self._names.add(outer.name)
        if self._any_address:
            self._names.add(socket.gethostname().lower())
            # A machine without a name server would wait for it at its start.
            threading.Thread(target=self._learn_full_name, name="full-name", daemon=True).start()

    def known(self, headers: Headers) -> bool:
        """Whether a request's one Host header names this console."""
        named = headers.getlist("host")
        authority = parse_authority(named[0]) if len(named) == 1 else None
        if authority is None:
            return False
        return authority.name in self._names or (self._any_address and _is_address(authority.name))

    def _learn_full_name(self) -> None:
        self._names = self._names | {socket.getfqdn().lower()}

    def same_origin(self, headers: Headers, method: str) -> bool:
        """Whether a request may come from a page of this console, or from no page at all."""
        site = headers.get("sec-fetch-site", "none")
        navigation = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("none", "same-origin") and not navigation:
            return False
        origins = headers.getlist("origin")
        if not origins or method in SAFE_METHODS:
            return True
        match = ORIGIN.fullmatch(origins[0]) if len(origins) == 1 else None
        if match is None or parse_authority(match["authority"]) is None:
            return False
        return match["authority"].lower() in {headers.get("host", "").lower(), self._outer}


def _plain(host: str) -> str:
    """A ``--host`` as Authority names it."""
    name = host.strip("[]").lower()
    return str(ipaddress.ip_address(name)) if _is_address(name) else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
