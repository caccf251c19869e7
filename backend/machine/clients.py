"""How this console's HTTP clients reach a server: the one place that decides about proxies and certificates.

- Nothing to this machine's own addresses goes through a proxy, whatever the environment says.
- A key never goes to a proxy on plain http: such a request goes straight.
- To other machines the person's proxy variables are honoured, ``socks://`` and the like included; one that can't be
  used is named in a Message, never a traceback.
"""

import functools
import importlib.util
import ipaddress
import os
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from backend.errors import Message
from backend.machine.network import is_this_machine, numeric, plain_host

if TYPE_CHECKING:
    import aiohttp

SCHEMES = {
    "http": "http",
    "https": "https",
    "socks": "socks5",  # what GNOME sets
    "socks5": "socks5",
    "socks5h": "socks5h",
}
SHOWN = 100  # characters of a variable's value in a message


@dataclass(frozen=True)
class Route:
    """The proxy to a server, "" for none, and which settings were left aside."""

    proxy: str = ""
    notices: tuple[Message, ...] = ()


def route(url: str, *, with_key: bool, proxies: Mapping[str, str] | None = None) -> Route:
    """How to get to the address. ``proxies`` is what the environment says (by scheme, "all" and "no")."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Route()
    if is_this_machine(host):
        return Route()
    settings = urllib.request.getproxies() if proxies is None else proxies
    if _excepted(host, port, settings.get("no", "")):
        return Route()
    for name in (parts.scheme, "all"):
        value = settings.get(name, "").strip().strip("\"'")
        if not value:
            continue
        proxy = _usable(value)
        params = {"name": f"{name}_proxy", "value": _without_password(value)}
        if not proxy:
            return Route("", (Message("servers.proxy-unusable", params, "address", "warning"),))
        if with_key and parts.scheme == "http":
            return Route("", (Message("servers.proxy-would-see-key", params, "address", "warning"),))
        return Route(proxy)
    return Route()


def client_options(url: str, *, with_key: bool) -> dict[str, Any]:
    """What an httpx client (httpx2's too) must be made with to talk to that address, with a key or without."""
    return {
        "trust_env": False,  # what the environment says is in the route, and no password comes from a .netrc
        "proxy": route(url, with_key=with_key).proxy or None,
        "verify": certificates(),
        "follow_redirects": False,  # it would lead to another server, with the key
    }


def async_client(url: str, *, with_key: bool, **options: Any) -> httpx.AsyncClient:
    """An httpx client for that address. ``options`` are httpx's own, and come first."""
    return httpx.AsyncClient(**{**client_options(url, with_key=with_key), **options})


def still_unread(content: "aiohttp.StreamReader") -> bytes:
    """What came before a connection broke off and nobody has read yet: from then on aiohttp (seen in 3.14) gives
    nothing but the error, and keeps the text in its buffer."""
    unread = b"".join(content._buffer)
    return unread[content._buffer_offset :]


def certificates() -> ssl.SSLContext:
    """The certificates that are trusted: certifi's, or what SSL_CERT_FILE and SSL_CERT_DIR name."""
    return _certificates(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


@functools.lru_cache(maxsize=4)
def _certificates(file: str, folder: str) -> ssl.SSLContext:
    """Reading them takes 20 ms: once for all clients."""
    try:
        return httpx.create_ssl_context(trust_env=True)
    except OSError:  # SSL_CERT_FILE names no such file
        return httpx.create_ssl_context(trust_env=False)


def _usable(value: str) -> str:
    """The proxy's URL as httpx takes it, "" where it can't be used."""
    text = value if "://" in value else f"http://{value}"
    scheme, _, rest = text.partition("://")
    protocol = SCHEMES.get(scheme.lower(), "")
    if protocol.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return ""
    try:
        parts = urlsplit(f"{protocol}://{rest}")
        good = bool(protocol and parts.hostname) and (parts.port is None or parts.port > 0) and " " not in rest
        httpx.Proxy(f"{protocol}://{parts.netloc}") if good else None
    except (ValueError, httpx.InvalidURL):
        return ""
    return f"{protocol}://{parts.netloc}" if good else ""


def _excepted(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether no_proxy names the host: names with and without their subdomains, addresses, networks, ports, ``*``."""
    name, address = plain_host(host), numeric(host)
    for entry in no_proxy.replace(",", " ").split():
        if entry == "*":
            return True
        wanted, wanted_port = _host_and_port(entry)
        if wanted_port and wanted_port != str(port):
            continue
        if address is not None:
            if numeric(wanted) == address or _holds(wanted, address):
                return True
        else:
            suffix = plain_host(wanted).removeprefix("*").lstrip(".")
            if suffix and (name == suffix or name.endswith(f".{suffix}")):
                return True
    return False


def _host_and_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        return host, port.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""


def _holds(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if "/" not in network:
        return False
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _without_password(value: str) -> str:
    head, at, tail = value.rpartition("@")
    scheme = head.partition("://")[0] + "://" if "://" in head else ""
    return (f"{scheme}…@{tail}" if at else value)[:SHOWN]
