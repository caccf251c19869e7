"""Asks servers over HTTP whether they are ready and what they serve. Every question has a deadline for the whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.chat.client import said_by, shortened
from backend.machine.fetch import Fetched, Fetcher
from backend.outside_text import Unusable, clean, parse_json

HEALTH_BYTES = 64 * 1024
MODELS_BYTES = 4 * 1024 * 1024
MOST_MODELS = 10_000
LONGEST_ID = 4096
LISTS = ("data", "models", "items", "list", "records", "result")
MOST_TOKENS = 10**9
CONTEXT_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length")


@dataclass(frozen=True)
class Answer:
    """What came back. ``status`` is the HTTP status, None where nothing answered.

    ``error`` and ``kind`` then say why; see fetch.Fetched.
    """

    status: int | None
    body: Any = None
    error: str = ""
    kind: str = ""
    location: str = ""
    content_type: str = ""
    said: str = ""  # the server's own words, where it isn't a plain 200

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
    """Connections aren't kept: a probe must say how things are now. Safe to call from any thread."""

    def __init__(self) -> None:
        self._fetcher = Fetcher(keep=False)

    def health(self, address: str, timeout_s: float = 2.0) -> Answer:
        """GET /health of the server at ``address`` (without /v1). Sends no key."""
        answer = self._fetcher.get(f"{address}/health", deadline_s=timeout_s, most_bytes=HEALTH_BYTES)
        return _answer(answer, None)

    def models(self, base_url: str, api_key: str = "", timeout_s: float = 5.0) -> Answer:
        """GET {base_url}/models with the key; ``served_models(answer.body)`` reads it."""
        answer = self._fetcher.get(f"{base_url}/models", api_key, deadline_s=timeout_s, most_bytes=MODELS_BYTES)
        return _answer(answer, _json(answer.content))

    def json(self, url: str, api_key: str = "", timeout_s: float = 5.0) -> Answer:
        """GET with the key, for what answers with JSON."""
        answer = self._fetcher.get(url, api_key, deadline_s=timeout_s, most_bytes=MODELS_BYTES)
        return _answer(answer, _json(answer.content))

    def text(self, url: str, api_key: str = "", timeout_s: float = 2.0) -> str:
        """GET with the key, for what answers with plain text; "" where it isn't a plain 200."""
        answer = self._fetcher.get(url, api_key, deadline_s=timeout_s, most_bytes=MODELS_BYTES)
        return answer.content.decode("utf-8", "replace") if answer.status == 200 else ""

    def post(self, url: str, api_key: str, body: Mapping[str, Any], timeout_s: float = 5.0) -> Answer:
        """POST a JSON object with the key."""
        answer = self._fetcher.post(url, api_key, body, deadline_s=timeout_s, most_bytes=HEALTH_BYTES)
        return _answer(answer, _json(answer.content))

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._fetcher.close()


def served_models(body: Any) -> tuple[ServedModel, ...] | None:
    """The models that a list of models names, in OpenAI's form or another, or None where it is no such list."""
    entries = _entries(body)
    if entries is None:
        return None
    models: list[ServedModel] = []
    for entry in entries:
        if len(models) == MOST_MODELS:
            break
        if name := _id(entry):
            models.append(ServedModel(name, _context_length(entry)))
    return tuple(models)


def is_openai_list(body: Any) -> bool:
    """Whether it is a list of models just as OpenAI's API gives it; an empty one is."""
    data = body.get("data") if isinstance(body, Mapping) else None
    return isinstance(data, list) and all(isinstance(entry, Mapping) and "id" in entry for entry in data)


def _entries(body: Any) -> Iterable[Any] | None:
    """``data`` or ``models`` as a list, by name, or with the list inside; or a bare list that isn't empty."""
    if isinstance(body, list):
        return body if any(_id(entry) for entry in body) else None
    if not isinstance(body, Mapping):
        return None
    for key in ("data", "models", "result"):
        value = body.get(key)
        if isinstance(value, list):
            return value
        if isinstance(value, Mapping):
            inner = next((value[name] for name in LISTS if isinstance(value.get(name), list)), None)
            return inner if inner is not None else _by_name(value)
    # Some servers write an empty list as null.
    return () if body.get("object") == "list" and "data" in body else None


def _by_name(models: Mapping[str, Any]) -> Iterable[Any]:
    return [{"id": name, **entry} if isinstance(entry, Mapping) else name for name, entry in models.items()]


def _id(entry: Any) -> str:
    """The entry's name, "" where it has none that a request could carry."""
    value = entry
    if isinstance(entry, Mapping):
        value = next((entry[key] for key in ("id", "model", "name") if entry.get(key) not in (None, "")), None)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else ""
    if not isinstance(value, str) or len(value) > LONGEST_ID:
        return ""
    return clean(value, LONGEST_ID)


def _context_length(entry: Any) -> int:
    if not isinstance(entry, Mapping):
        return 0
    for key in CONTEXT_KEYS:
        value = entry.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS:
            return int(value)
    return 0


def _json(content: bytes) -> Any:
    """The body, or None where it is no JSON, or nested beyond reason."""
    try:
        return parse_json(content, MODELS_BYTES).value
    except Unusable:
        return None


def _answer(fetched: Fetched, body: Any) -> Answer:
    said = "" if fetched.status in (None, 200) else shortened(said_by(fetched.content[:HEALTH_BYTES]))
    return Answer(fetched.status, body, fetched.error, fetched.kind, fetched.location, fetched.content_type, said)
