"""Asks servers over HTTP whether they are ready and what they serve. Every question has a deadline."""

import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

_BODY_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. ``status`` is the HTTP status, None where nothing answered (``error`` says why)."""

    status: int | None
    body: Any = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a plain 200."""
        return self.status == 200


@dataclass(frozen=True)
class ServedModel:
    """One entry of /v1/models. ``context_length`` in tokens, 0 where the server doesn't say."""

    id: str
    context_length: int


class Prober:
    """Two HTTP clients: one for this machine, which ignores proxy settings, one for others, which honours them.

    Connections aren't kept: a probe must say how things are now. Safe to call from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[bool, httpx.Client] = {}

    def health(self, address: str, timeout_s: float = 2.0) -> Answer:
        """GET /health of the server at ``address`` (without /v1). Sends no key."""
        return self._get(f"{address}/health", "", timeout_s, read_body=False)

    def models(self, base_url: str, api_key: str = "", timeout_s: float = 5.0) -> Answer:
        """GET {base_url}/models with the key; ``served_models(answer.body)`` reads it."""
        return self._get(f"{base_url}/models", api_key, timeout_s, read_body=True)

    def close(self) -> None:
        """Close the clients; a later call opens new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _get(self, url: str, api_key: str, timeout_s: float, *, read_body: bool) -> Answer:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        try:
            client = self._client(is_loopback(urlsplit(url).hostname or ""))
            with client.stream("GET", url, headers=headers, timeout=timeout_s) as response:
                body = _read_json(response) if read_body else None
                return Answer(response.status_code, body)
        # ValueError: a proxy setting or an address that httpx can't use; RuntimeError: closed meanwhile.
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RuntimeError) as error:
            return Answer(None, error=str(error) or type(error).__name__)

    def _client(self, loopback: bool) -> httpx.Client:
        with self._lock:
            if loopback not in self._clients:
                limits = httpx.Limits(max_keepalive_connections=0)
                self._clients[loopback] = httpx.Client(trust_env=not loopback, limits=limits)
            return self._clients[loopback]


def served_models(body: Any) -> tuple[ServedModel, ...] | None:
    """The models that a /v1/models body lists, or None where it isn't such a list."""
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, list):
        return None
    entries = [entry for entry in data if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)]
    return tuple(ServedModel(entry["id"], _positive(entry.get("max_model_len"))) for entry in entries)


def is_loopback(host: str) -> bool:
    """Whether the name or address is this machine's own, decided without a look-up."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _positive(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _read_json(response: httpx.Response) -> Any:
    """The body, or None where it is no JSON or larger than any list of models."""
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > _BODY_LIMIT:
            return None
    try:
        return httpx.Response(200, content=bytes(content)).json()
    except ValueError:
        return None
