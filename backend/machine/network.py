"""Which names and addresses are this machine's own, in every spelling that the resolver takes. Asks no name server.

One home for two questions. *Loopback*: only programs of this machine get there. *This machine*: it ends up here all the
same (0.0.0.0, an interface's address, the machine's own name), so that no proxy has anything to do with it.
"""

import functools
import ipaddress
import re
import socket
import time
import unicodedata
from pathlib import Path

import psutil

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK_NAMES = frozenset(
    {"localhost", "localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"}
)
REFRESH_S = 5.0  # interfaces come and go (a VPN, a network cable)
HOSTS, RESOLV = Path("/etc/hosts"), Path("/etc/resolv.conf")
_FILE_BYTES = 256 * 1024
_DOTS = str.maketrans("。．｡", "...")
_NUMBERS = re.compile(r"[0-9a-fx.]+")


def plain_host(host: str) -> str:
    """The name as it is compared: lower case, without brackets, zone and closing dot; full-width is plain."""
    text = unicodedata.normalize("NFKC", host.translate(_DOTS)).strip().strip("[]").lower()
    return text.partition("%")[0].rstrip(".")


def numeric(host: str) -> IpAddress | None:
    """The address that the text spells (``127.1``, ``0x7f000001``, ``2130706433``, ``[::ffff:127.0.0.1]`` too), or None
    for a name."""
    text = plain_host(host)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        # inet_aton is what the resolver asks first; it would ignore what follows a blank.
        if not _NUMBERS.fullmatch(text):
            return None
        try:
            address = ipaddress.IPv4Address(socket.inet_aton(text))
        except (OSError, ValueError):
            return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach what listens there."""
    address = numeric(host)
    if address is not None:
        return address.is_loopback
    name = plain_host(host)
    return name in LOOPBACK_NAMES or name.endswith(".localhost")


def is_this_machine(host: str) -> bool:
    """Whether a connection to that host ends on this machine: loopback, "any address", its interfaces, its names."""
    if is_loopback(host):
        return True
    addresses, names = _own(int(time.monotonic() / REFRESH_S))
    address = numeric(host)
    if address is not None:
        return address.is_unspecified or address in addresses
    return plain_host(host) in names


def connectable(host: str) -> str:
    """The host as a client should be given it: "any address" is no address to go to, odd numbers are spelled plainly.

    The zone of a link-local address stays. A name stays as it is, in ASCII. Raises ValueError where it is none.
    """
    address = numeric(host)
    if address is None:
        return _ascii_name(host)
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    zone = host.strip("[]").partition("%")[2].removeprefix("25")
    return f"{address}%{zone}" if zone and address.version == 6 else str(address)


def _ascii_name(host: str) -> str:
    name = plain_host(host)
    if not name.isascii():
        import idna

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(str(error)) from error
    # Underscores are no host's, but containers' names have them and resolvers take them.
    if len(name) > 253 or not all(
        re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", part) for part in name.split(".")
    ):
        raise ValueError(host)
    return name


def outward_addresses() -> list[str]:
    """This machine's addresses as others may reach it, the likeliest first; loopback and link-local ones aren't among
    them."""
    found = [address for address in _interface_addresses() if not (address.is_loopback or address.is_link_local)]
    first = _default_address()
    found.sort(key=lambda address: (str(address) != first, address.version, not address.is_private, int(address)))
    return [str(address) for address in found]


def _default_address() -> str:
    """The address that leads out, by the routes alone: a datagram socket's connect sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # an address of documentation
            return str(probe.getsockname()[0])
    except OSError:
        return ""


@functools.lru_cache(maxsize=1)
def _own(_period: int) -> tuple[frozenset[IpAddress], frozenset[str]]:
    """This machine's addresses and names, for one period of REFRESH_S."""
    addresses = frozenset(_interface_addresses())
    name = plain_host(socket.gethostname())
    short = name.partition(".")[0]
    names = {name, short, f"{short}.local", *(f"{short}.{domain}" for domain in _search_domains())}
    for line in _lines(HOSTS):
        words = line.partition("#")[0].split()
        address = numeric(words[0]) if words else None
        if address is not None and (address.is_loopback or address in addresses):
            names.update(plain_host(word) for word in words[1:])
    return addresses, frozenset(names - {"", ".local"})


def _interface_addresses() -> set[IpAddress]:
    try:
        interfaces = psutil.net_if_addrs()
    except (OSError, psutil.Error):
        return set()
    families = (socket.AF_INET, socket.AF_INET6)
    found = (numeric(entry.address) for entries in interfaces.values() for entry in entries if entry.family in families)
    return {address for address in found if address is not None}


def _search_domains() -> list[str]:
    lines = (line.split() for line in _lines(RESOLV))
    return [plain_host(word) for words in lines if words and words[0] in ("search", "domain") for word in words[1:]]


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            return stream.read(_FILE_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
