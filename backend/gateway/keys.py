"""Keys of the console's API address. A key opens nothing else.

Named keys are made by the operator, shown once, and kept as hashes: they are random (192 bits), so that a plain SHA-256
can't be reversed. Page keys are what the page writes into the code it shows: derived from the visitor, a role's token
and a secret of the store, so that they are the same after a restart, are kept nowhere, and end with the token; the
token alone, which a whole class has, makes none for somebody else.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from backend.errors import InvalidInput, Message, NotFound
from backend.store import Store

AREA = "gateway_key"
SECRET_AREA, SECRET_KEY = "gateway_secret", "page"
PREFIX = "lm-"
PAGE_PREFIX = "lm-page-"
MOST_KEYS = 500
NAME_LENGTH = 60
LONGEST = 200  # characters of a key
_SCHEMES = re.compile(r"(?:(?:bearer|token|api-?key)(?=[\s:]|$)[\s:]*)*", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"(?:basic|digest|negotiate)\s", re.IGNORECASE)  # a proxy's in between, never a key of here
_NO_KEY = frozenset({"", "null", "none", "undefined"})  # what clients send where nothing is set
Holder = Literal["operator", "class", "key"]


@dataclass(frozen=True)
class Limits:
    """What a key may do; None = as much as it likes. ``servers`` are names, () = all."""

    requests_a_minute: int | None = None
    tokens_a_day: int | None = None
    servers: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedKey:
    """One key as it is kept. ``digest`` is the SHA-256 of the key in hexadecimal, ``hint`` its last four characters."""

    id: str
    name: str
    digest: str
    hint: str
    created_at: float
    limits: Limits = Limits()


@dataclass(frozen=True)
class Grant:
    """Who asks: ``id`` is what usage is counted by. ``visitor`` is whose page a page key stands on; "" for others."""

    id: str
    name: str
    holder: Holder
    limits: Limits = Limits()
    visitor: str = ""


class KeyRing:
    """All keys. ``tokens`` are the console's by role; the operator's is a key itself. Safe from any thread."""

    def __init__(self, store: Store, tokens: Mapping[str, str]) -> None:
        self._store = store
        self._operator = tokens["operator"]
        secret = _kept_secret(store)
        self._secrets = {role: hmac.digest(token.encode(), secret, "sha256") for role, token in tokens.items()}
        self._lock = threading.Lock()
        self._keys = {key: _from_json(value) for key, value in store.all(AREA).items()}

    def make(self, name: str, limits: Limits) -> tuple[str, NamedKey]:
        """A new named key: the key itself, which is shown once, and what is kept of it. Raises InvalidInput."""
        name = " ".join(name.split())
        if not name or len(name) > NAME_LENGTH or not name.isprintable():
            raise InvalidInput(Message("gateway.key-name", {"value": name[:80], "most": NAME_LENGTH}, "key_name"))
        for field in ("requests_a_minute", "tokens_a_day"):
            value = getattr(limits, field)
            if value is not None and value < 1:
                raise InvalidInput(Message("gateway.key-limit", {"value": value}, field))
        secret = PREFIX + secrets.token_urlsafe(24)
        key = NamedKey(secrets.token_hex(6), name, _digest(secret), secret[-4:], time.time(), limits)
        with self._lock:
            if any(other.name == name for other in self._keys.values()):
                raise InvalidInput(Message("gateway.key-twice", {"value": name}, "key_name"))
            if len(self._keys) >= MOST_KEYS:
                raise InvalidInput(Message("gateway.key-many", {"most": MOST_KEYS}, "key_name"))
            self._keys[key.id] = key
        try:
            self._store.put_json(AREA, key.id, asdict(key))
        except BaseException:
            with self._lock:
                self._keys.pop(key.id, None)
            raise
        return secret, key

    def withdraw(self, key_id: str) -> None:
        """The key is refused from now on. Raises NotFound."""
        with self._lock:
            if self._keys.pop(key_id, None) is None:
                raise NotFound(Message("gateway.key-gone"))
        self._store.delete(AREA, key_id)

    def all(self) -> tuple[NamedKey, ...]:
        """The named keys, oldest first."""
        with self._lock:
            return tuple(sorted(self._keys.values(), key=lambda key: key.created_at))

    def page_key(self, role: str, visitor: str) -> str:
        """The key that stands in the code which this visitor's page shows."""
        return f"{PAGE_PREFIX}{role}-{visitor}-{self._mark(role, visitor)}"

    def match(self, offered: str) -> Grant | None:
        """Who holds that key; None for a wrong one."""
        if not offered.isascii() or len(offered) > LONGEST:
            return None
        if hmac.compare_digest(offered.encode(), self._operator.encode()):
            return Grant("operator", "operator", "operator")
        if offered.startswith(PAGE_PREFIX):
            return self._page(offered)
        digest = _digest(offered)
        with self._lock:
            key = next((k for k in self._keys.values() if hmac.compare_digest(k.digest, digest)), None)
        return None if key is None else Grant(key.id, key.name, "key", key.limits)

    def _page(self, offered: str) -> Grant | None:
        role, _, rest = offered.removeprefix(PAGE_PREFIX).partition("-")
        visitor, _, mark = rest.partition("-")
        if role not in self._secrets or not visitor:
            return None
        if not hmac.compare_digest(mark.encode(), self._mark(role, visitor).encode()):
            return None
        if role == "operator":
            return Grant("operator", "operator", "operator", visitor=visitor)
        # What a class may use is counted with what its pages ask: classroom/limits.py.
        return Grant(f"class-{visitor}", f"class {visitor[:6]}", "class", visitor=visitor)

    def _mark(self, role: str, visitor: str) -> str:
        return hmac.new(self._secrets[role], f"{role}:{visitor}".encode(), "sha256").hexdigest()[:40]


def _kept_secret(store: Store) -> bytes:
    """The store's own, made where there is none."""
    known = store.get_json(SECRET_AREA, SECRET_KEY)
    if not isinstance(known, str):
        known = secrets.token_hex(32)
        store.keep_json(SECRET_AREA, SECRET_KEY, known)
    return known.encode()


def offered_keys(headers: Iterable[str]) -> list[str]:
    """The keys in those headers' values, as people and clients write them: with or without the scheme, quoted."""
    found = []
    for value in headers:
        key = _SCHEMES.sub("", value.strip(), count=1).strip("\"'`<>,; \t")
        if key.lower() not in _NO_KEY and not _OTHER_SCHEME.match(value.strip()):
            found.append(key)
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _from_json(value: Mapping[str, Any]) -> NamedKey:
    values = {f.name: value[f.name] for f in fields(NamedKey) if f.name in value}
    limits = values.get("limits") or {}
    names = {f.name: limits[f.name] for f in fields(Limits) if f.name in limits}
    names["servers"] = tuple(names.get("servers", ()))
    return NamedKey(**{**values, "limits": Limits(**names)})
